"""A database of the first version under the newest server: everything stays, also where the upgrade is killed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from fakes import first_landing
from fakes.patience import wait_until
from fakes.server.server import ServerProcess
from joyvl_server.store.sqlite.migrate import MIGRATIONS, numbered

EVENTS = 3000
OPEN = """
import asyncio, sys
from pathlib import Path
from joyvl_server.store.sqlite.database import Database
asyncio.run(Database.open(Path(sys.argv[1]), migrations=Path(sys.argv[2])))
"""
ENDLESS = (
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) INSERT INTO filler SELECT randomblob(500) FROM n;"
)


def opening(path: Path, migrations: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", OPEN, str(path), str(migrations)], env=env)


def looked(path: Path) -> tuple[int, int, int]:
    """(version, events, tables that are called filler); the database is whole."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
        (filler,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'filler'").fetchone()
    return version, events, filler


@pytest.fixture
def old(tmp_path: Path) -> Path:
    first_landing.make(tmp_path / "data", EVENTS)
    return tmp_path / "data" / "joyvl.db"


def killed_in_the_middle(path: Path, migrations: Path) -> None:
    process = opening(path, migrations)
    log = path.with_name("joyvl.db-wal")
    # SQLite writes into its log before the end of a transaction once that is larger than its memory.
    wait_until(lambda: log.exists() and log.stat().st_size > 30_000_000, process.poll)
    process.kill()
    process.wait()


def migrations_with(folder: Path, last: str) -> Path:
    """Ours, and one more that makes a table and does `last`."""
    made = folder / f"migrations-{len(last)}"
    shutil.copytree(MIGRATIONS, made)
    (made / f"{len(numbered(MIGRATIONS)) + 1:04d}_filler.sql").write_text(f"CREATE TABLE filler (x);\n{last}")
    return made


def test_killed_in_the_middle_of_a_migration(old: Path, tmp_path: Path):
    """What that migration did is gone, those before it stay, and the next start does the rest."""
    newest = len(numbered(MIGRATIONS))
    endless = migrations_with(tmp_path, ENDLESS)
    for _ in range(2):
        killed_in_the_middle(old, endless)
        assert looked(old) == (newest, EVENTS, 0)
    with closing(sqlite3.connect(old.with_name("joyvl.db.before-0002"))) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (EVENTS,)
    assert opening(old, migrations_with(tmp_path, "")).wait() == 0
    assert looked(old) == (newest + 1, EVENTS, 1)


def test_everything_of_the_first_version_is_there_after_an_upgrade_that_was_killed(tmp_path: Path):
    folder = tmp_path / "data"
    events = first_landing.make(folder, EVENTS)
    for pause_s in (0.0, 0.02, 0.05, 0.1):
        server = ServerProcess(folder)
        try:
            killed = killed_while_it_begins(server, folder, pause_s)
        finally:
            server.kill()
        if not killed:
            break
    with ServerProcess(folder) as server:
        cameras = sorted(server.call("GET", "/v1/cameras")["data"], key=lambda camera: str(camera["id"]))
        assert [(c["id"], c["name"], c["enabled"], c["threshold"]) for c in cameras] == [
            (f"cam_{n:026d}", name, False, 0.25) for n, name in enumerate(first_landing.CAMERAS, 1)
        ]
        assert [c["url"] for c in cameras] == [f"rtsp://cam:***@127.0.0.1:9/{name}" for name in first_landing.CAMERAS]
        assert [zone["name"] for zone in cameras[0]["zones"]] == ["door"]
        for camera in cameras:
            assert [w["text"] for w in camera["watches"]] == list(first_landing.WATCHES)
            assert [(w["name"], w["threshold"], w["zones"]) for w in camera["watches"]] == [
                (f"watch {n}", 0.5, ["door"]) for n in (1, 2)
            ]
        found = []
        path = "/v1/events?limit=500"
        page = server.call("GET", path)
        while True:
            found += page["data"]
            if page["next"] is None:
                break
            page = server.call("GET", f"{path}&after={quote(page['next'])}")
        kept = {e["id"]: e for e in found}
        for event in events:
            same = kept[event["id"]]
            assert (same["text"], same["t"], same["camera_id"]) == (event["text"], event["t"], event["camera_id"])
        # Searchable, too, once they are taken into the index of words.
        server.wait(lambda: len(server.call("GET", "/v1/events?query=number+7")["data"]) == 1)
    names = sorted(os.listdir(folder))
    # Which one depends on where the last start was killed.
    assert [name for name in names if name.startswith("joyvl.db.before-")]
    assert not [name for name in names if name.endswith(".unfinished")]


def killed_while_it_begins(server: ServerProcess, folder: Path, pause_s: float) -> bool:
    """Killed `pause_s` after the copy is there. False where it was faster."""
    copy = folder / "joyvl.db.before-0002"
    if copy.exists():
        # That of the round before: put aside, so that a new one is seen; there is none where all was migrated by then.
        copy.rename(copy.with_name(f"{copy.name}.seen"))
    starting = threading.Thread(target=begin, args=(server,))
    starting.start()
    wait_until(lambda: copy.exists() or not starting.is_alive(), lambda: "".join(server.log))
    time.sleep(pause_s)
    server.kill()
    starting.join()
    return copy.exists()


def begin(server: ServerProcess) -> None:
    try:
        server.start()
    except RuntimeError:
        return  # it was killed
