"""`kill -9` while memories are embedded again by another embedder: the old one answers, and no work is done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from fakes.memories import FakeEmbedder, Progress
from fakes.patience import PATIENCE_S
from joyvl_server.kit.clock import SystemClock
from joyvl_server.memory import embedding
from joyvl_server.memory.base import RecallRequest
from joyvl_server.memory.index.off import NoIndex
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.settings import Settings
from joyvl_server.store.sqlite.database import Database

COUNT = 60
KILLED = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from fakes.memories import FakeEmbedder, Progress, draft
from joyvl_server.kit.clock import SystemClock
from joyvl_server.memory import embedding
from joyvl_server.memory.index.off import NoIndex
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.settings import Settings
from joyvl_server.store.sqlite.database import Database

old, new = FakeEmbedder("fake:1"), FakeEmbedder("other:1")
embedding.open_embedder = lambda settings, name: {"fake": old, "other": new}[name]
embed = new.embed

async def slow(texts, kind="passage"):
    if len(new.embedded) >= 32:
        print("in the middle", file=sys.stderr, flush=True)
        await asyncio.Event().wait()
    return await embed(texts, kind)

async def main():
    db = await Database.open(Path(sys.argv[1]))
    memory = LongTermMemory(Settings(memory={"embedder": "fake"}), db, NoIndex(), SystemClock())
    await memory.add_all([draft(f"Box number {n}.") for n in range(COUNT)])
    await memory.settled(Progress())
    new.embed = slow
    memory = LongTermMemory(Settings(memory={"embedder": "other"}), db, NoIndex(), SystemClock())
    memory.start()
    await asyncio.Event().wait()

asyncio.run(main())
""".replace("COUNT", str(COUNT))


@pytest.fixture
def embedders(monkeypatch):
    there = {"fake": FakeEmbedder("fake:1"), "other": FakeEmbedder("other:1")}
    monkeypatch.setattr(embedding, "open_embedder", lambda settings, name: there[name])
    return there


async def killed_in_the_middle(path: Path) -> None:
    folders = [str(folder) for folder in Path(__file__).parents[2:4]]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, path, *folders, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert child.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            assert (await child.stderr.readline()) == b"in the middle\n"
    finally:
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()


async def test_killed_while_all_is_embedded_again_it_goes_on(tmp_path, embedders):
    await killed_in_the_middle(tmp_path / "joyvl.db")
    db = await Database.open(tmp_path / "joyvl.db")
    memory = LongTermMemory(Settings(memory={"embedder": "other"}), db, NoIndex(), SystemClock())
    try:
        assert await memory._embedders.open()
        found = await memory.recall(RecallRequest("Box number 7", limit=1))
        assert [one.memory.text for one in found] == ["Box number 7."]
        assert embedders["fake"].embedded == ["Box number 7"]  # the old one is asked
        await memory.settled(told := Progress())
        assert sorted(embedders["other"].embedded) == sorted(f"Box number {n}." for n in range(32, COUNT))
        assert memory._embedders.current is embedders["other"]
        assert told.told[-1] == (COUNT, 2 * COUNT)  # there is no index
        found = await memory.recall(RecallRequest("Box number 7", limit=1))
        assert [one.memory.text for one in found] == ["Box number 7."]
    finally:
        await memory.aclose()
        await db.aclose()
