"""Virtual time: an event loop that never waits. When nothing is ready, its clock jumps to the next timer.

Hours of sessions run in seconds, and always in the same order. Work for threads is done at once, on the loop, so that
nothing real is waited for; sockets are served when they are ready, but no time passes for them.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple
from unittest.mock import patch

from joyvl_server.kit.threads import BoundedThreads

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout != 0:
            self._loop.jump(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` starts at 0. Raises `RuntimeError` out of `run_…` when everybody waits and nobody has a timer."""

    def __init__(self) -> None:
        self._virtual = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._virtual

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Arguments], T], *args: *Arguments
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # a thread's edge: whoever awaits the work gets its failure
            done.set_exception(error)
        return done

    def jump(self, seconds: float | None) -> None:
        """Nothing is ready for so long: the time passes at once."""
        if seconds is None:
            raise RuntimeError("Everybody waits, and no timer will ever wake anyone.")
        self._virtual += seconds


class VirtualClock:
    """A `Clock` over the running virtual loop; `wall` is Unix seconds at its start."""

    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self._wall = wall

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return self._wall + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`. Cancelling it only ends the wait."""
        await asyncio.sleep(seconds)


async def _at_once(threads: BoundedThreads, work: Callable[[], T]) -> T:
    """A thread of its own would take no virtual time, or all that it may take: the clock jumps meanwhile."""
    return work()


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, in virtual time."""
    with patch.object(BoundedThreads, "run", _at_once), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
