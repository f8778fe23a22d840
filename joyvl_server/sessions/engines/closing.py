"""The close of an engine session, which ends in time whatever the engine does."""

from __future__ import annotations

import asyncio

import structlog

from joyvl_server.engines.base import EngineSession

log = structlog.get_logger(__name__)

CLOSE_S = 5.0
"""How long an engine session may take to give everything back."""


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
