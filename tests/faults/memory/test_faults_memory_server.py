"""A real Chroma server by its address: used, gone, back; and a real disk that is full."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.memories import NOON, FakeEmbedder, Progress, draft
from fakes.patience import PATIENCE_S, until
from fakes.server.small_disk import small_disk
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.supervisor import Limits
from joyvl_server.memory import embedding, recall
from joyvl_server.memory.base import RecallRequest
from joyvl_server.memory.index import chroma
from joyvl_server.memory.index.chroma import ChromaIndex, IndexPlace
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.settings import Settings
from joyvl_server.store.sqlite.database import Database

QUICK = Limits(start_timeout_s=90, check_every_s=0.1, check_timeout_s=20, cooldown_s=0.05, cooldown_max_s=0.2)


@pytest.fixture(autouse=True)
def index_is_asked(monkeypatch):
    monkeypatch.setattr(recall, "EXACT", 5)
    monkeypatch.setattr(embedding, "open_embedder", lambda settings, name: FakeEmbedder())


def run_chroma(folder: Path, port: int) -> subprocess.Popen[bytes]:
    # Its command is not next to a Python that finds packages elsewhere, as that of scripts/test does.
    program = "import sys; from chromadb.cli.cli import app; sys.argv[0] = 'chroma'; app()"
    command = [sys.executable, "-c", program, "run", "--path", folder, "--port", str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def test_a_server_is_used_and_may_go_away(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = run_chroma(tmp_path / "server", port)
    db = await Database.open(tmp_path / "joyvl.db")
    index = ChromaIndex(IndexPlace(tmp_path / "chroma", f"http://127.0.0.1:{port}", "key"), SystemClock(), QUICK)
    memory = LongTermMemory(Settings(), db, index, SystemClock())
    memory.start()
    try:
        await memory.add_all([draft(f"A lorry, number {n}.", NOON + n) for n in range(40)])
        index.begin()
        await until(lambda: index.usable, lambda: index.fault)
        await memory.rebuild(Progress())
        assert sum((await index.counts("fake:1")).values()) == 40
        assert not (tmp_path / "chroma").exists()
        server.kill()
        server.wait()
        assert len(await memory.recall(RecallRequest("lorry, number 7"))) == 8
        await memory.add(draft("A zeppelin.", NOON))
        await until(lambda: memory.ready() is not None)
        async with asyncio.timeout(
            PATIENCE_S
        ):  # by its word alone it is not the first; its vector comes a moment later
            while (await memory.recall(RecallRequest("zeppelin")))[0].memory.text != "A zeppelin.":
                await asyncio.sleep(0.05)
        server = run_chroma(tmp_path / "server", port)
        await until(lambda: memory.ready() is None and index.usable, memory.ready)
        await memory.settled(Progress())
        assert sum((await index.counts("fake:1")).values()) == 41
    finally:
        server.kill()
        server.wait()
        await memory.aclose()
        await db.aclose()


async def test_a_real_full_disk_is_told_and_nothing_is_taken_for_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr(chroma, "KEEP_FREE", 0)
    with small_disk(tmp_path / "disk", "24m") as disk:
        db = await Database.open(tmp_path / "joyvl.db")
        index = ChromaIndex(IndexPlace(disk.path / "chroma"), SystemClock(), QUICK)
        memory = LongTermMemory(Settings(), db, index, SystemClock())
        memory.start()
        try:
            await memory.add_all([draft(f"A lorry, number {n}.", NOON + n) for n in range(20)])
            await memory.rebuild(Progress())
            monkeypatch.setattr(chroma, "KEEP_FREE", 20_000_000)
            disk.fill()
            await memory.add_all([draft(f"A zeppelin, number {n}.", NOON + n) for n in range(1500)])
            await until(lambda: "full" in (memory.ready() or ""), memory.ready)
            assert "zeppelin" in (await memory.recall(RecallRequest("zeppelin number 5")))[0].memory.text
            assert not (disk.path / "chroma.damaged").exists()
            monkeypatch.setattr(chroma, "KEEP_FREE", 0)
            disk.free()
            memory.written()
            await until(lambda: memory.ready() is None and index.usable, memory.ready)
            await memory.settled(Progress())
            assert sum((await index.counts("fake:1")).values()) == 1520
        finally:
            await memory.aclose()
            await db.aclose()
