"""Posts without hurry: many share a commit, none waits long, and they never push out what is in a hurry."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest
from store_records import drained, event
from structlog.testing import capture_logs

from fakes.patience import PATIENCE_S, until
from joyvl_server.store.events import Events
from joyvl_server.store.sqlite import write_connection, write_queue
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.sqlite.writer import Writer
from joyvl_server.store.store import Store
from joyvl_server.store.ticks.ticks import Ticks


@pytest.fixture
def commits(monkeypatch):
    """The sizes of the transactions that are on the disk."""
    sizes, real = [], Writer._transaction

    def counted(self, batch):
        outcomes = real(self, batch)
        sizes.append(len(batch))
        return outcomes

    monkeypatch.setattr(Writer, "_transaction", counted)
    return sizes


@pytest.fixture
async def db(db):
    await db.write(lambda c: c.execute("CREATE TABLE t (x INTEGER)") and None)
    return db


def post(db, x):
    """Something without hurry."""
    return db.post(lambda c: c.execute("INSERT INTO t VALUES (?)", (x,)), hurry=False)


async def count(db):
    return await db.read(lambda c: c.execute("SELECT count(*) FROM t").fetchone()[0])


async def test_a_trickle_costs_few_commits(db, commits, monkeypatch):
    monkeypatch.setattr(write_queue, "PATIENCE_S", 0.2)
    started = time.monotonic()
    for n in range(100):
        post(db, n)
        await asyncio.sleep(0.005)
    await until(lambda: sum(commits) == 100)
    # One commit for each stretch of patience, and one for what was left.
    assert len(commits) <= (time.monotonic() - started) / 0.2 + 2
    assert await count(db) == 100


async def test_what_is_in_a_hurry_takes_the_others_along_in_their_order(db, commits):
    for n in range(5):
        post(db, n)
    await asyncio.sleep(0.05)
    assert commits == []
    Events(db).post(event())
    await until(lambda: commits == [6])
    post(db, 9)
    await drained(db)
    assert commits == [6, 2]


async def test_a_full_transaction_does_not_wait(db, commits):
    for n in range(write_queue.BATCH):
        post(db, n)
    await until(lambda: sum(commits) == write_queue.BATCH)


async def test_many_ticks_never_push_out_an_event(tmp_path):
    db = await Database.open(tmp_path / "joyvl.db", post_limit=10)
    with capture_logs():
        taken = [db.post(lambda c: None, hurry=False) for _ in range(25)]
        assert (taken.count(True), db.dropped) == (10, 15)
        assert db.post(lambda c: None)
    await drained(db)
    assert db.pending == 0
    assert db.post(lambda c: None, hurry=False)
    await db.aclose()


async def test_while_the_disk_refuses_they_wait_like_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr("joyvl_server.store.sqlite.database_file.BUSY_S", 0.02)
    monkeypatch.setattr(write_connection, "RETRY_S", 0.02)
    monkeypatch.setattr(write_queue, "PATIENCE_S", 0.02)
    db = await Database.open(tmp_path / "joyvl.db", post_limit=10)
    await db.write(lambda c: c.execute("CREATE TABLE t (x INTEGER)") and None)
    other = sqlite3.connect(tmp_path / "joyvl.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with capture_logs():
        for n in range(10):
            post(db, n)
        await until(lambda: db.fault is not None)
        await until(lambda: db.pending == 10)
        assert db.post(lambda c: None, hurry=False) is False
        other.execute("ROLLBACK")
        await until(lambda: db.pending == 0 and db.fault is None)
    await drained(db)
    assert await count(db) == 10
    assert db.post(lambda c: None, hurry=False)
    other.close()
    await db.aclose()


@pytest.mark.processes
def test_kill_9_loses_at_most_the_newest_moments(tmp_path):
    child_script = """
        import asyncio, sys, time
        from pathlib import Path
        from joyvl_server.store.sqlite import write_queue
        from joyvl_server.store.store import Store
        from joyvl_server.store.ticks.records import TickRecord
        from joyvl_server.store.ticks.ticks import Ticks

        write_queue.PATIENCE_S = 1.0

        async def main():
            store = await Store.open(Path(sys.argv[1]))
            ticks = Ticks(store.ticks, store.main)
            for n in range(1, 10_000):
                ticks.post(TickRecord(round(time.time() * 1e6), "ses_1", float(n), time.time(), "silent", "full", 0.5))
                print(time.time(), flush=True)
                await asyncio.sleep(0.02)

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(child_script), str(tmp_path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    posted = [float(child.stdout.readline()) for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    child.stdout.read()
    child.wait(PATIENCE_S)

    async def look():
        store = await Store.open(tmp_path)
        check = await store.ticks.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0])
        kept = await Ticks(store.ticks, store.main).list("ses_1", limit=1000)
        await store.aclose()
        return check, kept

    check, kept = asyncio.run(look())
    assert check == "ok"
    assert [t.t for t in kept] == [float(n) for n in range(len(kept), 0, -1)]
    # A commit may be under way for a moment on a busy machine.
    assert kept[0].wall >= posted[-1] - 1.0 - 1.5
