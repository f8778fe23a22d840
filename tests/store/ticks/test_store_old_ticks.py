"""Data folders of the version that kept ticks in joyvl.db: they open, and their ticks go on in ticks.db."""

import asyncio
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest
from store_records import session
from structlog.testing import capture_logs

from fakes.patience import PATIENCE_S
from fakes.server.small_disk import small_disk
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.sessions import insert_session
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.migrate import MIGRATIONS
from joyvl_server.store.store import Store
from joyvl_server.store.ticks import old_ticks
from joyvl_server.store.ticks.ticks import TickRetention, Ticks

FOR_EVER = TickRetention(1e12, 1e12)


async def old_folder(folder, count, sessions=3):
    """As the version before left it, with `count` seconds of each session."""
    folder.mkdir(exist_ok=True)
    before = folder / "migrations"
    before.mkdir()
    for script in sorted(MIGRATIONS.glob("000[12]_*.sql")):
        shutil.copy(script, before)
    db = await Database.open(folder / "joyvl.db", migrations=before)
    shutil.rmtree(before)
    names = [(n + 1, f"ses_{n}") for n in range(sessions)]

    def insert(connection):
        insert_session(connection, session(id="ses_0"))
        connection.execute(
            "INSERT INTO cameras (id, name, url, enabled, loop, speed, zones, session_id, created_wall, updated_wall) "
            "VALUES ('cam_1', 'front', 'rtsp://10.0.0.2/x', 1, 0, 1.0, '[]', 'ses_0', 100.0, 100.0)"
        )
        connection.executemany("INSERT INTO tick_sessions VALUES (?,?)", names)
        marks = ",".join("?" * 19)
        columns = (
            "session, id, t, wall, decision, look, score, change, skipped, suppressed, kind, query, epoch, watches, "
            "frame_age_ms, request_ms, score_ms, total_ms, more"
        )
        connection.executemany(f"INSERT INTO ticks ({columns}) VALUES ({marks})", rows(count, sessions))

    await db.write(insert)
    await db.aclose()


def rows(count, sessions):
    for n in range(count):
        for s in range(1, sessions + 1):
            speaks = n % 50 == 7
            more = {"zone": "door", "box": [0.1, 0.2, 0.3, 0.4], "text": f"Nr. {n}"} if speaks else None
            yield (
                s,
                (n + 1) * 1_000_000,
                float(n),
                float(n + 1),
                "speak" if speaks else "silent",
                "full",
                (n % 100) / 100,
                0.25,
                None,
                None,
                "enter" if speaks else None,
                None,
                n if speaks else None,
                json.dumps(["wch_1"]) if speaks else None,
                31.25,
                1.5,
                140.52,
                171.75,
                json.dumps(more) if more else None,
            )


async def opened(folder):
    """And all is moved."""
    store = await Store.open(folder)
    await store.moved()
    return store


async def all_ticks(store, session_id):
    seen, before = [], None
    kept = Ticks(store.ticks, store.main, FOR_EVER)
    while page := await kept.list(session_id, before=before, limit=1000):
        seen += page
        before = page[-1].id
    return seen[::-1]


def tables(path):
    connection = sqlite3.connect(path)
    try:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


async def test_old_ticks_are_there_again_with_all_that_was_kept(tmp_path):
    await old_folder(tmp_path, 1500)
    with capture_logs() as lines:
        store = await opened(tmp_path)
    for n in range(3):
        found = await all_ticks(store, f"ses_{n}")
        assert [t.t for t in found] == [float(n) for n in range(1500)]
        assert [t.score for t in found[:3]] == [0.0, 0.01, 0.02]
        spoke = found[57]
        assert (spoke.decision, spoke.text, spoke.zone, spoke.box) == ("speak", "Nr. 57", "door", (0.1, 0.2, 0.3, 0.4))
        assert (spoke.kind, spoke.epoch, spoke.watches, spoke.total_ms) == ("enter", 57, ("wch_1",), 171.75)
        assert (spoke.threshold, spoke.compact) == (None, False)
    assert [c.id for c in await Cameras(store.main).list()] == ["cam_1"]
    await store.aclose()
    assert not {"ticks", "tick_sessions", "old_ticks", "old_tick_sessions"} & tables(tmp_path / "joyvl.db")
    assert [line["ticks"] for line in lines if line["event"].startswith("old ticks are moved")] == [4500]
    with capture_logs() as lines:
        await (await opened(tmp_path)).aclose()
    assert lines == []


async def test_others_need_not_wait_until_a_table_of_millions_is_dropped(tmp_path, monkeypatch):
    """It is emptied in small steps before: dropped whole it holds the write lock for seconds."""
    await old_folder(tmp_path, 1500)
    monkeypatch.setattr(old_ticks, "BATCH", 400)
    left = []
    drop = old_ticks._drop

    def dropped(main):
        connection = sqlite3.connect(main.path)
        left.append(connection.execute("SELECT count(*) FROM old_ticks").fetchone()[0])
        connection.close()
        drop(main)

    monkeypatch.setattr(old_ticks, "_drop", dropped)
    store = await opened(tmp_path)
    assert [len(await all_ticks(store, f"ses_{n}")) for n in range(3)] == [1500] * 3
    await store.aclose()
    assert left == [0]
    assert "old_ticks" not in tables(tmp_path / "joyvl.db")


def killed(command, lines, pause_s):
    """Started, and killed a moment after it has moved so many batches."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for _ in range(lines):
        while (line := child.stdout.readline()) and line != "batch\n":
            pass
    time.sleep(pause_s)
    child.send_signal(signal.SIGKILL)
    child.stdout.read()
    child.wait(PATIENCE_S)


async def test_the_server_waits_for_none_of_it(tmp_path, monkeypatch):
    """Millions take minutes. Stopped half-way, it goes on at the next start."""
    await old_folder(tmp_path, 1500)
    monkeypatch.setattr(old_ticks, "BATCH", 100)
    store = await Store.open(tmp_path)
    assert [c.id for c in await Cameras(store.main).list()] == ["cam_1"]
    assert "old_ticks" in tables(tmp_path / "joyvl.db")
    await asyncio.sleep(0.1)
    await store.aclose()
    store = await opened(tmp_path)
    assert [t.t for t in await all_ticks(store, "ses_0")] == [float(n) for n in range(1500)]
    await store.aclose()


@pytest.mark.processes
async def test_kill_9_while_they_are_moved(tmp_path):
    """Killed at many moments: at the end each tick is there once."""
    await old_folder(tmp_path, 3000)
    child_script = """
        import asyncio, sys
        from pathlib import Path
        from joyvl_server.store.ticks import old_ticks
        from joyvl_server.store.store import Store

        old_ticks.BATCH = 900
        insert = old_ticks._insert

        def told(*given, **named):
            insert(*given, **named)
            print("batch", flush=True)

        old_ticks._insert = told

        async def main():
            store = await Store.open(Path(sys.argv[1]))
            await store.moved()
            await store.aclose()

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(child_script), str(tmp_path)]
    for kills in range(1, 30):
        await asyncio.to_thread(killed, command, 1 + kills % 3, 0.001 * (kills % 4))
        if "old_ticks" not in tables(tmp_path / "joyvl.db"):
            break
    assert kills >= 3
    store = await opened(tmp_path)
    check = await store.ticks.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0])
    held = await store.ticks.read(lambda c: c.execute("SELECT count(*) FROM spans").fetchone()[0])
    found = [await all_ticks(store, f"ses_{n}") for n in range(3)]
    await store.aclose()
    assert check == "ok"
    assert [[t.t for t in some] for some in found] == [[float(n) for n in range(3000)]] * 3
    assert held == 3 * 3000 // 300  # a span for each session and batch: none was copied twice


def of_ticks(lines):
    """Without what is told of passwords, which are sealed before."""
    return [line for line in lines if not line["event"].startswith(("stored passwords", "the database is rewritten"))]


@pytest.mark.parametrize("how_much", ["a page", "all"])
async def test_a_damaged_table_costs_what_lay_in_it_and_no_start(tmp_path, how_much):
    await old_folder(tmp_path, 3000)
    path = tmp_path / "joyvl.db"
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ticks'").fetchone()[0]
    connection.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in [root] if how_much == "all" else [size // 4096 // 2]:
            file.seek((page - 1) * 4096)
            file.write(b"\xa5" * 4096)
    with capture_logs() as lines:
        store = await opened(tmp_path)
    assert [c.id for c in await Cameras(store.main).list()] == ["cam_1"]
    assert (store.main.fault, store.ticks.fault) == (None, None)
    found = sum([len(await all_ticks(store, "ses_1"))] if how_much == "a page" else [0])
    await store.main.write(lambda c: c.execute("UPDATE cameras SET name = 'back door'") and None)
    await store.aclose()
    assert found == 0 or 2900 < found <= 3000
    assert not {"ticks", "old_ticks"} & tables(path)
    assert 1 <= len(of_ticks(lines)) <= 3
    with capture_logs() as lines:
        await (await opened(tmp_path)).aclose()
    assert of_ticks(lines) == []


@pytest.mark.processes
async def test_no_room_for_them_yet(tmp_path, monkeypatch):
    """They stay where they are, the server runs, and the next start with room moves them."""
    monkeypatch.setattr(old_ticks, "BATCH", 500)
    with small_disk(tmp_path / "disk", "6m") as disk:
        await old_folder(disk.path, 3000)
        await (await Database.open(disk.path / "joyvl.db")).aclose()  # there was still space when it was migrated
        disk.fill()
        filler = disk.path / "other people's things"
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - 420_000)
        with capture_logs() as lines:
            store = await opened(disk.path)
            assert [c.id for c in await Cameras(store.main).list()] == ["cam_1"]
            await store.aclose()
        assert "old ticks are not moved" in [line["event"] for line in lines]
        disk.free()
        store = await opened(disk.path)
        assert len(await all_ticks(store, "ses_2")) == 3000
        await store.aclose()
