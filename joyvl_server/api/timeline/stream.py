"""Events of all sessions as server-sent events, resumed after any event that is still kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.types import Receive, Send

from joyvl_server.api.context import ApiContext
from joyvl_server.api.http.encoding import to_json
from joyvl_server.api.timeline.shown import shown
from joyvl_server.api.updates import SLOW_MESSAGE, EventChannel, EventStream
from joyvl_server.core.errors import StoreError
from joyvl_server.kit.masking import mask_text
from joyvl_server.sessions.sinks.updates import SlowReader
from joyvl_server.timeline.feed import ChangedEvent, EventReader, ReaderTooSlow
from joyvl_server.timeline.timeline import Timeline

UNKNOWN_MESSAGE = "The event with this id is not kept any more, or never was. Events that come from now on follow."


class ShownEvents:
    """An async iterator of events as they are sent; an error is one message, then it ends or goes on."""

    def __init__(self, timeline: Timeline, reader: EventReader) -> None:
        self._timeline = timeline
        self._reader = reader
        self._telling = reader.unknown
        self._over = False

    def __aiter__(self) -> ShownEvents:
        return self

    async def __anext__(self) -> dict[str, Any]:
        """Raises `SlowReader`. Cancelled, it may leave out the event on its way."""
        if self._over:
            raise StopAsyncIteration
        if self._telling:
            self._telling = False
            return _error("unknown_event", UNKNOWN_MESSAGE)
        try:
            told = await anext(self._reader)
            (event,) = await shown(self._timeline, [told.event if isinstance(told, ChangedEvent) else told])
            return {"type": "updated", "event": event} if isinstance(told, ChangedEvent) else event
        except ReaderTooSlow as error:
            raise SlowReader(SLOW_MESSAGE) from error
        except StoreError as error:
            self._over = True
            return _error(error.code, mask_text(str(error)))


class TimelineChannel(EventChannel[dict[str, Any]]):
    """The body of the stream. Errors, changes and signs of life have no id, so that a client resumes after an event."""

    async def deliver(self, update: dict[str, Any]) -> None:
        id = f"id: {update['id']}\n" if "id" in update else ""
        await self.write(f"{id}data: {to_json(update)}\n\n")

    async def beat(self) -> None:
        await self.write('data: {"type":"heartbeat"}\n\n')


class TimelineStream(EventStream[dict[str, Any]]):
    def __init__(self, api: ApiContext, reader: EventReader) -> None:
        events: AsyncIterator[dict[str, Any]] = ShownEvents(api.registry.timeline, reader)
        super().__init__(api, events)

    def channel(self, receive: Receive, send: Send) -> TimelineChannel:
        return TimelineChannel(receive, send)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"code": code, "message": message}}
