"""How long a question to the long-term memory takes among 100,000 memories of 8 cameras, what that costs, and whether
adding memories delays the loop on which sessions tick.

Vectors are generated and added in batches; everything else is what the server runs: SQLite, the real Chroma in its own
process, words, ranking. Questions are embedded by the lexical embedder, whose time counts but hardly shows.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.memory.search import CHINESE, ENGLISH
from bench.percentiles import percentile, spread
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.ids import new_id
from joyvl_server.memory.base import MemoryDraft, RecallRequest
from joyvl_server.memory.embedders.lexical import DIMENSIONS, LexicalEmbedder
from joyvl_server.memory.index.chroma import ChromaIndex, IndexPlace
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.settings import Settings
from joyvl_server.store.memories.memories import insert
from joyvl_server.store.memories.records import DAY_S, MemoryRecord
from joyvl_server.store.sqlite.database import Database

COLUMNS = (
    ("what", "recall"),
    ("p50_ms", "p50 ms"),
    ("p95_ms", "p95 ms"),
    ("max_ms", "max ms"),
)
GOAL_MS, FILTERED_GOAL_MS = 40.0, 20.0
MEMORIES, QUICK_MEMORIES = 100_000, 8_000
CAMERAS, DAYS = 8, 30
BATCH = 1000
END = 1_800_000_000.0
STEP_S = 0.01
ADDED, QUICK_ADDED = 300, 60


class Shown:
    """How far it is, for nobody."""

    def progress(self, done: int, total: int) -> None:
        """See `RebuildProgress`."""


def bench_recall(*, quick: bool = False) -> dict[str, Any]:
    """`recall_p95_ms` over all cameras, `recall_filtered_p95_ms` of one camera with a time. Raises `JoyvlError`."""
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        return asyncio.run(_measure(Path(folder), QUICK_MEMORIES if quick else MEMORIES, quick))


async def _measure(folder: Path, count: int, quick: bool) -> dict[str, Any]:
    db = await Database.open(folder / "joyvl.db")
    clock = SystemClock()
    index = ChromaIndex(IndexPlace(folder / "chroma"), clock)
    memory = LongTermMemory(Settings(memory={"embedder": "lexical"}), db, index, clock)
    own = psutil.Process()
    try:
        began = time.perf_counter()
        await _fill(db, count)
        filled_s, before_mb = time.perf_counter() - began, own.memory_info().rss / 1e6
        began = time.perf_counter()
        await memory.rebuild(Shown())
        indexed_s = time.perf_counter() - began
        times = await _recalls(memory, 20 if quick else 200)
        calm, adding = await _lateness(memory, QUICK_ADDED if quick else ADDED)
        assert index.pid is not None
        index_mb = psutil.Process(index.pid).memory_info().rss / 1e6
        after_mb = own.memory_info().rss / 1e6
    finally:
        await memory.aclose()
        await db.aclose()
    over_all = [value for what in ("all cameras", "all cameras, two days") for value in times[what]]
    one = [value for what in ("one camera, a day", "one camera, three days") for value in times[what]]
    rows = [{"what": what, **_rounded(spread(values))} for what, values in times.items()]
    rows += [
        {"what": "timers late, nothing added", **_rounded(spread(calm))},
        {"what": "timers late while memories are added", **_rounded(spread(adding))},
    ]
    return {
        "bench": "memory recall",
        "memories": count,
        "cameras": CAMERAS,
        "recall_p95_ms": round(percentile(over_all, 95), 2),
        "recall_filtered_p95_ms": round(percentile(one, 95), 2),
        "goal_recall_ms": GOAL_MS,
        "goal_recall_filtered_ms": FILTERED_GOAL_MS,
        "timer_late_p95_ms": round(percentile(calm, 95), 2),
        "timer_late_adding_p95_ms": round(percentile(adding, 95), 2),
        "rss_main_mb": round(after_mb),
        "rss_main_grown_mb": round(after_mb - before_mb),
        "rss_index_mb": round(index_mb),
        "memories_filled_s": round(filled_s, 1),
        "indexed_s": round(indexed_s, 1),
        "rows": rows,
        "notes": [
            f"{count} memories of {CAMERAS} cameras over {DAYS} days; written in {filled_s:.0f} s, put into the index "
            f"in {indexed_s:.0f} s. RSS: index {index_mb:.0f} MB, this process {after_mb:.0f} MB.",
            f"The goals of the 95th percentile: {FILTERED_GOAL_MS:g} ms for one camera with a time, {GOAL_MS:g} ms for "
            "all cameras.",
        ],
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


# ------------------------------------------------------------------------------------------------------------- filling


async def _fill(db: Database, count: int) -> None:
    draw, numbers = random.Random(1), np.random.default_rng(1)
    for begin in range(0, count, BATCH):
        memories = [_drawn(draw, begin + n, count) for n in range(min(BATCH, count - begin))]
        vectors = numbers.standard_normal((len(memories), DIMENSIONS), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        await db.write(partial(_write, memories=memories, vectors=vectors.astype("<f2")))


def _write(connection: sqlite3.Connection, memories: list[MemoryRecord], vectors: np.ndarray[Any, Any]) -> None:
    for memory, vector in zip(memories, vectors, strict=True):
        insert(connection, memory)
        seq = connection.execute("SELECT seq FROM memories WHERE id = ?", (memory.id,)).fetchone()[0]
        connection.execute("INSERT INTO memory_vectors VALUES (?, ?, ?)", (LexicalEmbedder.name, seq, vector.tobytes()))


def _drawn(draw: random.Random, number: int, count: int) -> MemoryRecord:
    wall = END - DAYS * DAY_S * (1 - number / count)
    return MemoryRecord(
        new_id("mem"), f"cam_{number % CAMERAS}", f"cam_{number % CAMERAS}", None, "said", _text(draw), None, wall,
        wall, False, None, "drawn", wall,
    )  # fmt: skip


def _text(draw: random.Random) -> str:
    if draw.random() < 0.5:
        return "The {} {} near the {} and the {} {}.".format(*draw.choices(ENGLISH, k=5))
    return "{}在{}旁边{}，{}{}。".format(*draw.choices(CHINESE, k=5))


# ----------------------------------------------------------------------------------------------------------- measuring


def _requests(draw: random.Random) -> dict[str, RecallRequest]:
    """One of each kind."""
    day = END - draw.randint(2, DAYS - 3) * DAY_S
    one = RecallRequest(_text(draw), collection=f"cam_{draw.randrange(CAMERAS)}")
    every = replace(one, collection=None)
    return {
        "one camera": one,
        "one camera, a day": replace(one, span=(day, day + DAY_S)),
        "one camera, three days": replace(one, span=(day - DAY_S, day + 2 * DAY_S)),
        "all cameras": every,
        "all cameras, two days": replace(every, span=(day, day + 2 * DAY_S)),
    }


async def _recalls(memory: LongTermMemory, rounds: int) -> dict[str, list[float]]:
    draw = random.Random(3)
    times: dict[str, list[float]] = {what: [] for what in _requests(draw)}
    for turn in range(rounds + 2):
        for what, request in _requests(draw).items():
            began = time.perf_counter()
            await memory.recall(request)
            if turn > 1:  # the first ones find nothing in memory yet
                times[what].append((time.perf_counter() - began) * 1000)
    return times


async def _lateness(memory: LongTermMemory, added: int) -> tuple[list[float], list[float]]:
    """How late timers of the loop are, in ms: without anything, and while memories are written, embedded, indexed."""
    draw = random.Random(4)
    calm: list[float] = []
    late: list[float] = []
    await _watched(asyncio.sleep(added * STEP_S), calm.append)
    memory.start()

    async def add() -> None:
        for number in range(added):
            await memory.add(MemoryDraft(f"cam_{number % CAMERAS}", "said", _text(draw), END + number))

    await _watched(add(), late.append)
    return calm, late


async def _watched(work: Any, note: Callable[[float], None]) -> None:
    working = asyncio.ensure_future(work)
    while not working.done():
        began = time.perf_counter()
        await asyncio.sleep(STEP_S)
        note((time.perf_counter() - began - STEP_S) * 1000)
    await working
