"""Keeps what people said as watches, and undoes it: that takes the disk, so it waits in a queue."""

from __future__ import annotations

import structlog

from joyvl_server.core.effects import AddWatch, EndWatch
from joyvl_server.core.errors import JoyvlError
from joyvl_server.sessions.sinks.base import QueuedSink, SinkContext
from joyvl_server.sessions.sinks.messages import Failure, Message, RequestWithdrawn
from joyvl_server.sessions.watch_list import WatchDraft

log = structlog.get_logger(__name__)


class WatchSink(QueuedSink):
    wants = (AddWatch, EndWatch, RequestWithdrawn)
    capacity = 64
    """a session has at most this many watches"""

    def __init__(self, context: SinkContext) -> None:
        self._session_id = context.record.id
        self._bus = context.bus
        self._watches = context.watches
        self._queries = context.queries

    async def handle(self, message: Message) -> None:
        """One after the other. Cancelled, a watch that is being kept is kept or not; nothing is half done."""
        try:
            match message:
                case AddWatch(query_id, text):
                    record = await self._watches.add(WatchDraft(text, query_id=query_id))
                    self._queries.concerns(query_id, record.id)
                case EndWatch(query_id, watch_id):
                    await self._watches.change(watch_id, {"paused": True}, query_id=query_id)
                    self._queries.concerns(query_id, watch_id)
                case RequestWithdrawn(query_id):
                    await self._undo(query_id)
        except JoyvlError as error:
            self._not_kept(str(error))

    def dropped(self, message: Message) -> None:
        self._not_kept("Too many requests came at once.")

    async def _undo(self, query_id: str) -> None:
        """The request was withdrawn: what it did to a watch, if anything, is undone."""
        watch_id = self._queries.get(query_id).watch_id
        watch = next((watch for watch in self._watches.all() if watch.id == watch_id), None)
        if watch is None:
            return
        if watch.query_id == query_id:
            await self._watches.remove(watch.id)
        else:
            await self._watches.change(watch.id, {"paused": False}, query_id=query_id)

    def _not_kept(self, why: str) -> None:
        log.warning("watch of a request not kept", session=self._session_id, error=why)
        self._bus.publish(Failure("watch_not_kept", f"What you said could not be kept as a watch. {why}"))
