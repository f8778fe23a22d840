"""A real Chroma in its process: killed, damaged, without room, hanging. SQLite loses nothing, recall goes on, and what
the index had comes back by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3

import numpy as np
import psutil
import pytest

from fakes.memories import NOON, FakeEmbedder, Progress, draft
from fakes.patience import until
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.supervisor import Limits
from joyvl_server.memory import embedding, recall
from joyvl_server.memory.base import IndexFault, RecallRequest
from joyvl_server.memory.index import chroma
from joyvl_server.memory.index.chroma import ChromaIndex, IndexPlace
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.settings import Settings
from joyvl_server.store.memories.records import DAY_S, MemoryFilter
from joyvl_server.store.sqlite.database import Database

QUICK = Limits(start_timeout_s=90, check_every_s=0.1, check_timeout_s=20, cooldown_s=0.05, cooldown_max_s=0.2)
PLACES = ("garage", "attic", "meadow", "cellar", "balcony", "harbour", "bakery", "tunnel")
COLOURS = ("crimson", "turquoise", "silver", "ochre", "violet", "emerald")
THINGS = ("dog", "cat", "parcel", "bicycle", "umbrella", "ladder", "lorry", "kettle", "piano", "suitcase")
COUNT = 150
SPAN = (NOON, NOON + 2 * DAY_S)


def text(n: int) -> str:
    """Another one for each number."""
    return f"A {COLOURS[n % 6]} {THINGS[n % 10]} stood in the {PLACES[n * 7 // 10 % 8]}, {'near' * (n % 3)} row {n}."


@pytest.fixture(autouse=True)
def index_is_asked(monkeypatch):
    """Among so few it would not be."""
    monkeypatch.setattr(recall, "EXACT", 5)
    monkeypatch.setattr(recall, "EXACT_IN_SPAN", 5)
    monkeypatch.setattr(embedding, "open_embedder", lambda settings, name: FakeEmbedder())


@pytest.fixture
async def house(tmp_path):
    """A memory with an index that holds `COUNT` memories of two cameras over some days, and its parts."""
    db = await Database.open(tmp_path / "joyvl.db")
    index = ChromaIndex(IndexPlace(tmp_path / "chroma"), SystemClock(), QUICK)
    memory = LongTermMemory(Settings(memory={"embed_timeout_s": 5}), db, index, SystemClock())
    memory.start()
    await memory.add_all([draft(text(n), NOON + n * 3600, f"cam {n % 2}/#+") for n in range(COUNT)])
    await memory.rebuild(Progress())
    yield memory, index, tmp_path
    await memory.aclose()
    await db.aclose()


async def answers(memory) -> list[list[str]]:
    questions = [RecallRequest(text(n), limit=1) for n in range(0, COUNT, 11)]
    questions += [RecallRequest(text(8), collection="cam 0/#+", limit=1), RecallRequest(text(5), span=SPAN, limit=1)]
    return [[r.memory.text for r in await memory.recall(question)] for question in questions]


async def indexed(index) -> int:
    return sum((await index.counts("fake:1")).values())


async def test_it_finds_what_is_nearest_and_forgets(house):
    memory, index, folder = house
    assert await indexed(index) == COUNT
    found = await index.query("fake:1", np.ones(384, np.float32), ["cam 0/#+"], [20423], 5)
    assert len(found) == 5
    assert [distance for _, distance in found] == sorted(distance for _, distance in found)
    assert await index.query("other", np.ones(384, np.float32), [], [], 5) == []
    first = (await memory.memories.list(MemoryFilter(words="row 7")))[0]
    await memory.forget(MemoryFilter(ids=(first.id,)))
    await memory.settled(Progress())
    assert await indexed(index) == COUNT - 1
    with sqlite3.connect(folder / "chroma" / "chroma.sqlite3") as connection:
        texts = [str(row) for row in connection.execute("SELECT string_value FROM embedding_metadata")]
    assert not [text for text in texts if "row" in text]  # no text was ever in it
    assert psutil.Process(index.pid).nice() >= 5


async def test_killed_it_comes_back_with_the_same_answers(house):
    memory, index, _ = house
    before = await answers(memory)
    life = index.life
    os.kill(index.pid, signal.SIGKILL)
    assert await answers(memory) == before  # meanwhile
    record = await memory.add(draft("A zeppelin landed.", NOON))
    await until(lambda: index.usable and index.life > life)
    await until(lambda: memory.ready() is None)
    await memory.settled(Progress())
    assert await indexed(index) == COUNT + 1
    assert (await memory.recall(RecallRequest("zeppelin")))[0].memory == record
    assert await answers(memory) == before


async def test_a_damaged_folder_is_moved_aside_and_made_again(house):
    memory, index, folder = house
    before = await answers(memory)
    life = index.life
    os.kill(index.pid, signal.SIGKILL)
    for path in (folder / "chroma").rglob("*"):
        if path.is_file():
            path.write_bytes(os.urandom(max(path.stat().st_size, 4096)))
    await until(lambda: index.usable and index.life > life, lambda: index.fault)
    await memory.settled(Progress())
    assert (folder / "chroma.damaged").is_dir()
    assert await indexed(index) == COUNT
    assert memory.ready() is None
    assert await answers(memory) == before


async def test_damage_in_the_midst_of_work_is_found(house):
    memory, index, folder = house
    before = await answers(memory)
    for path in (folder / "chroma").rglob("*"):
        if path.is_file():
            with path.open("r+b") as file:
                file.write(os.urandom(path.stat().st_size))
    await memory.add_all([draft(f"A comet, {c}.", NOON) for c in "xyz"])
    await until(lambda: index.life > 1 and index.usable, lambda: index.fault)
    await memory.settled(Progress())
    assert await indexed(index) == COUNT + 3
    assert await answers(memory) == before


async def test_a_folder_that_was_removed_is_filled_again(house):
    memory, index, folder = house
    before = await answers(memory)
    life = index.life
    (folder / "chroma").rename(folder / "elsewhere")
    os.kill(index.pid, signal.SIGKILL)
    await until(lambda: index.usable and index.life > life, lambda: index.fault)
    await memory.settled(Progress())
    assert await indexed(index) == COUNT
    assert await answers(memory) == before


async def test_a_full_disk_is_told_and_loses_nothing(house, monkeypatch):
    memory, index, folder = house
    monkeypatch.setattr(chroma, "KEEP_FREE", 1 << 62)
    record = await memory.add(draft("A zeppelin landed.", NOON))
    await until(lambda: "full" in (memory.ready() or ""))
    assert (await memory.recall(RecallRequest("zeppelin")))[0].memory == record
    assert not (folder / "chroma.damaged").exists()
    monkeypatch.setattr(chroma, "KEEP_FREE", 0)
    memory.written()
    await until(lambda: memory.ready() is None)
    await memory.settled(Progress())
    assert await indexed(index) == COUNT + 1


async def test_one_that_hangs_holds_no_question_up_and_is_started_again(house, monkeypatch):
    memory, index, _ = house
    before = await answers(memory)
    monkeypatch.setattr(chroma, "QUERY_S", 0.3)
    life, pid = index.life, index.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        began = asyncio.get_running_loop().time()
        assert await memory.recall(RecallRequest("the piano"))
        assert asyncio.get_running_loop().time() - began < 10
        assert "no answer" in memory.ready()
    finally:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: index.usable and index.life > life)
    await memory.settled(Progress())
    assert await answers(memory) == before


async def test_nothing_is_left_of_it_at_the_end(house):
    memory, index, _ = house
    process = psutil.Process(index.pid)
    await memory.aclose()
    await until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    with pytest.raises(IndexFault):
        await index.counts("fake:1")
