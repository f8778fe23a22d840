"""Engine calls that end in time: slices that may be cut off from outside, and the close of an engine session."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import structlog

from joyvl_server.engines.base import EngineSession
from joyvl_server.sessions.scheduling.leases import Slice

log = structlog.get_logger(__name__)

T = TypeVar("T")

CLOSE_S = 5.0
"""How long an engine session may take to give everything back."""


class Cut(Exception):
    """A slice was cut off, because turns waited for it; or it could not begin."""


async def cuttable(slot: Slice, task: asyncio.Task[T]) -> T:
    """The task's result. Raises `Cut` where the slot was cut off meanwhile; a caller that is cancelled is cancelled."""
    slot.on_cut = task.cancel
    try:
        return await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise Cut from None


async def close_session(session: EngineSession, engine: str) -> None:
    """Close an engine session, within `CLOSE_S`. What is wrong with it is told and hurts nobody.

    Cancelled, it cancels the close too.
    """
    closing = asyncio.ensure_future(session.aclose())
    try:
        await asyncio.wait({closing}, timeout=CLOSE_S)
    finally:
        if not closing.done():
            closing.cancel()
            log.warning("engine session does not close", engine=engine, waited_s=CLOSE_S)
    if closing.done() and not closing.cancelled() and (error := closing.exception()) is not None:
        log.warning("engine session does not close", engine=engine, error=str(error))
