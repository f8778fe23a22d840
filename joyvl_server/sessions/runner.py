"""The named supervisor of all session tasks: each runs, ends and fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from joyvl_server.core.errors import JoyvlError, NotFound
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions import endings
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.session import Session
from joyvl_server.store.sessions import SessionRecord, Sessions

log = structlog.get_logger(__name__)

CRASH_PAUSE_S = 1.0


class Runner:
    """Holds the live sessions. `on_crash` is awaited a moment after a session broke on an internal error."""

    def __init__(
        self, clock: Clock, metrics: Metrics, store: Sessions, on_crash: Callable[[SessionRecord], Awaitable[None]]
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._store = store
        self._on_crash = on_crash
        self._live: dict[str, Session] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def __len__(self) -> int:
        return len(self._live)

    def all(self) -> list[Session]:
        return list(self._live.values())

    def find(self, session_id: str) -> Session | None:
        return self._live.get(session_id)

    def get(self, session_id: str) -> Session:
        session = self._live.get(session_id)
        if session is None:
            raise NotFound(f"There is no running session {session_id}.")
        return session

    def begin(self, session: Session) -> None:
        self._live[session.id] = session
        self._metrics.sessions.labels(session.record.kind).inc()
        self._tasks[session.id] = asyncio.create_task(self._run(session), name=f"session-{session.id}")

    async def stop(self, session_id: str, reason: str) -> None:
        """End it and wait until all it held is given back."""
        self.get(session_id).end_reason = reason
        await self._cancelled(session_id)

    async def ended(self, session_id: str) -> None:
        """Wait until that session is over by itself."""
        task = self._tasks.get(session_id)
        if task is not None:
            await asyncio.wait({task})

    async def aclose(self, reason: str) -> None:
        self._closing = True
        for session in self.all():
            session.end_reason = reason
        await asyncio.gather(*(self._cancelled(session_id) for session_id in list(self._tasks)))

    async def _cancelled(self, session_id: str) -> None:
        task = self._tasks.get(session_id)
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        session = self._live.get(session_id)
        if session is not None:  # cancelled before its first step: nothing in `_run` was reached
            await session.aclose()
            self._forget(session)

    async def _run(self, session: Session) -> None:
        crashed = False
        try:
            await session.run()
        except* JoyvlError as group:
            session.end_reason = str(_first(group))
            log.error("session ended", session=session.id, error=session.end_reason)
        except* Exception as group:  # the supervisor's edge: counted, told, and nobody else is hurt
            crashed = True
            self._metrics.crashes.inc()
            session.end_reason = endings.CRASHED
            log.error("session crashed", session=session.id, exc_info=group)
        finally:
            self._forget(session)
        if crashed and not self._closing:
            await self._clock.sleep(CRASH_PAUSE_S)
            await self._on_crash(session.record)

    def _forget(self, session: Session) -> None:
        session.finish()
        del self._live[session.id]
        del self._tasks[session.id]
        self._metrics.sessions.labels(session.record.kind).dec()
        if session.record.kind != "camera":
            self._store.post_end(session.id, session.end_reason, self._clock.wall())


def _first(group: BaseExceptionGroup[JoyvlError]) -> BaseException:
    """The first error in it, however deep: a session's tasks are groups of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
