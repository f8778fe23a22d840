"""The named supervisor of all session tasks: each runs, ends and fails alone."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from joyvl_server.core.errors import JoyvlError, NotFound
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions import endings
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.session import Session
from joyvl_server.store.sessions import SessionRecord, Sessions

log = structlog.get_logger(__name__)

STOP_S = 15.0
"""How long a session may take to give back what it holds; each part of that has a limit of its own."""


class FaultListener(Protocol):
    def session_lost(self, record: SessionRecord, error: BaseException | None) -> None:
        """A camera's session has ended though nobody stopped it, by this error or group of errors."""


class SessionSupervisor:
    """Holds the live sessions."""

    def __init__(self, clock: Clock, metrics: Metrics, store: Sessions, faults: FaultListener) -> None:
        self._clock = clock
        self._metrics = metrics
        self._store = store
        self._faults = faults
        self._live: dict[str, Session] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()
        """those of sessions that are over, whose sinks finish"""

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
        """End it and wait until all it held is given back, `STOP_S` at most. Without such a session nothing happens.

        Cancelled, it waits no longer; the session ends all the same.
        """
        session = self._live.get(session_id)
        if session is not None:
            session.end_reason = reason
            await self._cancelled(session)

    async def ended(self, session_id: str) -> None:
        """Wait until that session is over by itself. Cancelling it only ends the wait."""
        task = self._tasks.get(session_id)
        if task is not None:
            await asyncio.wait({task})

    async def aclose(self, reason: str) -> None:
        """End all of them; see `stop`."""
        await asyncio.gather(*(self.stop(session.id, reason) for session in self.all()))
        if self._closing:
            await asyncio.wait(self._closing, timeout=STOP_S)

    async def _cancelled(self, session: Session) -> None:
        task = self._tasks[session.id]
        self._stopped.add(session.id)
        try:
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_S)
            if not task.done():
                log.error("session does not end", session=session.id)
            elif self._live.get(session.id) is session:  # cancelled before its first step: `_run` was not reached
                await session.aclose()
                self._forget(session)
                await session.close_sinks()
            self._forget(session)
        finally:
            self._stopped.discard(session.id)

    async def _run(self, session: Session) -> None:
        fault: BaseException | None = None
        try:
            await session.run()
        except* JoyvlError as group:
            fault = _first(group)
            session.end_reason = str(fault)
        except* Exception as group:  # the supervisor's edge: counted, told, and nobody else is hurt
            fault = group
            self._metrics.crashes.inc()
            session.end_reason = endings.CRASHED
        finally:
            self._forget(session)
            # At once: until its fault is known, a camera without a session counts for nothing.
            self._report(session, fault)
            await self._close_sinks(session)

    def _report(self, session: Session, fault: BaseException | None) -> None:
        """Say how it ended, where nobody wanted that."""
        task = asyncio.current_task()
        if session.id in self._stopped:
            if fault is not None:
                log.error("session failed while it was stopped", session=session.id, exc_info=fault)
        elif task is not None and task.cancelling():
            pass  # whoever cancelled it knows
        elif session.record.kind == "camera":
            self._faults.session_lost(session.record, fault)
        elif isinstance(fault, JoyvlError):
            log.error("session ended", session=session.id, error=session.end_reason)
        elif fault is not None:
            log.error("session crashed", session=session.id, exc_info=fault)

    async def _close_sinks(self, session: Session) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._closing.add(task)
        try:
            await session.close_sinks()
        finally:
            self._closing.discard(task)

    def _forget(self, session: Session) -> None:
        if self._live.get(session.id) is not session:
            return
        del self._live[session.id]
        del self._tasks[session.id]
        self._metrics.sessions.labels(session.record.kind).dec()
        session.finish()
        if session.record.kind != "camera":
            self._store.post_end(session.id, session.end_reason, self._clock.wall())


def _first(group: BaseExceptionGroup[JoyvlError]) -> BaseException:
    """The first error in it, however deep: a session's tasks are groups of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
