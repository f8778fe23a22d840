"""Migration 0005: the settings of cameras become one JSON column, and nothing of them is lost."""

import asyncio
import json
import random
import shutil
import sqlite3
import sys

import pytest

from joyvl_server.store.cameras import Cameras
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.migrate import MIGRATIONS, numbered

RANDOM = random.Random(5)
OLD = ("id", "name", "url", "enabled", "loop", "speed", "engine", "threshold", "zones", "session_id")
OLD += ("created_wall", "updated_wall", "fidelity", "frames_per_tick")


def old_row(number, **changes):
    row = {
        "id": f"cam_{number}",
        "name": f"Straße “{number}”",
        "url": f"rtsp://me:secret@10.0.0.{number}/x?a=1&b='",
        "enabled": number % 2,
        "loop": 0,
        "speed": 1.0 + number / 3,
        "engine": None,
        "threshold": None,
        "zones": "[]",
        "session_id": f"ses_{number}",
        "created_wall": 1_795_166_400.123456 + number,
        "updated_wall": 1_795_166_401.654321 + number,
        "fidelity": None,
        "frames_per_tick": None,
    }
    return {**row, **changes}


@pytest.fixture
def before(tmp_path):
    """The folder of our migrations up to 0004."""
    folder = tmp_path / "before"
    folder.mkdir()
    for script in numbered(MIGRATIONS)[:4]:
        shutil.copy(script, folder)
    return folder


async def written(path, before, rows):
    db = await Database.open(path, migrations=before)
    marks = ",".join("?" * len(OLD))
    statement = f"INSERT INTO cameras ({','.join(OLD)}) VALUES ({marks})"
    await db.write(lambda c: c.executemany(statement, [tuple(row[name] for name in OLD) for row in rows]) and None)
    await db.aclose()


async def read(path):
    db = await Database.open(path)
    try:
        return await Cameras(db).list()
    finally:
        await db.aclose()


def zones(*names):
    return [[name, [[RANDOM.random(), RANDOM.random()] for _ in range(3)]] for name in names]


async def test_every_setting_is_carried_over_exactly(tmp_path, before):
    many = [old_row(20 + n, threshold=RANDOM.random()) for n in range(200)]
    shapes = zones("Tür", 'a "quoted" one', "\\back\n")
    rows = [
        old_row(1),
        old_row(2, engine="openai", threshold=0.0, fidelity="eco", frames_per_tick=4, zones=json.dumps(shapes)),
        old_row(3, threshold=1.0, zones=json.dumps(zones("left"), ensure_ascii=False)),
        old_row(4, threshold=0.1 + 0.2, frames_per_tick=2),
        *many,
    ]
    await written(tmp_path / "joyvl.db", before, rows)
    cameras = {camera.id: camera for camera in await read(tmp_path / "joyvl.db")}
    assert len(cameras) == len(rows)
    for row in rows:
        camera = cameras[row["id"]]
        for name in ("name", "url", "enabled", "loop", "speed", "session_id", "created_wall", "updated_wall"):
            assert getattr(camera, name) == row[name]
        wanted = {name: row[name] for name in ("engine", "threshold", "fidelity", "frames_per_tick")}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        if row["zones"] != "[]":
            wanted["zones"] = [{"name": name, "points": points} for name, points in json.loads(row["zones"])]
        assert json.loads(camera.spec) == wanted


@pytest.mark.parametrize(
    "damaged", ["", "{", "nonsense", "{}", '["door"]', "null", "3", '[["door"]]', '[["door", "x"]]']
)
async def test_zones_that_cannot_be_read_hold_up_no_start_and_are_kept(tmp_path, before, damaged):
    await written(tmp_path / "joyvl.db", before, [old_row(1, threshold=0.5, zones=damaged), old_row(2)])
    first, second = await read(tmp_path / "joyvl.db")
    kept = json.loads(first.spec)
    assert kept["threshold"] == 0.5
    assert kept["zones"] == ([{"name": "door", "points": None}] if damaged == '[["door"]]' else damaged)
    assert json.loads(second.spec) == {}


MIGRATE = """
import os, signal, sqlite3, sys
from pathlib import Path
from joyvl_server.store.sqlite.migrate import MIGRATIONS, migrate

left = int(sys.argv[2])
def statement(text):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.set_trace_callback(statement)
migrate(connection, MIGRATIONS, Path(sys.argv[1]))
"""


@pytest.mark.processes
async def test_a_kill_in_the_migration_leaves_the_old_or_the_new(tmp_path, before):
    shapes = json.dumps(zones(*(f"zone {n}" for n in range(32))))
    await written(tmp_path / "old.db", before, [old_row(n, threshold=0.25, zones=shapes) for n in range(100)])
    found = []
    for number in range(1, 400):  # killed before its first statement, its second, and so on to its end
        path = tmp_path / f"{number}.db"
        shutil.copy(tmp_path / "old.db", path)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, str(path), str(number))
        code = await process.wait()
        connection = sqlite3.connect(path)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        columns = {row[1] for row in connection.execute("PRAGMA table_info(cameras)")}
        connection.close()
        found.append(version)
        assert ("spec" in columns) is (version >= 5)
        assert ("zones" in columns) is (version == 4)
        assert len(await read(path)) == 100, "the next start finishes it"
        if code == 0:
            break
    assert found[0] == 4
    assert found[-1] == len(numbered(MIGRATIONS))
    assert sorted(found) == found
    assert len(found) > 10


async def test_the_url_is_indexed(tmp_path):
    db = await Database.open(tmp_path / "joyvl.db")
    plan = await db.read(lambda c: c.execute("EXPLAIN QUERY PLAN SELECT id FROM cameras WHERE url = 'x'").fetchall())
    await db.aclose()
    assert "cameras_url" in plan[0]["detail"]
