"""A session at another engine, which writes texts for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from joyvl_server.core.errors import EngineError
from joyvl_server.engines.base import Engine, EngineSession, EngineSpec
from joyvl_server.sessions.engines.closing import close_session
from joyvl_server.sessions.scheduling.slice_policy import Slice

T = TypeVar("T")


class WriterExecutor:
    """See `SliceExecutor`. A session of its own at another engine, for texts only."""

    def __init__(self, engine: Engine, spec: EngineSpec, timeout_s: float) -> None:
        self._engine = engine
        self._spec = spec
        self._timeout_s = timeout_s
        self._session: EngineSession | None = None
        self.busy = self.slicing = False

    async def free(self) -> None:
        """At once: only slices go this way, one after the other."""

    async def slice(self, permit: Slice, work: Callable[[EngineSession], Awaitable[T]]) -> T:
        """As `EngineExecutor.slice`."""
        return await permit.result(asyncio.ensure_future(self._sliced(work)))

    async def _sliced(self, work: Callable[[EngineSession], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._session is None:
                    self._session = await self._engine.open(self._spec)
                return await work(self._session)
        except TimeoutError:
            raise EngineError(
                f"The engine {self._engine.name} did not answer in time.", code="engine_timeout"
            ) from None

    async def aclose(self) -> None:
        """See `close_session`."""
        session, self._session = self._session, None
        if session is not None:
            await close_session(session, self._engine.name)
