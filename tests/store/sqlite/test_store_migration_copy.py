"""Before an existing database is migrated it is copied: the copy is the old one, whole; the newest two stay."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from store_records import camera

from fakes.server.small_disk import small_disk
from joyvl_server.core.errors import StoreError
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.erasures import Erasures
from joyvl_server.store.sqlite import copying
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.migrate import MIGRATIONS, numbered

NEWEST = len(numbered(MIGRATIONS))


def later(folder: Path, count: int) -> Path:
    """Our migrations and so many more."""
    made = folder / f"migrations-{count}"
    shutil.copytree(MIGRATIONS, made)
    for number in range(NEWEST + 1, NEWEST + 1 + count):
        (made / f"{number:04d}_more.sql").write_text(f"CREATE TABLE more_{number} (x);")
    return made


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def copies(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if "before" in name)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    db = await Database.open(folder / "joyvl.db")
    await Cameras(db).add(camera())
    await db.aclose()
    return folder / "joyvl.db"


async def test_a_new_database_and_one_that_is_new_enough_are_not_copied(path: Path):
    await (await Database.open(path)).aclose()
    assert copies(path.parent) == []


async def test_the_copy_is_the_old_database(path: Path, tmp_path: Path):
    await (await Database.open(path, migrations=later(tmp_path, 2))).aclose()
    (name,) = copies(path.parent)
    assert name == f"joyvl.db.before-{NEWEST + 1:04d}"
    assert (version(path), version(path.with_name(name))) == (NEWEST + 2, NEWEST)
    assert stat.S_IMODE(path.with_name(name).lstat().st_mode) == 0o600
    shutil.move(path.with_name(name), path)  # as the docs say, with the older program
    db = await Database.open(path)
    assert [found.name for found in await Cameras(db).list()] == ["front"]
    await db.aclose()


async def test_what_was_not_yet_in_the_file_itself_is_in_the_copy(path: Path, tmp_path: Path):
    """A killed server leaves its newest records in the log beside the file."""
    killed = tmp_path / "killed"
    killed.mkdir()
    db = await Database.open(path)
    await Cameras(db).add(camera(name="back"))
    for name in os.listdir(path.parent):
        shutil.copy(path.parent / name, killed)
    await db.aclose()
    await (await Database.open(killed / "joyvl.db", migrations=later(tmp_path, 1))).aclose()
    (name,) = copies(killed)
    with closing(sqlite3.connect(killed / name)) as connection:
        assert connection.execute("SELECT count(*) FROM cameras").fetchone() == (2,)


async def test_the_last_two_stay(path: Path, tmp_path: Path):
    for count in (1, 2, 3):
        await (await Database.open(path, migrations=later(tmp_path, count))).aclose()
    assert copies(path.parent) == [f"joyvl.db.before-{NEWEST + n:04d}" for n in (2, 3)]


async def test_a_migration_that_fails_leaves_the_copy_and_tries_again(path: Path, tmp_path: Path):
    migrations = later(tmp_path, 1)
    script = migrations / f"{NEWEST + 1:04d}_more.sql"
    script.write_text("SELECT * FROM nowhere;")
    for _ in range(2):
        with pytest.raises(StoreError, match="nowhere"):
            await Database.open(path, migrations=migrations)
    assert copies(path.parent) == [f"joyvl.db.before-{NEWEST + 1:04d}"]
    assert version(path) == NEWEST


async def test_a_copy_that_was_cut_short_is_made_again(path: Path, tmp_path: Path):
    left = path.with_name(f"joyvl.db.before-{NEWEST + 1:04d}{copying.UNFINISHED}")
    left.write_text("half")
    await (await Database.open(path, migrations=later(tmp_path, 1))).aclose()
    assert copies(path.parent) == [left.name.removesuffix(copying.UNFINISHED)]


@pytest.mark.processes
async def test_without_space_nothing_is_changed(tmp_path: Path):
    with small_disk(tmp_path / "small", "3m") as disk:
        path = disk.path / "joyvl.db"
        db = await Database.open(path)
        await db.write(lambda c: c.execute("CREATE TABLE filler AS SELECT randomblob(1500000) AS x") and None)
        await db.aclose()
        migrations = later(tmp_path, 1)
        with pytest.raises(StoreError, match="Free some space") as caught:
            await Database.open(path, migrations=migrations)
        assert caught.value.code == "store_full"
        assert version(path) == NEWEST
        assert copies(disk.path) == []


async def test_what_is_forgotten_is_in_no_copy(path: Path, tmp_path: Path):
    db = await Database.open(path, migrations=later(tmp_path, 1))
    assert copies(path.parent)
    ticks = await Database.open(tmp_path / "ticks.db", migrations=MIGRATIONS / "ticks")
    assert await Erasures(db, ticks).purge()
    assert copies(path.parent) == []
    await ticks.aclose()
    await db.aclose()
