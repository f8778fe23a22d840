"""Media workers that nobody needs are ended, and nothing is placed on one that is about to end."""

from __future__ import annotations

import asyncio

import pytest

from fakes.clock import ManualClock
from joyvl_server.ingest import hub as hub_module
from joyvl_server.ingest.hub import IDLE_S, SWEEP_EVERY_S, MediaHub
from joyvl_server.ingest.media_worker import WorkerKind
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.settings import MediaSettings


class Worker:
    """As far as the hub looks at it. Its end takes until `may_end`; it is its own supervisor."""

    def __init__(self, *given: object) -> None:
        self.sources: dict[str, object] = {}
        self.kind: WorkerKind | None = None
        self.empty_since = 0.0
        self.supervisor = self
        self.may_end = asyncio.Event()
        self.touched = self.ending = self.ended = False

    def touch(self) -> None:
        self.touched = True

    def start(self) -> None:
        """Nothing to start."""

    async def aclose(self) -> None:
        self.ending = True
        await self.may_end.wait()
        self.ended = True


async def test_nothing_is_placed_on_a_worker_that_ends_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MediaWorker", Worker)
    clock = ManualClock()
    hub = MediaHub(MediaSettings(), NetPolicy(), clock)
    first = hub._worker_for(WorkerKind.CAMERAS)
    second = Worker()
    hub._workers.append(second)
    await clock.advance(IDLE_S + 2 * SWEEP_EVERY_S)
    assert first.ending
    found = hub._worker_for(WorkerKind.CAMERAS)
    found.empty_since = clock.monotonic()
    first.may_end.set()
    second.may_end.set()
    await clock.advance(SWEEP_EVERY_S)
    assert second.ending
    assert not found.ending
    found.may_end.set()
    await hub.aclose()


async def test_who_closes_the_hub_meanwhile_waits_for_those_that_are_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MediaWorker", Worker)
    clock = ManualClock()
    hub = MediaHub(MediaSettings(), NetPolicy(), clock)
    workers = [hub._worker_for(WorkerKind.CAMERAS), Worker()]
    hub._workers.append(workers[1])
    await clock.advance(IDLE_S + 2 * SWEEP_EVERY_S)
    assert [worker.ending for worker in workers] == [True, False]
    closing = asyncio.create_task(hub.aclose())
    await asyncio.sleep(0.01)
    for worker in workers:
        assert not closing.done()
        worker.may_end.set()
    await closing
    assert [worker.ended for worker in workers] == [True, True]
