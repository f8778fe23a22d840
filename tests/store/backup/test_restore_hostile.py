"""Archives that somebody made to do harm: small to send, and large to read."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from joyvl_server.core.errors import StoreError
from joyvl_server.store.backup import archive as archive_module
from joyvl_server.store.backup import backup as backup_module
from joyvl_server.store.backup import bounds, restore
from joyvl_server.store.backup.archive import FORMAT, MANIFEST
from joyvl_server.store.backup.backup import make_backup
from joyvl_server.store.backup.restore import check_backup, restore_backup

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


def crowd(path: Path, count: int, size: int = 0, name: str = "timeline/{}", said: int = 0) -> Path:
    """An archive of very many small files; `said`: the bytes that it says they have."""
    manifest = {"format": FORMAT, "program": "1", "made_at": "", "databases": {"joyvl.db": 1}, "size": said}
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name_, data in (
            (MANIFEST, json.dumps(manifest).encode()),
            *((name.format(n), b"x" * size) for n in range(count)),
        ):
            member = tarfile.TarInfo(name_)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
            tar.members = []  # type: ignore[attr-defined]
    return path


@pytest.mark.parametrize("look", [True, False])
def test_files_beyond_counting_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: bool):
    monkeypatch.setattr(bounds, "MOST_FILES", 50)
    monkeypatch.setattr(bounds, "MOST_EMPTY", 20)
    for made, said in (
        (crowd(tmp_path / "many.tar.gz", 51, 1), "more than 50 files"),
        (crowd(tmp_path / "empty.tar.gz", 21), "more than 20 empty files"),
    ):
        if look:
            with pytest.raises(StoreError, match=said):
                check_backup(made)
        else:
            assert said in str(refused(made, tmp_path / "new"))
    assert "its end is missing" in str(refused(crowd(tmp_path / "few.tar.gz", 50, 1), tmp_path / "new"))


def test_a_list_of_very_long_names_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "LONGEST_SUMS", 5000)
    made = crowd(tmp_path / "one.tar.gz", 10, 1, "timeline/" + f"{'a' * 200}/" * 4 + "{}")
    assert "names are too long together" in str(refused(made, tmp_path / "new"))


def test_one_that_holds_far_more_than_it_says_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "SPARE_BYTES", 1000)
    made = crowd(tmp_path / "one.tar.gz", 10, 700, said=100)
    assert "far more than it says" in str(refused(made, tmp_path / "new"))
    assert "its end is missing" in str(refused(crowd(tmp_path / "two.tar.gz", 10, 700, said=3000), tmp_path / "new"))


def test_folders_beyond_counting_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounds, "MOST_FOLDERS", 30)
    made = crowd(tmp_path / "one.tar.gz", 10, 1, "timeline/{}/a/b/c/x")
    assert "more than 30 folders" in str(refused(made, tmp_path / "new"))
    with pytest.raises(StoreError, match="more than 30 folders"):
        check_backup(made)
    fits = crowd(tmp_path / "fits.tar.gz", 200, 1, "timeline/a/b/c/{}")
    assert "its end is missing" in str(refused(fits, tmp_path / "new"))
    monkeypatch.undo()
    deep = crowd(tmp_path / "deep.tar.gz", 1, 1, "timeline/" + "a/" * 64 + "{}")
    assert "does not belong" in str(refused(deep, tmp_path / "new"))


def test_a_disk_that_has_no_room_for_more_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = os.statvfs(tmp_path)
    full = os.statvfs_result((*found[:5], 1000, 0, 5, *found[8:10]))
    monkeypatch.setattr(restore.os, "statvfs", lambda _: full)
    error = refused(crowd(tmp_path / "one.tar.gz", 3, 1), tmp_path / "new")
    assert (error.code, "df -i" in str(error)) == ("store_full", True)


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ("MOST_FILES", "more than {} files"), ("MOST_EMPTY", "more than {} empty files"),
        ("MOST_FOLDERS", "more than {} folders"), ("LONGEST_SUMS", "names are too long together"),
    ],
)  # fmt: skip
def test_a_backup_that_nobody_could_restore_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path, bound: str, said: str
):
    for n in range(8):
        path = data / "media" / str(n) / "empty.mp4"
        path.parent.mkdir()
        path.touch()
    make_backup(data, tmp_path / "one.tar", "1")
    with tarfile.open(tmp_path / "one.tar") as tar:
        *files, sums = tar.getmembers()[1:]
    held = {
        "MOST_FILES": len(files),
        "MOST_EMPTY": 8,
        "MOST_FOLDERS": len({str(path) for file in files for path in Path(file.name).parents if path.name}),
        "LONGEST_SUMS": sums.size,
    }[bound]
    monkeypatch.setattr(bounds, bound, held)
    if bound == "LONGEST_SUMS":
        monkeypatch.setattr(archive_module, bound, held)
    make_backup(data, tmp_path / "two.tar", "1")
    check_backup(tmp_path / "two.tar")
    monkeypatch.setattr(bounds, bound, held - 1)
    with pytest.raises(StoreError, match=f"could not be restored: .*{said.format(held - 1)}"):
        make_backup(data, tmp_path / "three.tar", "1")
    with pytest.raises(StoreError, match=said.format(held - 1)):
        check_backup(tmp_path / "two.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "one.tar", "two.tar"]


def test_a_file_that_cannot_be_in_it_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path):
    monkeypatch.setattr(backup_module, "MOST_NAMED", 2)
    deep = data / "media" / "/".join("a" * 64)
    deep.mkdir(parents=True)
    odd = ["film\u2028one.mp4", "film\x85two.mp4", "film\rthree.mp4", "film \\n four.mp4", "film\udcff.mp4"]
    for path in (*(data / "media" / name for name in odd), data / "media/a\nb.mp4", data / "media/c\n", deep / "film"):
        path.write_bytes(path.name.encode("utf-8", "surrogateescape"))
    left_out = make_backup(data, tmp_path / "one.tar", "1").left_out
    assert {"media/a\nb.mp4", "1 more files"} < set(left_out)
    assert "line break" in left_out["media/a\nb.mp4"]
    check_backup(tmp_path / "one.tar")
    restore_backup(tmp_path / "one.tar", tmp_path / "new")
    restored = {path.name for path in (tmp_path / "new/media").iterdir()}
    assert restored == {*odd, "door.mp4"}
    assert (tmp_path / "new/media" / odd[0]).read_bytes() == odd[0].encode()


def test_a_database_that_holds_nothing_is_found_when_the_backup_is_made(tmp_path: Path, data: Path):
    (data / "ticks.db").write_bytes(b"")
    assert "holds nothing" in make_backup(data, tmp_path / "one.tar", "1").left_out["ticks.db"]
    restore_backup(tmp_path / "one.tar", tmp_path / "new")
    (data / "joyvl.db").write_bytes(b"")
    with pytest.raises(StoreError, match=r"joyvl\.db holds nothing of a server"):
        make_backup(data, tmp_path / "two.tar", "1")


@pytest.mark.parametrize("kind", [tarfile.BLKTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"Z"])
def test_devices_and_kinds_that_nobody_knows_are_refused(tmp_path: Path, kind: bytes):
    made = archive(tmp_path / "one.tar", b"x", {})
    text = bytearray(made.read_bytes())
    at = text.index(NAME.encode())
    head = tarfile.TarInfo(NAME)
    head.size, head.type = 1, kind
    text[at : at + 512] = head.tobuf(tarfile.GNU_FORMAT)
    made.write_bytes(text)
    refused(made, tmp_path / "new")


@pytest.mark.parametrize("time", ["1e30", "1e400", "nan"])
def test_a_time_that_is_none_is_no_error_of_the_program(tmp_path: Path, time: str):
    made = archive(tmp_path / "one.tar", b"x", {"mtime": time})
    assert "its end is missing" in str(refused(made, tmp_path / "new"))
