"""The machine's clock, and the one that tests hold."""

from __future__ import annotations

import asyncio
import time

from fakes.clock import ManualClock
from joyvl_server.kit.clock import Clock, SystemClock


async def test_the_systems_clock_is_the_systems() -> None:
    clock: Clock = SystemClock()
    assert abs(clock.monotonic() - time.monotonic()) < 1.0
    assert abs(clock.wall() - time.time()) < 1.0
    await clock.sleep(0.0)


async def test_a_held_clock_wakes_sleepers_in_order_each_at_its_moment() -> None:
    clock = ManualClock(monotonic=10.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *pauses: float) -> None:
        for pause in pauses:
            await clock.sleep(pause)
            woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 1.0, 1.0))
        group.create_task(sleeper("b", 1.5))
        group.create_task(sleeper("c", 9.0))
        await clock.advance(0.5)
        assert not woken
        await clock.advance(2.0)
        assert woken == [("a", 11.0), ("b", 11.5), ("a", 12.0)]
        assert clock.sleepers == 1
        wall = clock.wall()
        await clock.advance(10.0)
        assert woken[-1] == ("c", 19.0)
        assert clock.wall() - wall == 10.0
