"""Blocking calls off the loop, in threads of their own: one that hangs starves no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class BoundedThreads:
    """At most `limit` calls at once, each waited for at most `timeout_s`.

    A call that hangs keeps its thread, but not its caller. The threads are daemons: none keeps the process from ending.
    """

    def __init__(self, name: str, *, limit: int, timeout_s: float) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(limit)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives or raises. `TimeoutError` where it takes too long, or all threads were busy for so long.

        Cancelled, it leaves the call running: a thread cannot be ended.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(error: BaseException | None, value: T | None) -> None:
            self._free.release()
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(value)  # type: ignore[arg-type]

        def body() -> None:
            error, value = None, None
            try:
                value = work()
            except BaseException as raised:  # whoever waits for it gets it
                error = raised
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, error, value)

        async with asyncio.timeout(self._timeout_s):
            await self._free.acquire()
            try:
                threading.Thread(target=body, name=self._name, daemon=True).start()
            except RuntimeError:
                self._free.release()
                raise
            return await answer
