"""`joyvl secrets`: what is asked, and what is said where there is nothing to work on."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_records import camera
from typer.testing import CliRunner

from joyvl_server.cli.main import app
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.folder import DataFolder
from joyvl_server.store.store import Store


def run(folder: Path, *words: str, typed: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(app, ["secrets", *words, "--data-dir", str(folder)], input=typed)
    return result.exit_code, result.output


@pytest.mark.parametrize("command", ["check", "give-up", "rotate"])
def test_a_folder_that_is_none_is_told_and_not_made(tmp_path, command):
    code, said = run(tmp_path / "none", command)
    assert (code, f"The data folder {tmp_path / 'none'} is not there" in said) == (2, True)
    assert "lost for good" not in said
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").touch()
    assert "is a file, not a folder" in run(tmp_path / "file", command)[1]


async def test_nothing_is_asked_while_a_server_has_the_folder(tmp_path):
    store = await Store.open(tmp_path)
    await Cameras(store.main).add(camera(id="cam_1"))
    await store.aclose()
    assert run(tmp_path, "check")[1].startswith("1 stored secret, sealed with the key ")
    (tmp_path / "secret.key").unlink()
    held = DataFolder.open(tmp_path)
    code, said = run(tmp_path, "give-up")
    held.close()
    assert (code, "Another joyvl-server" in said, "lost for good" in said) == (1, True, False)
    code, said = run(tmp_path, "give-up", typed="n\n")
    assert (code, "lost for good?" in said) == (1, True)
    code, said = run(tmp_path, "give-up", typed="y\n")
    assert (code, "to be written again: cameras/cam_1" in said) == (0, True)
