"""A backup: what is in it, that it is whole or not there, and what is told of the rest."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from backup_world import FILES
from typer.testing import CliRunner

from fakes.server.small_disk import small_disk
from joyvl_server.cli.main import app
from joyvl_server.core.errors import StoreError
from joyvl_server.store.backup import backup as backup_module
from joyvl_server.store.backup import contents
from joyvl_server.store.backup.backup import make_backup
from joyvl_server.store.backup.restore import check_backup, restore_backup
from joyvl_server.store.sqlite.database_file import DatabaseFile


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def refused(code: str, *args: object, **more: object) -> str:
    with pytest.raises(StoreError) as caught:
        make_backup(*args, "1", **more)  # type: ignore[arg-type]
    assert caught.value.code == code
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
def test_all_that_is_kept_is_in_it(data: Path, tmp_path: Path, suffix: str):
    target = tmp_path / f"one{suffix}"
    report = make_backup(data, target, "1.2.3")
    assert names(target) == [
        "joyvl-backup.json", "joyvl.db", "ticks.db",
        *(name for part in (*contents.COPIED, *contents.SECRETS) for name in FILES if name.startswith(part)),
        "SHA256SUMS",
    ]  # fmt: skip
    assert (report.path, report.bytes, report.files) == (target, target.stat().st_size, len(FILES) + 2)
    assert set(report.left_out) == {"chroma", "models", "agents/home"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["data", target.name]
    assert check_backup(target).program == "1.2.3"


def test_sums_are_those_of_sha256sum(data: Path, tmp_path: Path):
    make_backup(data, tmp_path / "one.tar", "1")
    with tarfile.open(tmp_path / "one.tar") as tar:
        lines = tar.extractfile("SHA256SUMS").read().decode().splitlines()  # type: ignore[union-attr]
    assert f"{hashlib.sha256(b'a picture').hexdigest()}  timeline/2026-11-29/evt_1.jpg" in lines


def test_without_secrets_no_key_is_in_it(data: Path, tmp_path: Path):
    report = make_backup(data, tmp_path / "one.tar", "1", secrets=False)
    assert not [name for name in names(tmp_path / "one.tar") if name.startswith(contents.SECRETS)]
    assert not report.secrets
    assert {"secret.key", "signing.key", "tls"} <= set(report.left_out)


def test_what_is_not_ours_is_named_and_links_are_not_followed(data: Path, tmp_path: Path):
    (tmp_path / "outside").write_text("theirs")
    (data / "notes").mkdir()
    (data / "joyvl.db.before-0013").touch()
    (data / "media" / "link.mp4").symlink_to(tmp_path / "outside")
    (data / "hooks" / "hook_1.json").unlink()
    (data / "hooks").rmdir()
    (data / "hooks").symlink_to(tmp_path)
    report = make_backup(data, tmp_path / "one.tar", "1")
    assert {"notes", "hooks"} <= set(report.left_out)
    assert not [name for name in report.left_out if "before" in name]
    assert not [name for name in names(tmp_path / "one.tar") if "link" in name or name.startswith("hooks")]


def test_the_record_is_that_of_one_moment_while_others_write(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two rows are always written together; the copy goes page by page, and has both or none of each pair."""
    monkeypatch.setattr("joyvl_server.store.sqlite.copying.PAGES", 1)
    writer = DatabaseFile(data / "joyvl.db").connect()
    writer.execute("CREATE TABLE pairs (n INTEGER, filler BLOB)")
    written = 0

    def write_pair(*_: object) -> None:
        nonlocal written
        writer.execute("BEGIN")
        for _ in range(2):
            writer.execute("INSERT INTO pairs VALUES (?, randomblob(3000))", (written,))
        writer.execute("COMMIT")
        written += 1

    for _ in range(50):
        write_pair()
    make_backup(data, tmp_path / "one.tar", "1", told=write_pair)
    writer.close()
    assert written > 100  # it wrote in between
    restore_backup(tmp_path / "one.tar", tmp_path / "new")
    with closing(sqlite3.connect(tmp_path / "new" / "joyvl.db")) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT n) FROM pairs").fetchone() == (100, 50)


def test_an_interrupted_one_leaves_nothing(data: Path, tmp_path: Path):
    for stop_at in (1, 4, 8):
        calls = 0

        def interrupt(_done: int, _total: int, stop_at: int = stop_at) -> None:
            nonlocal calls
            calls += 1
            if calls == stop_at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make_backup(data, tmp_path / "one.tar", "1", told=interrupt)
        assert os.listdir(tmp_path) == ["data"]


def test_what_a_killed_one_left_is_tidied_up(data: Path, tmp_path: Path):
    left = tmp_path / ".one.tar.unfinished"
    left.mkdir()
    (left / "joyvl.db").write_text("half")
    make_backup(data, tmp_path / "one.tar", "1")
    assert sorted(os.listdir(tmp_path)) == ["data", "one.tar"]


def test_two_at_once_of_one_name(data: Path, tmp_path: Path):
    said: list[str] = []

    def second(_done: int, _total: int) -> None:
        if not said:
            said.append(refused("backup_target", data, tmp_path / "one.tar"))

    thread = threading.Thread(target=lambda: make_backup(data, tmp_path / "one.tar", "1", told=second))
    thread.start()
    thread.join()
    assert "Another backup" in said[0]
    check_backup(tmp_path / "one.tar")


def test_an_older_backup_is_not_written_over(data: Path, tmp_path: Path):
    (tmp_path / "one.tar").write_text("older")
    assert "there already" in refused("backup_target", data, tmp_path / "one.tar")
    assert (tmp_path / "one.tar").read_text() == "older"


def test_targets_that_are_none(data: Path, tmp_path: Path):
    assert "ends with .tar" in refused("backup_target", data, tmp_path / "one.zip")
    assert "no folder" in refused("backup_target", data, tmp_path / "missing" / "one.tar")
    assert "is no data folder of a server" in refused("store_unreachable", tmp_path, tmp_path / "one.tar")


@pytest.mark.parametrize("place", ["", "media", "timeline/2026-11-29", "hooks"])
def test_none_is_written_among_what_is_backed_up(data: Path, tmp_path: Path, place: str):
    (tmp_path / "link").symlink_to(data / place)
    for folder in (data / place, tmp_path / "link"):
        assert "the data folder" in refused("backup_target", data, folder / "one.tar")
        assert not list(folder.glob("*one*"))


def test_a_folder_of_its_own_in_the_data_folder_will_do(data: Path):
    (data / "backups").mkdir()
    make_backup(data, data / "backups" / "one.tar", "1")
    assert make_backup(data, data / "backups" / "two.tar", "1").left_out["backups"]


@pytest.mark.processes
def test_a_disk_without_space_is_found_before(data: Path, tmp_path: Path):
    with small_disk(tmp_path / "small") as disk:
        assert "needs" in refused("store_full", data, disk.path / "one.tar")
        assert os.listdir(disk.path) == []


@pytest.mark.processes
def test_a_disk_that_fills_up_meanwhile(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backup_module, "SPARE_BYTES", 0)
    with small_disk(tmp_path / "small", "4m") as disk:
        filled: list[bool] = []

        def fill(_done: int, _total: int) -> None:
            if not filled:
                filled.append(True)
                disk.fill()

        assert "No space left" in refused("store_io", data, disk.path / "one.tar", told=fill)
        assert os.listdir(disk.path) == ["other people's things"]


def test_a_damaged_record_is_told(data: Path, tmp_path: Path):
    path = data / "joyvl.db"
    with path.open("r+b") as file:
        for page in range(3, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(os.urandom(4096))
    assert "damaged" in refused("store_corrupt", data, tmp_path / "one.tar")
    assert os.listdir(tmp_path) == ["data"]


def test_ticks_that_cannot_be_read_are_left_out(data: Path, tmp_path: Path):
    (data / "ticks.db").write_bytes(os.urandom(8192))
    report = make_backup(data, tmp_path / "one.tar", "1")
    assert "ticks.db" in report.left_out
    assert "ticks.db" not in names(tmp_path / "one.tar")
    restore_backup(tmp_path / "one.tar", tmp_path / "new")


def test_a_file_that_goes_away_meanwhile_is_no_error(data: Path, tmp_path: Path):
    picture = data / "timeline/2026-11-29/evt_1.jpg"

    def remove(done: int, _total: int) -> None:
        picture.unlink(missing_ok=True)

    make_backup(data, tmp_path / "one.tar", "1", told=remove)
    assert "timeline/2026-11-29/evt_1.jpg" not in names(tmp_path / "one.tar")
    check_backup(tmp_path / "one.tar")


def test_odd_names_are_told_as_what_they_are(data: Path, tmp_path: Path):
    """Escape codes would go to the terminal, and bytes that are no UTF-8 are no text at all."""
    for name in ("\x1b[2Jnotes", "\udcffold", "plain notes ü"):
        (data / name).touch()
    result = CliRunner().invoke(app, ["backup", str(tmp_path / "one.tar"), "--data-dir", str(data)])
    assert result.exit_code == 0, result.output
    assert "Not in it: '\\x1b[2Jnotes' (" in result.output
    assert "Not in it: '\\udcffold' (" in result.output
    assert "Not in it: plain notes ü (" in result.output
