"""Restoring: into an empty folder only, what is whole only, and nothing outside that folder."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from backup_world import FILES
from store_records import camera

from fakes.server.small_disk import small_disk
from joyvl_server.core.errors import StoreError
from joyvl_server.store.backup.archive import MANIFEST, SUMS
from joyvl_server.store.backup.backup import make_backup
from joyvl_server.store.backup.contents import SECRETS
from joyvl_server.store.backup.restore import UNFINISHED, check_backup, restore_backup
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.folder import DataFolder
from joyvl_server.store.sqlite.database_file import DatabaseFile
from joyvl_server.store.sqlite.migrate import MIGRATIONS, numbered
from joyvl_server.store.store import Store

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def archive(data: Path, tmp_path: Path) -> Path:
    make_backup(data, tmp_path / "one.tar", "1")
    return tmp_path / "one.tar"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return tmp_path / "new"


def there(folder: Path) -> list[str]:
    return sorted(set(os.listdir(folder)) - {"joyvl.lock"}) if folder.exists() else []


def refused(code: str, archive: Path, folder: Path) -> str:
    """It is refused, and nothing is left of it."""
    before = there(folder)
    with pytest.raises(StoreError) as caught:
        restore_backup(archive, folder)
    assert caught.value.code == code, caught.value
    assert there(folder) == before
    return str(caught.value)


def changed(archive: Path, change: Callable[[Members], object], name: str = "other.tar") -> Path:
    """A backup with other members."""
    members: Members = []
    with tarfile.open(archive) as tar:
        for member in tar:
            members.append((member, tar.extractfile(member).read() if member.isreg() else b""))  # type: ignore[union-attr]
    change(members)
    made = archive.with_name(name)
    with tarfile.open(made, "w") as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return made


def with_file(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> Callable[[Members], object]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return lambda members: members.insert(len(members) - 1, (member, b"evil" if kind == tarfile.REGTYPE else b""))


def replaced(name: str, old: bytes, text: bytes) -> Callable[[Members], object]:
    def change(members: Members) -> None:
        for n, (member, content) in enumerate(members):
            if member.name == name:
                assert old in content
                members[n] = (member, content.replace(old, text))

    return change


def test_all_is_back_for_its_owner_alone(archive: Path, new: Path):
    manifest = restore_backup(archive, new)
    assert (manifest.program, manifest.secrets) == ("1", True)
    assert {name: (new / name).read_bytes() for name in FILES} == FILES
    assert there(new) == ["agents", "hooks", "joyvl.db", "media", *SECRETS[:2], "ticks.db", "timeline", "tls"]
    assert {stat.S_IMODE(path.lstat().st_mode) for path in new.rglob("*")} == {0o700, 0o600}
    assert stat.S_IMODE(new.stat().st_mode) == 0o700


async def test_a_store_opens_on_it(archive: Path, new: Path):
    restore_backup(archive, new)
    store = await Store.open(new)
    (camera,) = await Cameras(store.main).list()
    assert (camera.name, camera.url) == ("front", "rtsp://cam:geheim@10.0.0.2/x")
    await store.aclose()


async def test_cameras_play_their_files_from_the_new_folder(data: Path, tmp_path: Path):
    new, far = tmp_path / "new place", "file:///srv/media/door.mp4"
    files = {
        "door": ((data / "media/door.mp4").as_uri(), (new / "media/door.mp4").as_uri()),
        "blank": (f"file://{data}/media/the door.mp4", f"file://{new.as_uri()[7:]}/media/the door.mp4"),
        "similar": (f"file://{data}/media-2/door.mp4", f"file://{data}/media-2/door.mp4"),
        "far": (far, far),
    }
    store = await Store.open(data)
    for name, (url, _) in files.items():
        await Cameras(store.main).add(camera(name=name, url=url))
    await store.aclose()
    make_backup(data, tmp_path / "two.tar", "1")
    restore_backup(tmp_path / "two.tar", new)
    store = await Store.open(new)
    found = {one.name: one.url for one in await Cameras(store.main).list()}
    await store.aclose()
    assert {name: found[name] for name in files} == {name: url for name, (_, url) in files.items()}
    assert found["front"].startswith("rtsp://cam:geheim@")  # sealed, and as it was


def test_into_a_folder_that_is_there_and_empty(archive: Path, new: Path):
    new.mkdir()
    (new / "lost+found").mkdir()
    restore_backup(archive, new)
    assert (new / "joyvl.db").exists()


@pytest.mark.parametrize("name", ["joyvl.db", "notes.txt", ".hidden"])
def test_a_folder_that_is_not_empty_is_refused_and_left_alone(archive: Path, new: Path, name: str):
    new.mkdir(mode=0o755)
    (new / name).write_text("theirs")
    assert name in refused("backup_target", archive, new)
    assert os.listdir(new) == [name]
    assert stat.S_IMODE(new.stat().st_mode) == 0o755


def test_a_folder_that_a_server_has_is_refused(archive: Path, new: Path):
    held = DataFolder.open(new)
    assert "Another joyvl-server" in refused("store_locked", archive, new)
    held.close()


def test_a_killed_one_begins_again(archive: Path, new: Path):
    (new / UNFINISHED / "timeline").mkdir(parents=True)
    (new / UNFINISHED / "joyvl.db").write_text("half")
    restore_backup(archive, new)
    assert not (new / UNFINISHED).exists()


def test_an_interrupted_one_leaves_nothing(archive: Path, new: Path):
    def interrupt(done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_backup(archive, new, told=interrupt)
    assert not new.exists()
    restore_backup(archive, new)


def test_one_that_fails_leaves_no_folder_that_was_not_there(archive: Path, tmp_path: Path):
    torn = tmp_path / "torn.tar"
    torn.write_bytes(archive.read_bytes()[:200_000])
    refused("backup_damaged", torn, tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    (tmp_path / "empty").mkdir()
    refused("backup_damaged", torn, tmp_path / "empty")
    assert os.listdir(tmp_path / "empty") == []
    (tmp_path / "empty" / "joyvl.lock").touch()  # of a server that was here
    refused("backup_damaged", torn, tmp_path / "empty")
    assert os.listdir(tmp_path / "empty") == ["joyvl.lock"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_one_that_is_cut_off_anywhere_is_damaged(data: Path, tmp_path: Path, new: Path, suffix: str):
    whole = tmp_path / f"whole{suffix}"
    make_backup(data, whole, "1")
    content = whole.read_bytes()
    # The last blocks of a tar archive are empty.
    end = content.index(b"SHA256SUMS") if suffix == ".tar" else len(content) - 200
    for share in range(12):
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(content[: end * share // 11])
        refused("backup_damaged", cut, new)
        with pytest.raises(StoreError):
            check_backup(cut)


def test_every_changed_byte_is_found(archive: Path, tmp_path: Path, new: Path):
    content = archive.read_bytes()
    for name in (b"a picture", b"a clip", b"SQLite format 3", b"an answer"):
        other = tmp_path / "other.tar"
        other.write_bytes(content.replace(name, name[:-1] + b"!", 1))
        refused("backup_damaged", other, new)


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\0" * 4096, os.urandom(20_000)])
def test_other_files_are_no_backups(tmp_path: Path, new: Path, content: bytes):
    (tmp_path / "other.tar").write_bytes(content)
    assert "no backup" in refused("backup_damaged", tmp_path / "other.tar", new)
    assert not new.exists()


def test_a_file_that_is_not_there(tmp_path: Path, new: Path):
    assert "No such file" in refused("store_io", tmp_path / "missing.tar", new)


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "timeline/../../evil", "timeline/./x", "evil", "chroma/x", "joyvl.lock", "timeline//x",
     "agents/home/x", "joyvl.db/x", "timelinex", "timeline/" + "x" * 2000],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(archive: Path, tmp_path: Path, new: Path, name: str):
    other = changed(archive, with_file(name))
    before = sorted(path for path in tmp_path.rglob("*"))
    assert "does not belong" in refused("backup_damaged", other, new)
    assert [path for path in sorted(tmp_path.rglob("*")) if new not in (path, *path.parents)] == before
    with pytest.raises(StoreError, match="does not belong"):
        check_backup(other)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_plain_file_is_refused(archive: Path, new: Path, kind: bytes):
    other = changed(archive, with_file("timeline/x", kind, "/etc/passwd"))
    assert "no plain file" in refused("backup_damaged", other, new)


def test_a_link_cannot_be_written_through(archive: Path, tmp_path: Path, new: Path):
    """A link first, then a file below it: the link is refused before anything is written."""
    other = changed(archive, with_file("timeline/x", tarfile.SYMTYPE, str(tmp_path)))
    other = changed(other, with_file("timeline/x/evil"), "third.tar")
    refused("backup_damaged", other, new)
    assert not (tmp_path / "evil").exists()


def test_files_that_nobody_listed_are_refused(archive: Path, new: Path):
    assert "not as they were written" in refused(
        "backup_damaged", changed(archive, with_file("timeline/more.jpg")), new
    )
    twice = changed(archive, with_file("media/door.mp4"))
    assert "twice" in refused("backup_damaged", twice, new)
    gone = changed(archive, lambda members: members.pop(4))
    refused("backup_damaged", gone, new)


def test_a_newer_program_s_backup_is_refused_before_anything_is_written(archive: Path, new: Path):
    version = len(numbered(MIGRATIONS))
    newer = replaced(MANIFEST, f'"joyvl.db": {version}'.encode(), f'"joyvl.db": {version + 1}'.encode())
    assert "newer joyvl-server" in refused("store_newer", changed(archive, newer), new)
    newer = replaced(MANIFEST, b'"format": 1', b'"format": 2')
    assert "newer joyvl-server" in refused("store_newer", changed(archive, newer), new)
    assert not new.exists()


def test_a_record_that_is_newer_than_it_says_is_refused(data: Path, tmp_path: Path, new: Path):
    """A manifest could lie."""
    connection = DatabaseFile(data / "joyvl.db").connect()
    version = len(numbered(MIGRATIONS))
    connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.close()
    make_backup(data, tmp_path / "one.tar", "1")

    def lie(members: Members) -> None:
        old = members[0][1]
        text = old.replace(f'"joyvl.db": {version + 1}'.encode(), f'"joyvl.db": {version}'.encode())
        members[0] = (members[0][0], text)
        sums = members[-1][1].replace(sha256(old).hexdigest().encode(), sha256(text).hexdigest().encode())
        members[-1] = (members[-1][0], sums)

    assert "newer joyvl-server" in refused("store_newer", changed(tmp_path / "one.tar", lie, "lie.tar"), new)


def test_a_backup_without_a_record_is_damaged(archive: Path, new: Path):
    def without(members: Members) -> None:
        del members[1]
        members[-1] = (members[-1][0], b"".join(l for l in members[-1][1].splitlines(True) if b" joyvl.db" not in l))

    refused("backup_damaged", changed(archive, without), new)


def test_the_list_says_what_was_written(archive: Path, new: Path):
    """A list of files that was changed along with a file is no secret: the database in it is looked at as well."""

    def change(members: Members) -> None:
        old = members[1][1]
        text = old[:4096] + b"\xff" * (len(old) - 4096)
        members[1] = (members[1][0], text)
        sums = members[-1][1].replace(sha256(old).hexdigest().encode(), sha256(text).hexdigest().encode())
        members[-1] = (members[-1][0], sums)

    assert members_end(archive) == SUMS
    assert "joyvl.db in it" in refused("backup_damaged", changed(archive, change), new)


def members_end(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        return tar.getnames()[-1]


@pytest.mark.processes
def test_a_disk_that_is_too_small_is_found_before(archive: Path, tmp_path: Path):
    with small_disk(tmp_path / "small", "300k") as disk:
        assert "needs" in refused("store_full", archive, disk.path / "new")
        assert not (disk.path / "new" / "joyvl.db").exists()
