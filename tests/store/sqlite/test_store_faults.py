"""The disk refuses, the file is damaged: callers are told, nothing queued is lost, the loop and the writer live on."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest
from store_records import event
from structlog.testing import capture_logs

from fakes.patience import PATIENCE_S
from joyvl_server.core.errors import StoreError
from joyvl_server.store.events import Events
from joyvl_server.store.sqlite import write_connection
from joyvl_server.store.sqlite.database import Database


def run_child(script, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.processes
def test_kill_9_in_mid_stream_loses_nothing_awaited(tmp_path):
    """A child writes and posts without pause and tells each awaited write; it is killed at different moments."""
    child_script = """
        import asyncio, sys
        from pathlib import Path
        from joyvl_server.store.sqlite.database import Database

        async def main():
            db = await Database.open(Path(sys.argv[1]))
            await db.write(lambda c: c.execute("CREATE TABLE IF NOT EXISTS t (kind TEXT, x INTEGER)") and None)
            start = int(sys.argv[2])
            async def write(x):
                await db.write(lambda c: c.execute("INSERT INTO t VALUES ('awaited', ?)", (x,)) and None)
                print(x, flush=True)
            x = start
            while True:
                for _ in range(20):
                    db.post(lambda c: c.execute("INSERT INTO t VALUES ('posted', 0)"))
                await asyncio.gather(*(write(x + n) for n in range(5)))
                x += 5

        asyncio.run(main())
    """
    path = tmp_path / "joyvl.db"
    told = []
    for round_number in range(4):
        child = run_child(child_script, path, round_number * 1_000_000)
        told += [int(child.stdout.readline()) for _ in range(3 + 40 * round_number)]
        child.send_signal(signal.SIGKILL)
        # Not communicate(): it would leave out what readline() has buffered.
        rest, errors = child.stdout.read(), child.stderr.read()
        child.wait(PATIENCE_S)
        assert child.returncode == -signal.SIGKILL, errors
        # A last line may be cut off by the kill; a whole one was told.
        told += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]

    async def look():
        db = await Database.open(path)
        check = await db.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0])
        kept = await db.read(lambda c: {r[0] for r in c.execute("SELECT x FROM t WHERE kind = 'awaited'")})
        posted = await db.read(lambda c: c.execute("SELECT count(*) FROM t WHERE kind = 'posted'").fetchone()[0])
        await db.aclose()
        return check, kept, posted

    check, kept, posted = asyncio.run(look())
    assert check == "ok"
    assert len(told) > 100
    assert set(told) <= kept
    # Posts go in order with the writes: those made before an awaited write are there as well.
    assert posted >= len(told) // 5 * 20


@pytest.mark.processes
def test_a_full_disk_is_logged_survived_and_nothing_posted_is_lost(tmp_path):
    """A real refusal of the kernel: the child may not make files grow, then it may again."""
    child_script = """
        import asyncio, json, resource, sys
        from pathlib import Path
        from structlog.testing import capture_logs
        from joyvl_server.core.errors import StoreError
        from joyvl_server.store.sqlite import write_connection
        from joyvl_server.store.sqlite.database import Database

        write_connection.RETRY_S = 0.02
        put = lambda c: c.execute("INSERT INTO t VALUES (zeroblob(20000))") and None

        async def main():
            db = await Database.open(Path(sys.argv[1]))
            await db.write(lambda c: c.execute("CREATE TABLE t (x BLOB)") and None)
            with capture_logs() as lines:
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
                errors = []
                for _ in range(6):
                    try:
                        await db.write(put)
                        errors.append(None)
                    except StoreError as error:
                        errors.append([error.code, str(error)])
                before = await db.read(lambda c: c.execute("SELECT count(*) FROM t").fetchone()[0])
                for _ in range(50):
                    db.post(put)
                while (pending := db.pending) < 50:  # what is just tried again is not among them
                    await asyncio.sleep(0.001)
                fault = db.fault
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                while db.pending:
                    await asyncio.sleep(0.01)
                await db.write(put)
            after = await db.read(lambda c: c.execute("SELECT count(*) FROM t").fetchone()[0])
            healthy = db.fault
            await db.aclose()
            print(json.dumps({"errors": errors, "before": before, "after": after, "fault": fault, "pending": pending,
                "healthy": healthy, "lines": [l["event"] for l in lines], "dropped": db.dropped}))

        asyncio.run(main())
    """
    child = run_child(child_script, tmp_path / "joyvl.db")
    output, errors = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 0, errors
    seen = json.loads(output)
    failed = [e for e in seen["errors"] if e]
    assert 1 <= len(failed) <= 5
    assert {code for code, _ in failed} <= {"store_full", "store_io"}
    assert all(str(tmp_path) in sentence for _, sentence in failed)
    assert seen["before"] == 6 - len(failed)
    assert seen["fault"] == failed[-1][1]
    assert seen["pending"] == 50
    assert seen["after"] == seen["before"] + 51
    assert seen["healthy"] is None
    assert seen["dropped"] == 0
    assert seen["lines"] == ["store fails", "store works again"]


async def test_a_file_held_by_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr("joyvl_server.store.sqlite.database_file.BUSY_S", 0.05)
    monkeypatch.setattr(write_connection, "RETRY_S", 0.02)
    db = await Database.open(tmp_path / "joyvl.db")
    other = sqlite3.connect(tmp_path / "joyvl.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    events = Events(db)
    with capture_logs() as lines:
        with pytest.raises(StoreError, match="held by another process") as caught:
            await db.write(lambda c: None)
        assert caught.value.code == "store_busy"
        posted = event()
        events.post(posted)
        await asyncio.sleep(0.1)
        assert await events.list() == []
        other.execute("ROLLBACK")
        while db.pending or db.fault:
            await asyncio.sleep(0.01)
    assert await events.list() == [posted]
    assert [line["event"] for line in lines] == ["store fails", "store works again"]
    other.close()
    await db.aclose()


async def test_posts_that_cannot_be_written_at_the_end_are_counted_and_logged(tmp_path, monkeypatch):
    monkeypatch.setattr("joyvl_server.store.sqlite.database_file.BUSY_S", 0.02)
    db = await Database.open(tmp_path / "joyvl.db")
    other = sqlite3.connect(tmp_path / "joyvl.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with capture_logs() as lines:
        for _ in range(300):
            Events(db).post(event())
        await asyncio.wait_for(db.aclose(), PATIENCE_S)
    other.execute("ROLLBACK")
    other.close()
    assert db.dropped == 300
    assert sum(line.get("count", 0) for line in lines if line["event"] == "store lost records") == 300


async def test_a_damaged_file_is_logged_and_ends_nothing(tmp_path):
    path = tmp_path / "joyvl.db"
    await (await Database.open(path)).aclose()
    empty = path.stat().st_size  # the tables are described there
    db = await Database.open(path)
    for n in range(3000):
        Events(db).post(event(text=f"{n} " + "x" * 200))
    await db.aclose()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(empty)
        file.write(b"\xa5" * (size - empty))
    db = await Database.open(path)
    with capture_logs() as lines:
        for use in (db.read, db.write):
            with pytest.raises(StoreError, match="damaged") as caught:
                await use(lambda c: c.execute("SELECT count(text) FROM events NOT INDEXED").fetchone())
            assert caught.value.code == "store_corrupt"
            assert str(path) in str(caught.value)
    assert [line["event"] for line in lines] == ["store fails"]
    assert await db.read(lambda c: c.execute("SELECT 1").fetchone()[0]) == 1
    await db.aclose()


async def test_what_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "joyvl.db"
    path.write_bytes(b"holiday photos " * 1000)
    with pytest.raises(StoreError, match="is not a database") as caught:
        await Database.open(path)
    assert caught.value.code == "store_corrupt"
    assert path.read_bytes() == b"holiday photos " * 1000


async def test_a_file_that_vanishes_is_never_silently_replaced(tmp_path):
    path = tmp_path / "joyvl.db"
    db = await Database.open(path, readers=1)
    path.rename(tmp_path / "gone.db")
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        await db.read(lambda c: c.execute("SELECT 1").fetchone())
    assert caught.value.code == "store_unreachable"
    assert not path.exists()
    await db.aclose()
