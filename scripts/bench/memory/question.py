"""How long a question about the past takes to its request: a real server, real frames, an HTTP engine that scores at
once, and as many memories as a busy house has in a year.

"Due → request" is from the tick that a question calls for to the request that carries it and its memories; "asked →
request" begins where the question arrives, and has the recall in it.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

from bench.live.server import instant_engine, serving, until_watching
from bench.percentiles import percentile
from joyvl_server.compose import media_dir
from joyvl_server.ingest.demo import draw_demo
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.session import Session

COLUMNS = (
    ("memories", "memories"),
    ("questions", "questions"),
    ("with_memories", "with memories"),
    ("request_p50_ms", "due → request p50 ms"),
    ("request_p95_ms", "p95 ms"),
    ("asked_p50_ms", "asked → request p50 ms"),
    ("asked_p95_ms", "p95 ms"),
)
GOAL_MS = 60.0
MEMORIES, QUICK_MEMORIES = 20_000, 400
QUESTIONS, QUICK_QUESTIONS = 60, 5
BATCH = 500
PAUSE_S = 0.7
WAIT_S = 20.0
THINGS = ("keys", "parcel", "umbrella", "bicycle", "phone", "glasses", "bag", "letter", "cup", "book")
PLACES = ("on the table", "by the door", "in the garden", "on the sofa", "in the kitchen", "under the lamp")


def bench_question(*, quick: bool) -> dict[str, Any]:
    """One row."""
    return asyncio.run(_bench(QUICK_MEMORIES if quick else MEMORIES, QUICK_QUESTIONS if quick else QUESTIONS))


async def _bench(memories: int, questions: int) -> dict[str, Any]:
    async with instant_engine() as port, serving(port) as registry:
        clip = Path(media_dir(registry.settings)) / "demo.mp4"
        await asyncio.to_thread(draw_demo, clip)
        draft = CameraDraft(name="hall", url=clip.resolve().as_uri(), loop=True)
        view = await registry.cameras.add(draft)
        await until_watching(registry.sessions())
        session = registry.session(view.record.session_id)
        await _fill(registry, view.record.id, memories)
        asked = [await _ask(session, number) for number in range(questions)]
    due, whole = [one["due_ms"] for one in asked], [one["asked_ms"] for one in asked]
    row = {
        "memories": memories,
        "questions": questions,
        "with_memories": sum(one["recalled"] for one in asked),
        "request_p50_ms": percentile(due, 50),
        "request_p95_ms": percentile(due, 95),
        "asked_p50_ms": percentile(whole, 50),
        "asked_p95_ms": percentile(whole, 95),
    }
    return {"goal_ms": GOAL_MS, "question_p95_ms": row["request_p95_ms"], "rows": [row]}


async def _fill(registry: Registry, camera: str, count: int) -> None:
    chance, now = random.Random(1), time.time()
    for start in range(0, count, BATCH):
        drafts = [
            MemoryDraft(
                camera, "said", f"Somebody put the {chance.choice(THINGS)} {chance.choice(PLACES)}.",
                now - chance.random() * 30 * 86_400, camera_id=camera,
            )
            for _ in range(min(BATCH, count - start))
        ]  # fmt: skip
        await registry.memory.add_all(drafts)


async def _ask(session: Session, number: int) -> dict[str, Any]:
    """One question, until the tick that carried it is over."""
    await asyncio.sleep(PAUSE_S)
    started, before = time.monotonic(), len(session.ticks(10_000))
    query = session.ask(f"Where did I put the {THINGS[number % len(THINGS)]} this week?")
    queries = session.machine.open_queries
    async with asyncio.timeout(WAIT_S):
        while not ((asked := queries().get(query.id)) is not None and asked.shown):  # noqa: ASYNC110  # the machine has no event for it
            await asyncio.sleep(0.001)
    ended = time.monotonic()
    tick = next(tick for tick in reversed(session.ticks(10_000)[before:]) if tick["skipped"] is None)
    session.withdraw(query.id)
    timings = tick["timings"]
    asked_ms = 1000 * (ended - started) - timings["score_ms"]
    recalled = bool(session.queries.get(query.id).rests_on)
    return {"due_ms": timings["request_ms"], "asked_ms": asked_ms, "recalled": recalled}
