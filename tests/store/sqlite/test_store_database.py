import asyncio
import sqlite3
import stat
import threading
import time

import psutil
import pytest
from structlog.testing import capture_logs

from fakes.patience import PATIENCE_S
from joyvl_server.core.errors import Conflict, StoreError
from joyvl_server.store.sqlite import readers as readers_module
from joyvl_server.store.sqlite.database import Database

MAKE = "CREATE TABLE t (x INTEGER UNIQUE)"


def count(connection):
    return connection.execute("SELECT count(*) FROM t").fetchone()[0]


def insert(x):
    return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (x,)).rowcount


@pytest.fixture
async def table(db):
    await db.write(lambda c: c.execute(MAKE) and None)
    return db


async def test_what_is_written_is_read(table):
    assert await table.write(insert(1)) == 1
    assert await table.read(count) == 1


async def test_only_the_owner_may_read_the_files(tmp_path):
    path = tmp_path / "new" / "deep" / "joyvl.db"
    db = await Database.open(path)
    await db.write(lambda c: c.execute(MAKE) and None)
    try:
        files = sorted(path.parent.iterdir())
        assert [f.name for f in files] == ["joyvl.db", "joyvl.db-shm", "joyvl.db-wal"]
        assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        await db.aclose()
    assert [f.name for f in path.parent.iterdir()] == ["joyvl.db"]


async def test_a_file_that_others_may_read_is_closed_to_them(tmp_path):
    path = tmp_path / "joyvl.db"
    path.touch(mode=0o644)
    await (await Database.open(path)).aclose()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_settings_of_the_connection(db):
    assert await db.read(lambda c: c.execute("PRAGMA journal_mode").fetchone()[0]) == "wal"
    assert await db.write(lambda c: c.execute("PRAGMA synchronous").fetchone()[0]) == 2
    assert await db.write(lambda c: c.execute("PRAGMA foreign_keys").fetchone()[0]) == 1


async def test_a_write_that_fails_is_undone_alone(table):
    def half_done(connection):
        connection.execute("INSERT INTO t VALUES (7)")
        raise Conflict("no")

    outcomes = await asyncio.gather(
        table.write(insert(1)),
        table.write(half_done),
        table.write(insert(1)),
        table.write(insert(2)),
        return_exceptions=True,
    )
    assert outcomes[0] == outcomes[3] == 1
    assert isinstance(outcomes[1], Conflict)
    assert isinstance(outcomes[2], StoreError)
    assert await table.read(lambda c: [r[0] for r in c.execute("SELECT x FROM t ORDER BY x")]) == [1, 2]


async def test_a_programming_error_reaches_its_caller_and_nobody_else(table):
    with pytest.raises(ZeroDivisionError):
        await table.write(lambda c: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await table.read(lambda c: 1 // 0)
    with capture_logs() as lines:
        table.post(lambda c: 1 // 0)
        assert await table.write(insert(1)) == 1
    assert [line["event"] for line in lines] == ["store refused a record"]
    assert table.dropped == 1


async def test_a_job_that_commits_by_itself_harms_only_its_batch(table):
    with capture_logs():
        with pytest.raises(StoreError):
            await table.write(lambda c: c.execute("COMMIT"))
    assert await table.write(insert(1)) == 1


async def test_readers_cannot_write(table):
    with pytest.raises(StoreError):
        await table.read(insert(1))
    assert await table.read(count) == 0


async def test_writes_and_posts_keep_their_order(table):
    seen = []
    for x in range(600):
        table.post(lambda c, x=x: seen.append(x))
    await table.write(lambda c: seen.append("end"))
    assert seen == [*range(600), "end"]


async def test_posts_are_written_before_the_store_closes(tmp_path):
    db = await Database.open(tmp_path / "joyvl.db")
    await db.write(lambda c: c.execute(MAKE) and None)
    for x in range(3000):
        assert db.post(insert(x))
    await db.aclose()
    connection = sqlite3.connect(tmp_path / "joyvl.db")
    assert count(connection) == 3000
    connection.close()


async def test_a_full_queue_drops_counts_and_says_so_once(tmp_path):
    db = await Database.open(tmp_path / "joyvl.db", post_limit=10)
    await db.write(lambda c: c.execute(MAKE) and None)
    gate, busy = threading.Event(), threading.Event()
    with capture_logs() as lines:
        blocked = asyncio.ensure_future(db.write(lambda c: busy.set() or gate.wait(PATIENCE_S)))
        while not busy.is_set():
            await asyncio.sleep(0.001)
        taken = [db.post(insert(x)) for x in range(25)]
        assert (taken.count(True), db.dropped, db.pending) == (10, 15, 10)
        gate.set()
        await blocked
        await db.write(insert(100))
        await db.write(insert(101))
    assert await db.read(count) == 12
    assert [(line["event"], line.get("dropped")) for line in lines] == [
        ("store drops records", None),
        ("store keeps up again", 15),
    ]
    await db.aclose()


async def test_awaited_writes_are_bounded(tmp_path):
    db = await Database.open(tmp_path / "joyvl.db", post_limit=5)
    gate, busy = threading.Event(), threading.Event()
    blocked = asyncio.ensure_future(db.write(lambda c: busy.set() or gate.wait(PATIENCE_S)))
    while not busy.is_set():
        await asyncio.sleep(0.001)
    waiting = [asyncio.ensure_future(db.write(lambda c: None)) for _ in range(7)]
    await asyncio.sleep(0)
    refused = [w for w in waiting if w.done()]
    assert len(refused) == 2
    assert {w.exception().code for w in refused} == {"store_busy"}
    gate.set()
    await asyncio.gather(blocked, *waiting, return_exceptions=True)
    await db.aclose()


async def test_reads_are_bounded(table, monkeypatch):
    monkeypatch.setattr(readers_module, "WAITING", 6)
    gate = threading.Event()
    reads = [asyncio.ensure_future(table.read(lambda c: gate.wait(PATIENCE_S))) for _ in range(8)]
    await asyncio.sleep(0)
    refused = [r for r in reads if r.done()]
    assert {r.exception().code for r in refused} == {"store_busy"}
    assert len(refused) == 2
    gate.set()
    await asyncio.gather(*reads, return_exceptions=True)
    assert await table.read(count) == 0


async def test_a_read_does_not_wait_for_a_write_and_sees_one_snapshot(table):
    await table.write(insert(1))
    gate, inside = threading.Event(), threading.Event()

    def slow_write(connection):
        connection.execute("INSERT INTO t VALUES (2)")
        inside.set()
        assert gate.wait(PATIENCE_S)

    writing = asyncio.ensure_future(table.write(slow_write))
    while not inside.is_set():
        await asyncio.sleep(0.001)
    assert await asyncio.wait_for(table.read(count), PATIENCE_S) == 1
    gate.set()
    await writing
    assert await table.read(count) == 2


async def test_a_write_does_not_wait_for_reads(table):
    gate, first = threading.Event(), threading.Event()

    def slow_read(connection):
        before = count(connection)
        first.set()
        assert gate.wait(PATIENCE_S)
        return before, count(connection)

    reading = asyncio.ensure_future(table.read(slow_read))
    while not first.is_set():
        await asyncio.sleep(0.001)
    assert await asyncio.wait_for(table.write(insert(1)), PATIENCE_S) == 1
    gate.set()
    assert await reading == (0, 0)


async def test_the_loop_goes_on_while_the_disk_works(table):
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    turning = asyncio.ensure_future(turn())
    await asyncio.gather(table.write(lambda c: time.sleep(0.1)), table.read(lambda c: time.sleep(0.1)))
    turning.cancel()
    assert turns > 100


async def test_a_write_cancelled_in_the_queue_does_not_run(table):
    gate, busy = threading.Event(), threading.Event()
    blocked = asyncio.ensure_future(table.write(lambda c: busy.set() or gate.wait(PATIENCE_S)))
    while not busy.is_set():
        await asyncio.sleep(0.001)
    given_up = asyncio.ensure_future(table.write(insert(1)))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    gate.set()
    await blocked
    await table.write(insert(2))
    assert await table.read(lambda c: [r[0] for r in c.execute("SELECT x FROM t")]) == [2]


async def test_closed_is_closed(tmp_path):
    db = await Database.open(tmp_path / "joyvl.db")
    await db.aclose()
    await db.aclose()
    for use in (db.write, db.read):
        with pytest.raises(StoreError, match="closed") as caught:
            await use(lambda c: None)
        assert caught.value.code == "store_closed"
    with capture_logs() as lines:
        assert db.post(lambda c: None) is False
        assert db.post(lambda c: None) is False
    assert [line["reason"] for line in lines] == ["closed"]


async def test_closing_waits_for_reads_and_interrupts_those_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(readers_module, "PATIENCE_S", 0.2)
    db = await Database.open(tmp_path / "joyvl.db")
    gate = threading.Event()
    short = asyncio.ensure_future(db.read(lambda c: gate.wait(PATIENCE_S)))
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    long = asyncio.ensure_future(db.read(lambda c: c.execute(endless).fetchone()))
    await asyncio.sleep(0.05)
    gate.set()
    await db.aclose()
    assert await short is True
    with pytest.raises(StoreError) as caught:
        await long
    assert caught.value.code == "store_closed"


async def test_a_close_that_is_cancelled_still_closes(tmp_path):
    db = await Database.open(tmp_path / "joyvl.db")
    gate = threading.Event()
    writing = asyncio.ensure_future(db.write(lambda c: gate.wait(PATIENCE_S)))
    closing = asyncio.ensure_future(db.aclose())
    await asyncio.sleep(0.01)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    gate.set()
    assert await writing is True
    await db.aclose()
    assert [t for t in threading.enumerate() if t.name.startswith("store")] == []


async def test_nothing_is_left_behind(tmp_path):
    process = psutil.Process()

    async def live(name):
        db = await Database.open(tmp_path / name)
        await db.write(lambda c: c.execute(MAKE) and None)
        await asyncio.gather(*(db.read(count) for _ in range(20)), *(db.write(insert(x)) for x in range(20)))
        await db.aclose()

    await live("first.db")
    threads, descriptors = process.num_threads(), process.num_fds()
    for n in range(5):
        await live(f"{n}.db")
        with pytest.raises(StoreError):
            await Database.open(tmp_path)
    (tmp_path / "bad.db").write_bytes(b"not a database, but long enough to have a header" * 100)
    for _ in range(5):
        with pytest.raises(StoreError):
            await Database.open(tmp_path / "bad.db")
    for _ in range(200):  # a joined thread is still the kernel's for an instant
        if process.num_threads() <= threads:
            break
        await asyncio.sleep(0.01)
    assert process.num_threads() <= threads
    assert process.num_fds() == descriptors
    assert not [t for t in threading.enumerate() if t.name.startswith("store")]


async def test_an_open_that_is_cancelled_leaves_nothing(tmp_path):
    opening = asyncio.ensure_future(Database.open(tmp_path / "joyvl.db"))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    for thread in threading.enumerate():
        if thread.name == "store-write":
            thread.join(PATIENCE_S)
    assert not [t for t in threading.enumerate() if t.name.startswith("store")]


async def test_a_path_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be opened.*data_dir"):
        await Database.open(tmp_path / "file" / "joyvl.db")


async def test_a_file_held_in_another_mode_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "joyvl.db"
    await (await Database.open(path)).aclose()
    monkeypatch.setattr("joyvl_server.store.sqlite.database_file.BUSY_S", 0.02)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError):
        await Database.open(path)
    other.close()
    await (await Database.open(path)).aclose()
