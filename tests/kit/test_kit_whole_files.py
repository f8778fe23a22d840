"""Small files: whole or not at all, for the owner alone."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from joyvl_server.kit import whole_files
from joyvl_server.kit.whole_files import write_whole


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_modes_are_those_asked_for_whatever_the_mask(tmp_path: Path, mask: int):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "key", b"secret")
        write_whole(tmp_path / "certificate", b"public", mode=0o644)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "key"), mode(tmp_path / "certificate")) == (0o600, 0o644)


def test_an_old_file_is_replaced_with_its_mode(tmp_path: Path):
    file = tmp_path / "key"
    file.write_bytes(b"old")
    file.chmod(0o666)
    write_whole(file, b"new")
    assert (file.read_bytes(), mode(file), os.listdir(tmp_path)) == (b"new", 0o600, ["key"])


def test_the_first_counts_where_nothing_is_to_be_replaced(tmp_path: Path):
    file = tmp_path / "key"
    failed: list[bytes] = []

    def write(content: bytes) -> None:
        try:
            write_whole(file, content, replace=False)
        except FileExistsError:
            failed.append(content)

    threads = [threading.Thread(target=write, args=(bytes([n]) * 32,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) == 7
    assert file.read_bytes() not in failed
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize("fails", ["fsync", "fdopen"])
def test_what_fails_leaves_the_old_one_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str):
    file = tmp_path / "key"
    file.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_files.os, fails, full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert (file.read_bytes(), os.listdir(tmp_path)) == (b"old", ["key"])


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[list[str]] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(sorted(name.partition("-")[0] for name in os.listdir(tmp_path)))
        fsync(descriptor)

    monkeypatch.setattr(whole_files.os, "fsync", noted)
    write_whole(tmp_path / "key", b"new")
    assert synced == [[".key"], ["key"]]  # the file, then the folder


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path):
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / "key").symlink_to(tmp_path / "theirs")
    write_whole(tmp_path / "key", b"new")
    assert ((tmp_path / "theirs").read_bytes(), (tmp_path / "key").is_symlink()) == (b"theirs", False)
