"""`joyvl backup`: options that do not go together; a key that does not open what is stored."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from joyvl_server.cli.main import app


def run(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["backup", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


def test_a_file_that_is_not_named_so_is_not_compressed(data: Path, tmp_path: Path):
    code, _, told = run(tmp_path / "one.tar", "--compress", "--data-dir", data)
    assert (code, (tmp_path / "one.tar").exists()) == (2, False)
    assert "--compress is for a folder: name the file .tar.gz" in told
    assert run(tmp_path / "one.tar.gz", "--compress", "--data-dir", data)[0] == 0
    assert (tmp_path / "one.tar.gz").read_bytes()[:2] == b"\x1f\x8b"


@pytest.mark.parametrize("key", ["another", None])
def test_a_key_that_does_not_fit_is_told_and_no_older_backup_goes(data: Path, tmp_path: Path, key: str | None):
    target = tmp_path / "backups"
    target.mkdir()
    for day in "12":
        (target / f"joyvl-2020-01-0{day}T000000Z.tar").touch()
    kept = (data / "secret.key").read_bytes()
    (data / "secret.key").unlink()
    if key is not None:
        (data / "secret.key").write_bytes(base64.b64encode(b"o" * 32))
    code, out, told = run(target, "--keep", "1", "--data-dir", data)
    assert (code, len(os.listdir(target))) == (1, 3)
    assert "does not open the stored passwords (joyvl secrets check)" in told
    assert "No older backup was removed." in told
    assert "Removed" not in out
    assert (data / "secret.key").exists() is (key is not None)
    assert run(tmp_path / "without.tar", "--without-secrets", "--data-dir", data)[0] == 0
    (data / "secret.key").write_bytes(kept)
    assert run(target, "--keep", "1", "--compress", "--data-dir", data)[::2] == (0, "")
    assert len(os.listdir(target)) == 1
