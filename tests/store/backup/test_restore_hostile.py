"""Archives that somebody made to do harm: small to send, and large to read."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from joyvl_server.core.errors import StoreError
from joyvl_server.store.backup.archive import FORMAT, MANIFEST
from joyvl_server.store.backup.restore import restore_backup

NAME = "timeline/x"


def archive(path: Path, content: bytes, about: dict[str, str], mode: str = "w", of: str = NAME) -> Path:
    """With one file, and these words about the file `of`."""
    manifest = {"format": FORMAT, "program": "1", "made_at": "", "databases": {"joyvl.db": 1}, "secrets": True}
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for name, data in ((MANIFEST, json.dumps(manifest).encode()), (NAME, content)):
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = len(data), about if name == of else {}
            tar.addfile(member, io.BytesIO(data))
    return path


def refused(made: Path, folder: Path) -> StoreError:
    with pytest.raises(StoreError) as caught:
        restore_backup(made, folder)
    assert [path.name for path in folder.glob("*") if path.name != "joyvl.lock"] == []
    return caught.value


def test_a_file_with_holes_is_not_filled_up(tmp_path: Path):
    about = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": NAME, "GNU.sparse.realsize": "50000000",
    }  # fmt: skip
    made = archive(tmp_path / "one.tar", b"1\n0\n1\n".ljust(512, b"\0") + b"x", about)
    assert "no plain file" in str(refused(made, tmp_path / "new"))


@pytest.mark.parametrize("of", [MANIFEST, NAME])
def test_words_about_a_file_are_not_read_without_end(tmp_path: Path, of: str):
    made = archive(tmp_path / "one.tar.gz", b"x", {"comment": "a" * 200_000}, "w:gz", of)
    assert made.stat().st_size < 2000
    assert ("is no backup" if of == MANIFEST else "cannot be read to its end") in str(refused(made, tmp_path / "new"))


def test_a_file_that_is_larger_than_the_disk_is_refused_before_it_is_written(tmp_path: Path):
    made = archive(tmp_path / "one.tar", b"x" * 512, {})
    text = bytearray(made.read_bytes())
    at = text.index(NAME.encode())
    head = tarfile.TarInfo(NAME)
    head.size = 1 << 55
    text[at : at + 512] = head.tobuf(tarfile.GNU_FORMAT)
    made.write_bytes(text)
    assert refused(made, tmp_path / "new").code == "store_full"


@pytest.mark.parametrize("time", ["1e30", "1e400", "nan"])
def test_a_time_that_is_none_is_no_error_of_the_program(tmp_path: Path, time: str):
    made = archive(tmp_path / "one.tar", b"x", {"mtime": time})
    assert "its end is missing" in str(refused(made, tmp_path / "new"))
