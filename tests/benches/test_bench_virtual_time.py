"""Virtual time: hours pass at once, in order, and nothing hangs for ever."""

from __future__ import annotations

import asyncio
import time

import pytest
from bench.simulation.virtual_time import VirtualClock, run_virtual

from joyvl_server.kit.threads import BoundedThreads


def test_hours_pass_at_once_and_timers_fire_in_order():
    clock, woken = VirtualClock(wall=100.0), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic(), clock.wall()))

    async def main() -> None:
        await asyncio.gather(*(sleeper(s) for s in (7200.0, 0.5, 3600.0)))

    run_virtual(main())  # two hours: pytest would end the test
    assert [w[0] for w in woken] == [0.5, 3600.0, 7200.0]
    assert [w[1] for w in woken] == pytest.approx([0.5, 3600.0, 7200.0])
    assert woken[-1][2] == pytest.approx(7300.0)


def test_a_timeout_is_virtual_too():
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(90.0):  # pace: virtual time
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(90.0)


def test_work_for_a_thread_takes_no_time_and_its_failure_reaches_the_caller():
    async def main() -> float:
        assert await asyncio.to_thread(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        threads = BoundedThreads("test", limit=1, timeout_s=90.0)
        assert await threads.run(lambda: time.sleep(0.02) or 7) == 7  # pace: it takes real time, and no virtual one
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0.0


def test_a_wait_that_nobody_can_end_is_told():
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="no timer"):
        run_virtual(main())
