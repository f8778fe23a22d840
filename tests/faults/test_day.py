"""A day of four sessions in virtual time: memory stays where it is after the first hour, contexts and queues in bounds.

The real registry, scheduler, sessions, observer, context and engine `openai`; the server behind them is simulated.
"""

from __future__ import annotations

import gc
import os
import weakref
from dataclasses import dataclass, field

import numpy as np
import psutil
import pytest
from bench.simulation.card import Card
from bench.simulation.deployment import Deployment, simulated_deployment
from bench.simulation.scripted_model import ScriptedModel, question
from bench.simulation.sources import SimulatedSource, View, drawn
from bench.simulation.virtual_time import VirtualClock, run_virtual

from joyvl_server.core.observer import Observer
from joyvl_server.sessions.watch_list import WatchDraft

SESSIONS = 4
HOURS = int(os.environ.get("JOYVL_DAY_HOURS", "2"))
"""Two take a minute or two of one core; a whole day, 24, a quarter of an hour and more."""
LONG = 12
"""hours from which on what grows in the first ones no longer counts"""
WARM_UP_MB = 15.0
"""more than this in the second hour would be a picture kept every few seconds"""
CONTEXT_TOKENS = 12_000
SETTINGS = {"context_tokens": CONTEXT_TOKENS, "summary_tokens": 100}
MB = 2**20
VIEW = View(384, 216, 400, 400)
QUICK = Card(fresh_s=1e-4, fresh_context_s=0, image_s=0)
"""a card for which four sessions are little work, though their chunks last about a minute"""


@dataclass
class Day:
    rss: list[float] = field(default_factory=list)
    """MB at the end of each hour"""
    ticks: list[int] = field(default_factory=list)
    """decided in each hour, of all sessions"""
    longest_prompt: int = 0
    most_waiting: int = 0
    most_pending: int = 0
    most_open_queries: int = 0
    replies: int = 0
    observers: weakref.WeakSet[Observer] = field(default_factory=weakref.WeakSet)


def make(number: int, clock: VirtualClock) -> SimulatedSource:
    greys = [np.ascontiguousarray(grey[::4, ::4]) for grey in drawn()[::4]]
    return SimulatedSource(number, clock, VIEW, greys, shift_s=11.0 * number)


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    day = Day()
    build = Observer.__init__

    def noted(observer: Observer, *args: object, **kwargs: object) -> None:
        build(observer, *args, **kwargs)
        day.observers.add(observer)

    monkeypatch.setattr(Observer, "__init__", noted)
    return day


async def live(day: Day, hours: int) -> None:
    model = ScriptedModel(every_s=60.0)
    async with simulated_deployment(model, make, card=QUICK, keeps=False, **SETTINGS) as deployment:
        for _ in range(SESSIONS):
            await deployment.add()
        for hour in range(hours):
            await an_hour(deployment, day, hour)
            gc.collect()
            day.rss.append(psutil.Process().memory_info().rss / MB)
        assert len(day.observers) == SESSIONS
        day.replies = model.replies


async def an_hour(deployment: Deployment, day: Day, hour: int) -> None:
    """Somebody asks every ten minutes, a watch comes and goes, and once an hour the engine stands still for a while."""
    decided = deployment.server.totals.kinds.get("score", 0)
    for tenth in range(6):
        session = deployment.sessions[tenth % SESSIONS]
        session.ask(question(6 * hour + tenth + 1))
        watch = await session.watches.add(WatchDraft(text=f"Tell me when a parcel is brought, number {tenth}."))
        if tenth == 3:
            deployment.server.batcher.stalled_until = deployment.clock.monotonic() + 20.0
        for _ in range(10):
            await deployment.clock.sleep(60.0)
            look_into(deployment, day)
        await session.watches.remove(watch.id)
    day.ticks.append(deployment.server.totals.kinds["score"] - decided)


def look_into(deployment: Deployment, day: Day) -> None:
    day.longest_prompt = max(day.longest_prompt, deployment.server.longest)
    day.most_waiting = max(day.most_waiting, deployment.registry.schedulers()[0]["waiting"])
    day.most_pending = max(day.most_pending, len(deployment.server.batcher.jobs))
    day.most_open_queries = max(
        day.most_open_queries, max(sum(q.status == "open" for q in s.queries.all()) for s in deployment.sessions)
    )
    for observer in day.observers:
        assert observer.context.tokens <= CONTEXT_TOKENS


def slope(values: list[float]) -> float:
    """MB an hour, by least squares."""
    return float(np.polyfit(range(len(values)), values, 1)[0])


@pytest.mark.slow
@pytest.mark.aside
def test_a_day_leaves_nothing_behind(day: Day):
    run_virtual(live(day, HOURS))
    assert all(count >= SESSIONS * 3600 * 0.97 for count in day.ticks), day.ticks
    growth = slope(day.rss[1:] if HOURS >= LONG else day.rss)
    print(f"MB by the hour: {[round(rss, 1) for rss in day.rss]}, {growth:.3f} MB an hour")
    assert growth < (1.0 if HOURS >= LONG else WARM_UP_MB), day.rss
    assert 0 < day.longest_prompt <= CONTEXT_TOKENS
    assert day.most_waiting <= SESSIONS
    assert day.most_pending <= 2 * SESSIONS
    assert day.most_open_queries <= 2
    assert day.replies >= HOURS * 60 * SESSIONS * 0.9
