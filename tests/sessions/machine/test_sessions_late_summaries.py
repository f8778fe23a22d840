"""Summaries that never come, fail for an hour, or come after the next chunk: no tick is late for them.

The real session on a simulated engine in virtual time; what happened is read from its input log, replayed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.simulation.deployment import Deployment, simulated_deployment
from bench.simulation.replies import WRITE
from bench.simulation.scripted_model import ScriptedModel
from bench.simulation.sources import SimulatedSource, View
from bench.simulation.virtual_time import VirtualClock, run_virtual

from fakes.patience import LONG_FORM
from joyvl_server.core.decisions import Skip
from joyvl_server.core.effects import BeginChunk, Decided, StopWriting, Write
from joyvl_server.core.errors import EngineUnavailable
from joyvl_server.core.inputs import SaidDone, Scored, Tick, WriteFailed, Written
from joyvl_server.core.observer import Observer
from joyvl_server.core.replay import replay
from joyvl_server.sessions.machine import input_log
from joyvl_server.sessions.machine.runner import MachineRunner
from joyvl_server.sessions.ticking.base import phase

GREY = np.full((6, 8), 128, np.uint8)
HOUR_S, SECONDS = 3600 if LONG_FORM else 900, 900
"""a quarter of it, unless JOYVL_LONG=1"""
LATE = "Much later it became known"
PHASE = phase(1, 1.0)
"""when in each second the first session's tick is due"""
Before = Callable[[str], Awaitable[None]]
Fault = Callable[[Deployment], Before]


@dataclass
class Log:
    """What a replayed log shows."""

    seconds: list[tuple[int, str | None]] = field(default_factory=list)
    """(second of the stream, why it was skipped)"""
    waits: list[float] = field(default_factory=list)
    """from the moment each tick was due to its score"""
    counts: Counter[str] = field(default_factory=Counter)
    prefixes: list[str] = field(default_factory=list)
    written: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    began: list[float] = field(default_factory=list)
    overtaken: int = 0
    """texts that came when the next chunk had begun already"""


def read(path: Path) -> Log:
    log, due, wanted, spoke = Log(), 0.0, {}, False
    with path.open(encoding="utf-8") as lines:
        for given, effects in replay(lines):
            if isinstance(given, Tick):
                # After a reply a tick may come at once; all others are due on the grid.
                due = given.at if spoke else PHASE + (given.at - PHASE + 0.02) // 1.0
                spoke = False
            elif isinstance(given, SaidDone):
                spoke = True
            elif isinstance(given, Scored):
                log.waits.append(given.at - due)
            elif isinstance(given, Written):
                log.written.append(given.at)
                log.overtaken += wanted[given.id] < len(log.began)
            elif isinstance(given, WriteFailed):
                log.failed.append(given.at)
            for effect in effects:
                log.counts[type(effect).__name__] += 1
                if isinstance(effect, Write):
                    wanted[effect.draft.id] = len(log.began)
                elif isinstance(effect, Decided):
                    log.seconds.append((round(effect.t), effect.skipped and effect.skipped.value))
                elif isinstance(effect, BeginChunk):
                    log.prefixes.append(effect.chunk.prefix)
                    log.began.append(given.at)
    return log


def watched(folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, fault: Fault | None) -> Log:
    """One session for so long; what its log shows when it is replayed."""
    return read(record(folder, monkeypatch, seconds, fault))


def record(folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, fault: Fault | None) -> Path:
    """The log of one session that ran for so long."""
    monkeypatch.setattr(input_log, "QUEUE_LINES", 1_000_000)  # virtual hours pass faster than a disk writes

    def make(number: int, clock: VirtualClock) -> SimulatedSource:
        return SimulatedSource(number, clock, View(bytes=600), (GREY,))

    async def main() -> Path:
        model = ScriptedModel(every_s=60.0)
        async with simulated_deployment(
            model, make, keeps=False, record_dir=folder, context_tokens=12_000
        ) as deployment:
            if fault is not None:
                deployment.server.before = fault(deployment)
            session = await deployment.add()
            await deployment.clock.sleep(seconds)
            return folder / f"{session.id}.jsonl"

    return run_virtual(main())


def never(deployment: Deployment) -> Before:
    async def before(kind: str) -> None:
        if kind == WRITE:
            await asyncio.Event().wait()

    return before


def fails_for_an_hour(deployment: Deployment) -> Before:
    async def before(kind: str) -> None:
        if kind == WRITE and deployment.clock.monotonic() < HOUR_S:
            raise EngineUnavailable("The summary was refused.")

    return before


class ComesLater:
    """Nothing is written while it is wanted; the text of each draft that was given up comes once the next chunk has
    begun, as from a writer that cannot be stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._given_up: list[str] = []
        self._begun: list[str] = []
        self._runners: list[MachineRunner] = []
        build, handle = MachineRunner.__init__, Observer.handle

        def noted(runner: MachineRunner, *args: Any, **kwargs: Any) -> None:
            self._runners.append(runner)
            build(runner, *args, **kwargs)

        def seen(observer: Observer, given: Any) -> list[Any]:
            effects = handle(observer, given)
            for effect in effects:
                if isinstance(effect, StopWriting):
                    self._given_up.append(effect.id)
                elif isinstance(effect, BeginChunk):
                    self._begun, self._given_up = self._begun + self._given_up, []
            return effects

        monkeypatch.setattr(MachineRunner, "__init__", noted)
        monkeypatch.setattr(Observer, "handle", seen)

    def __call__(self, deployment: Deployment) -> Before:
        async def before(kind: str) -> None:
            if kind == WRITE:
                await asyncio.Event().wait()
            while self._begun:
                draft, now = self._begun.pop(0), deployment.clock.monotonic()
                asyncio.get_running_loop().call_soon(self._runners[0].take, Written(now, draft, f"{LATE} {now:.0f}"))

        return before


def in_time(log: Log) -> list[int]:
    """The seconds that were decided."""
    return [second for second, skipped in log.seconds if skipped is None]


@pytest.fixture(scope="module")
def prompt(tmp_path_factory: pytest.TempPathFactory) -> Log:
    with pytest.MonkeyPatch.context() as patch:
        return watched(tmp_path_factory.mktemp("prompt"), patch, SECONDS + 5, None)


def test_summaries_stand_in_the_next_prefix_where_they_come(prompt: Log):
    assert len(prompt.written) >= 5
    assert "Someone came in." in prompt.prefixes[-1]
    assert max(prompt.waits) < 1.0


def test_summaries_that_never_return_make_no_tick_late(prompt: Log, tmp_path: Path, monkeypatch):
    log = watched(tmp_path, monkeypatch, SECONDS + 5, never)
    check_in_time(log, prompt)
    assert not log.written
    assert "Someone came in." not in log.prefixes[-1]


def test_summaries_that_return_after_the_next_chunk_join_the_one_after(prompt: Log, tmp_path: Path, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        late = ComesLater(patch)
        path = record(tmp_path, monkeypatch, SECONDS + 5, late)
    log = read(path)
    check_in_time(log, prompt)
    assert log.overtaken == len(log.written) >= 5
    assert LATE in log.prefixes[-1]


def check_in_time(log: Log, prompt: Log) -> None:
    """Chunks go on to change, and every second is decided as in the run where summaries come at once."""
    assert log.counts["BeginChunk"] >= 5
    assert in_time(log)[:SECONDS] == in_time(prompt)[:SECONDS]
    assert not {skipped for _, skipped in log.seconds} & {Skip.LATE.value, Skip.FAILED.value, Skip.AWAY.value}
    assert max(log.waits) < 1.0


@pytest.mark.slow
def test_an_hour_of_failures_costs_nothing_but_the_summaries(prompt: Log, tmp_path: Path, monkeypatch):
    log = watched(tmp_path, monkeypatch, HOUR_S + 600, fails_for_an_hour)
    seconds = in_time(log)
    assert len(seconds) >= HOUR_S + 600 - 3
    check_in_time(log, prompt)
    assert log.failed
    assert max(log.failed) < HOUR_S + 60
    assert all(at >= HOUR_S for at in log.written)
    assert len(log.written) >= 3
    assert "Someone came in." in log.prefixes[-1]  # and then memory is there again
    assert log.counts[Write.__name__] <= 4 * log.counts["BeginChunk"]  # retried, with bounds
