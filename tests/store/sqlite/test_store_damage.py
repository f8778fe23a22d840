"""Real faults: a full disk, a page of garbage, a folder that goes away. What they stop and what not, what is told."""

import asyncio
import os
import shutil
import sqlite3
import stat

import pytest
from store_records import camera, event, session, tick, watch
from structlog.testing import capture_logs

from fakes.patience import until
from fakes.server.small_disk import small_disk
from joyvl_server.core.errors import StoreError
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.events import EventFilter, Events
from joyvl_server.store.sessions import Sessions
from joyvl_server.store.sqlite import write_connection, write_queue
from joyvl_server.store.store import Store
from joyvl_server.store.ticks import ticks
from joyvl_server.store.ticks.ticks import TickRetention, Ticks
from joyvl_server.store.watches import Watches

FOR_EVER = TickRetention(1e12, 1e12)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for module, name, seconds in (
        (write_connection, "RETRY_S", 0.05),
        (write_connection, "CHECK_S", 0.05),
        (write_queue, "PATIENCE_S", 0.02),
    ):
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture(autouse=True)
async def closed(monkeypatch):
    """A test that fails leaves no thread behind."""
    opened, real = [], Store.open

    async def opening(path):
        opened.append(await real(path))
        return opened[-1]

    monkeypatch.setattr(Store, "open", opening)
    yield
    for store in opened:
        await store.aclose()


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


def ticks_of(store):
    return Ticks(store.ticks, store.main, FOR_EVER)


def damage(path, table):
    """Garbage over the first page of a table or index of a closed database."""
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)


async def filled(folder, count=300):
    """A store with a camera, events and packed ticks, closed again."""
    store = await Store.open(folder)
    await Cameras(store.main).add(camera(id="cam_1", session_id="ses_1"), session(id="ses_1"))
    for n in range(count):
        Events(store.main).post(event(text=f"{n} " + "x" * 100))
        ticks_of(store).post(tick(id=n + 1))
    await store.aclose()


async def camera_watch_and_event(store):
    """Writes of the record that somebody awaits, and one that nobody does."""
    await Cameras(store.main).add(camera(id="cam_2", name="yard", session_id="ses_2"), session(id="ses_2"))
    await Watches(store.main).add(watch("ses_1"))
    Events(store.main).post(event(text="after"))
    await store.main.write(lambda c: None)


def faults_logged(lines, store):
    return [line["event"] for line in lines if line.get("store") == store]


# --------------------------------------------------------------------------------------------------------- a full disk


@pytest.mark.processes
async def test_a_full_disk_and_space_again(disk):
    store = await Store.open(disk.path)
    await Sessions(store.main).add(session(id="ses_1"))
    kept = ticks_of(store)
    with capture_logs() as lines:
        disk.fill()
        refused = []
        for n in range(200):  # until SQLite finds no room in what it has
            try:
                await Cameras(store.main).add(camera(name=f"{n}", url="rtsp://h/" + "x" * 2000), session())
            except StoreError as error:
                refused.append((error.code, "The disk is full" in str(error)))
        assert len(refused) > 10
        assert set(refused) == {("store_full", True)}
        assert "The disk is full" in str(store.main.fault)
        assert await store.fault() == store.main.fault
        posted = [event(text=f"{n} " + "x" * 2000) for n in range(50)]
        for one in posted:
            Events(store.main).post(one)
        for n in range(3000):
            kept.post(tick(id=n + 1, text=os.urandom(50).hex()))
        await until(lambda: store.ticks.fault is not None)
        await asyncio.sleep(0.5)  # many tries
        disk.free()
        await until(lambda: store.main.fault is None and store.ticks.fault is None)
        await until(lambda: not store.main.pending and not store.ticks.pending)
    assert faults_logged(lines, "joyvl.db") == ["store fails", "store works again"]
    assert faults_logged(lines, "ticks.db") == ["store fails", "store works again"]
    assert (store.main.dropped, kept.dropped) == (0, 0)
    found = {e.id for e in await Events(store.main).list(limit=1000)}
    assert {e.id for e in posted} <= found
    seen, before = [], None
    while page := await kept.list("ses_1", before=before, limit=1000):
        seen += page
        before = page[-1].id
    assert len(seen) == 3000
    await Cameras(store.main).add(camera(name="at last"), session())
    await store.aclose()


@pytest.mark.processes
async def test_a_full_disk_is_over_without_a_further_write(disk):
    """Who is asked whether it is ready must not have to write to find out."""
    store = await Store.open(disk.path)
    disk.fill()
    with capture_logs():
        for n in range(200):
            if store.main.fault is None:
                with pytest.raises(StoreError) if n > 150 else _either():
                    await Cameras(store.main).add(camera(name=f"{n}", url="rtsp://h/" + "x" * 2000), session())
        assert store.main.fault is not None
        disk.free()
        await until(lambda: store.main.fault is None)
    await store.aclose()


class _either:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        return kind is not None and issubclass(kind, StoreError)


async def test_ticks_that_cannot_be_opened_at_the_start_are_tried_again(tmp_path):
    await filled(tmp_path)
    (tmp_path / "ticks.db").unlink()
    (tmp_path / "ticks.db").mkdir()
    with capture_logs() as lines:
        store = await Store.open(tmp_path)
        assert "ticks.db cannot be opened" in str(store.ticks.fault)
        kept = ticks_of(store)
        kept.post(tick(id=1))
        await camera_watch_and_event(store)
        await asyncio.sleep(0.3)
        (tmp_path / "ticks.db").rmdir()
        await until(lambda: store.ticks.fault is None and not store.ticks.pending)
    assert faults_logged(lines, "ticks.db") == ["store fails", "store works again"]
    assert [t.id for t in await kept.list("ses_1")] == [1]


# --------------------------------------------------------------------------------------------------- a page of garbage


@pytest.mark.parametrize("table", ["fresh", "sqlite_autoindex_tick_sessions_1", "spans", "spans_session", "details"])
async def test_a_damaged_page_in_ticks_stops_nothing_and_ticks_begin_again(tmp_path, monkeypatch, table):
    monkeypatch.setattr(ticks, "PACK_S", 0.0)
    await filled(tmp_path)
    damage(tmp_path / "ticks.db", table)
    with capture_logs() as lines:
        store = await Store.open(tmp_path)
        kept = ticks_of(store)
        await camera_watch_and_event(store)
        for n in range(1_000):  # a session goes on ticking
            kept.post(tick(id=1_000_000 + n))
            await until(lambda: not store.ticks.pending)
            with _either():  # a reader may be the one who finds it
                await kept.list("ses_1")
            if store.ticks.renewed and store.main.fault is None and store.ticks.fault is None:
                break
            await asyncio.sleep(0.1)
        assert store.ticks.renewed == 1
        kept.post(tick(id=2_000_000))
        await store.ticks.write(lambda c: None)
        newest = await kept.list("ses_1")
    assert faults_logged(lines, "joyvl.db") == []
    assert faults_logged(lines, "ticks.db").count("store begins with a new file") == 1
    assert set(faults_logged(lines, "ticks.db")) <= {"store begins with a new file", "store works again"}
    assert newest[0].id == 2_000_000
    assert (tmp_path / "ticks.damaged.db").stat().st_size > 4096
    assert {e.text for e in await Events(store.main).list(limit=1)} == {"after"}
    await store.aclose()


async def test_ticks_that_are_no_database_at_all_are_put_aside_at_the_start(tmp_path):
    (tmp_path / "ticks.db").write_bytes(b"holiday photos " * 1000)
    (tmp_path / "ticks.damaged.db").write_text("of an earlier time")
    with capture_logs() as lines:
        store = await Store.open(tmp_path)
    assert faults_logged(lines, "ticks.db") == ["store begins with a new file"]
    assert store.ticks.fault is None
    assert (tmp_path / "ticks.damaged.db").read_bytes() == b"holiday photos " * 1000
    ticks_of(store).post(tick())
    await store.ticks.write(lambda c: None)
    assert await ticks_of(store).list("ses_1") == [tick()]
    await store.aclose()


async def test_one_damaged_page_of_the_record_stops_only_what_lies_there(tmp_path):
    await filled(tmp_path)
    damage(tmp_path / "joyvl.db", "events_wall")
    with capture_logs() as lines:
        store = await Store.open(tmp_path)
        for _ in range(4):  # in one batch with writes that work
            Events(store.main).post(event())
        await Cameras(store.main).add(camera(id="cam_2", name="yard", session_id="ses_2"), session(id="ses_2"))
        await Watches(store.main).add(watch("ses_1"))
        kept = ticks_of(store)
        kept.post(tick(id=5_000))
        await until(lambda: store.main.dropped == 4)
        with pytest.raises(StoreError, match="damaged"):
            await store.main.write(lambda c: c.execute("UPDATE events SET wall = wall + 1") and None)
        await Watches(store.main).add(watch("ses_2"))
        await asyncio.sleep(0.2)
        for _ in range(2):
            Events(store.main).post(event())
        await until(lambda: store.main.dropped == 6)
    assert {c.name for c in await Cameras(store.main).list()} == {"front", "yard"}
    assert len(await Watches(store.main).list("ses_1")) == 1
    # Damage does not heal: it is told once, and stays until the file is another one.
    assert "is damaged" in str(store.main.fault)
    assert await store.fault() == store.main.fault
    assert faults_logged(lines, "joyvl.db").count("store fails") == 1
    assert "store works again" not in faults_logged(lines, "joyvl.db")
    assert store.ticks.fault is None
    await store.aclose()


async def test_damage_that_only_reading_finds_is_logged_too(tmp_path):
    await filled(tmp_path)
    damage(tmp_path / "joyvl.db", "events_type")
    with capture_logs() as lines:
        store = await Store.open(tmp_path)
        with pytest.raises(StoreError, match="damaged"):
            await Events(store.main).list(EventFilter(types=("spoke",)))
        await until(lambda: store.main.fault is not None)
    assert faults_logged(lines, "joyvl.db") == ["store fails"]
    await Watches(store.main).add(watch("ses_1"))
    await store.aclose()


async def test_a_job_that_fails_alone_is_dropped_and_holds_nobody(tmp_path):
    store = await Store.open(tmp_path)
    tried = []

    def poison(connection):
        tried.append(1)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        raise error

    with capture_logs() as lines:
        for n in range(20):
            Events(store.main).post(event(id=f"evt_{n:03d}"))
        store.main.post(poison)
        for n in range(20, 40):
            Events(store.main).post(event(id=f"evt_{n:03d}"))
        await store.main.write(lambda c: None)
        assert len(await Events(store.main).list()) == 40
        await until(lambda: not store.main.pending)
        await until(lambda: store.main.fault is None)
    assert store.main.dropped == 1
    assert len(tried) >= 3
    assert faults_logged(lines, "joyvl.db") == ["store fails", "store lost records", "store works again"]
    await store.aclose()


# ------------------------------------------------------------------------------------------- a folder that goes away


async def noticed(store):
    await until(lambda: store.main.fault is not None)
    with pytest.raises(StoreError) as caught:
        await Cameras(store.main).add(camera(name="lost?"), session())
    assert caught.value.code == "store_gone"
    return str(caught.value)


async def test_a_folder_that_is_moved_away_and_comes_back(tmp_path):
    folder = tmp_path / "data"
    await filled(folder)
    with capture_logs() as lines:
        store = await Store.open(folder)
        kept = ticks_of(store)
        folder.rename(tmp_path / "elsewhere")
        assert "data folder" in await noticed(store)
        await until(lambda: store.ticks.fault is not None)
        kept.post(tick(id=7_000_000))
        Events(store.main).post(event(text="meanwhile"))
        await asyncio.sleep(0.3)
        assert not folder.exists()
        (tmp_path / "elsewhere").rename(folder)
        await until(lambda: store.main.fault is None and store.ticks.fault is None)
        await until(lambda: not store.main.pending and not store.ticks.pending)
        await Cameras(store.main).add(camera(name="back"), session())
    assert faults_logged(lines, "joyvl.db") == ["store fails", "store works again"]
    assert faults_logged(lines, "ticks.db") == ["store fails", "store works again"]
    await store.aclose()
    again = await Store.open(folder)
    assert {c.name for c in await Cameras(again.main).list()} == {"front", "back"}
    assert "meanwhile" in {e.text for e in await Events(again.main).list(limit=1000)}
    assert (await ticks_of(again).list("ses_1"))[0].id == 7_000_000
    await again.aclose()


@pytest.mark.parametrize("how", ["removed", "emptied", "replaced", "copied over"])
async def test_a_folder_that_is_not_the_same_any_more(tmp_path, how):
    """Nothing is said to be kept that is not, and nothing is made in what stands there now."""
    folder = tmp_path / "data"
    await filled(folder)
    shutil.copytree(folder, tmp_path / "backup")
    with capture_logs() as lines:
        store = await Store.open(folder)
        await Sessions(store.main).add(session())
        if how == "emptied":
            for file in folder.iterdir():
                file.unlink()
        else:
            shutil.rmtree(folder)
        if how == "replaced":
            folder.mkdir()
        if how == "copied over":
            shutil.copytree(tmp_path / "backup", folder)
        await noticed(store)
        await asyncio.sleep(0.3)
        assert (await store.fault() or "").startswith("The data")
    assert faults_logged(lines, "joyvl.db") == ["store fails"]
    left = set(os.listdir(folder)) if folder.exists() else set()
    assert "joyvl.db" not in left or how == "copied over"
    if how == "replaced":
        assert left == set()
    await store.aclose()


@pytest.mark.processes
async def test_a_disk_that_is_unmounted(disk):
    await filled(disk.path)
    with capture_logs() as lines:
        store = await Store.open(disk.path)
        disk.unmount()
        assert "unmounted" in await noticed(store)
        await asyncio.sleep(0.3)
    assert os.listdir(disk.path) == []
    assert faults_logged(lines, "joyvl.db") == ["store fails"]
    await store.aclose()


async def test_only_the_ticks_are_removed_by_somebody_who_needs_room(tmp_path):
    await filled(tmp_path)
    store = await Store.open(tmp_path)
    kept = ticks_of(store)
    kept.post(tick(id=5_000_000))
    await store.ticks.write(lambda c: None)
    with capture_logs() as lines:
        for file in tmp_path.glob("ticks.db*"):
            file.unlink()
        await until(lambda: store.ticks.renewed == 1)
        kept.post(tick(id=6_000_000))
        await store.ticks.write(lambda c: None)
    assert faults_logged(lines, "ticks.db") == ["store fails", "store begins with a new file", "store works again"]
    assert [t.id for t in await kept.list("ses_1")] == [6_000_000]
    assert not (tmp_path / "ticks.damaged.db").exists()
    assert store.main.fault is None
    await store.aclose()


async def test_a_commit_into_a_file_that_was_just_removed_is_no_success(tmp_path, monkeypatch):
    """Between the last look and the commit: SQLite itself does not notice."""
    monkeypatch.setattr(write_connection, "CHECK_S", 60.0)
    folder = tmp_path / "data"
    store = await Store.open(folder)
    await Sessions(store.main).add(session())

    def and_then_it_goes(connection):
        connection.execute("DELETE FROM sessions")
        folder.rename(tmp_path / "elsewhere")

    with capture_logs():
        with pytest.raises(StoreError) as caught:
            await store.main.write(and_then_it_goes)
        assert caught.value.code == "store_gone"
        await store.aclose()


# -------------------------------------------------------------------------------------------------- one server a folder


async def test_a_folder_has_one_server(tmp_path):
    first = await Store.open(tmp_path)
    with pytest.raises(StoreError, match=f"process {os.getpid()}.*is using the data folder") as caught:
        await Store.open(tmp_path)
    assert caught.value.code == "store_locked"
    await Sessions(first.main).add(session())
    await first.aclose()
    await (await Store.open(tmp_path)).aclose()


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o777])
async def test_a_data_folder_is_closed_to_others(tmp_path, mode):
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    await (await Store.open(folder)).aclose()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    await (await Store.open(folder)).aclose()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_folder_shared_with_other_things_is_left_as_it_is(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "letters").touch()
    await (await Store.open(folder)).aclose()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
