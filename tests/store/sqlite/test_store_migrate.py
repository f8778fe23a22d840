import shutil
import sqlite3

import pytest
from store_records import drained, event

from joyvl_server.core.errors import StoreError
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.events import Events
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.migrate import MIGRATIONS, migrate, numbered, statements
from joyvl_server.store.watches import Watches


@pytest.fixture
def later(tmp_path):
    """Our migrations and one more."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    number = len(numbered(folder)) + 1
    (folder / f"{number:04d}_stars.sql").write_text(
        "ALTER TABLE events ADD COLUMN stars INTEGER NOT NULL DEFAULT 0; -- not; yet\n"
        "CREATE TRIGGER rate AFTER INSERT ON events BEGIN\n"
        "  UPDATE events SET stars = 5 WHERE seq = new.seq;\n"
        "  UPDATE events SET stars = stars WHERE seq = new.seq;\nEND;\n"
        "UPDATE events SET stars = 3"
    )
    return folder


def version(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()


async def test_a_new_database_has_the_newest_version(tmp_path):
    await (await Database.open(tmp_path / "joyvl.db")).aclose()
    assert version(tmp_path / "joyvl.db") == len(numbered(MIGRATIONS)) >= 1


async def test_an_older_database_is_migrated_with_all_that_is_in_it(tmp_path, later):
    path = tmp_path / "joyvl.db"
    db = await Database.open(path)
    Events(db).post(event(text="old"))
    await db.aclose()

    db = await Database.open(path, migrations=later)
    Events(db).post(event(text="new"))
    await drained(db)
    rows = await db.read(lambda c: [tuple(r) for r in c.execute("SELECT text, stars FROM events ORDER BY seq")])
    await db.aclose()
    assert rows == [("old", 3), ("new", 5)]
    assert version(path) == len(numbered(later))


async def test_cameras_and_watches_of_the_first_version_are_taken_over(tmp_path):
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(MIGRATIONS / "0001_initial.sql", first)
    path = tmp_path / "joyvl.db"
    db = await Database.open(path, migrations=first)
    old_camera = (
        "INSERT INTO cameras VALUES ('cam_1','front','rtsp://h/x',1,0,1.0,NULL,0.5,'[]','ses_1',1.0,2.0)",
        "INSERT INTO sessions VALUES ('ses_1','camera','front','cam_1','motion',NULL,1.0,NULL,NULL)",
        "INSERT INTO watches VALUES ('wch_1','ses_1','comes','when someone comes in','[]',NULL,0,1.0)",
    )
    await db.write(lambda c: [c.execute(statement) for statement in old_camera] and None)
    await db.aclose()

    db = await Database.open(path)
    (camera,) = await Cameras(db).list()
    assert (camera.name, camera.url, camera.enabled, camera.spec) == ("front", "rtsp://h/x", True, '{"threshold":0.5}')
    (watch,) = await Watches(db).list("ses_1")
    assert (watch.text, watch.query_id) == ("when someone comes in", None)
    assert watch.fires_at == (WatchKind.ENTER,)  # as its words say, like a new one
    await db.aclose()


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(tmp_path, later):
    path = tmp_path / "joyvl.db"
    await (await Database.open(path, migrations=later)).aclose()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer joyvl-server") as caught:
        await Database.open(path)
    assert caught.value.code == "store_newer"
    assert path.read_bytes() == before


async def test_a_migration_that_fails_is_undone_whole(tmp_path, later):
    path = tmp_path / "joyvl.db"
    await (await Database.open(path)).aclose()
    number = len(numbered(later))
    broken = later / f"{number + 1:04d}_broken.sql"
    broken.write_text("CREATE TABLE half (x);\nINSERT INTO half VALUES (1);\nSELECT * FROM nowhere;\n")
    with pytest.raises(StoreError, match="nowhere"):
        await Database.open(path, migrations=later)
    assert version(path) == number
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone()[0] == 0
    connection.close()

    broken.write_text("CREATE TABLE half (x);")
    await (await Database.open(path, migrations=later)).aclose()
    assert version(path) == number + 1


async def test_opening_twice_migrates_once(tmp_path, later):
    path = tmp_path / "joyvl.db"
    for _ in range(2):
        await (await Database.open(path, migrations=later)).aclose()
    assert version(path) == len(numbered(later))


def test_another_process_that_was_faster_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / "joyvl.db"
    ours, theirs = (sqlite3.connect(path, isolation_level=None) for _ in range(2))
    first_look = [True]

    def look(connection):
        if first_look.pop() if first_look else False:
            migrate(theirs, MIGRATIONS, path)
            return 0
        return connection.execute("PRAGMA user_version").fetchone()[0]

    monkeypatch.setattr("joyvl_server.store.sqlite.migrate._version", look)
    assert migrate(ours, MIGRATIONS, path) == len(numbered(MIGRATIONS))
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    "names", [["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"], ["1.sql"]]
)
def test_numbers_have_no_gaps(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(StoreError, match="missing or misnamed"):
        numbered(tmp_path)


def test_statements_are_split_where_they_end():
    script = (
        "-- a; b\nCREATE TABLE a (x TEXT DEFAULT ';');\n"
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n SELECT 1;\nEND;\nSELECT 2\n"
    )
    assert len(list(statements(script))) == 3
    assert list(statements("\n \n")) == []
