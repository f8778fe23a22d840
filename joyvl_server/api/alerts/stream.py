"""Alerts as server-sent events. The id of each is the number of the change, which a client resumes from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from joyvl_server.api.alerts.shown import shown
from joyvl_server.api.context import MAX_STREAMS, ApiContext
from joyvl_server.api.http.encoding import to_json
from joyvl_server.api.http.problems import Unavailable
from joyvl_server.api.http.relay import StreamEnd, UpdateRelay
from joyvl_server.api.schemas.alerts import AlertsQuery
from joyvl_server.api.updates import FAREWELL_S, RETRY_MS, counted
from joyvl_server.notify.feed import AlertSubscription
from joyvl_server.sessions.sinks.updates import SlowReader
from joyvl_server.store.alerts.records import AlertRecord

UNKNOWN = "What was missed since this id is not known here: read the list again."


@dataclass(frozen=True, slots=True)
class AlertNotice:
    """One message: `number` of the change, or of the newest one for what is no change."""

    number: int
    values: dict[str, Any]


def check_streams(api: ApiContext) -> None:
    """Raises `Unavailable`."""
    if api.streams >= MAX_STREAMS:
        raise Unavailable(f"{MAX_STREAMS} update streams are open; close one first.", code="too_many_streams")


class AlertStream(Response):
    """`text/event-stream`. Without the `event` field, so that one `onmessage` gets every type."""

    media_type = "text/event-stream"

    def __init__(self, api: ApiContext, wanted: AlertsQuery, cameras: tuple[str, ...], last_id: str | None) -> None:
        self.status_code, self.background = 200, None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._api = api
        self._wanted = wanted
        self._cameras = cameras
        self._last_id = last_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        channel, feed = _Channel(receive, send), self._api.registry.alerts.feed
        with counted(self._api, "sse"), feed.subscribed() as subscription:
            notices = self._notices(subscription, feed.seen)  # all that happens after the client sees an answer
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await channel.write(f"retry: {RETRY_MS}\n\n")
            relay = UpdateRelay(self._api.clock, cast(Any, notices), cast(Any, channel), self._api.stopping)
            end = await relay.run()
        if end is not StreamEnd.GONE:
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await channel.write("", more=False)
            except (TimeoutError, OSError):
                pass

    async def _notices(self, subscription: AlertSubscription, seen: int) -> AsyncIterator[AlertNotice]:
        """What was missed, then what happens after the change number `seen`. Raises `SlowReader`."""
        feed = self._api.registry.alerts.feed
        if self._last_id is not None:
            missed = (
                await feed.missed(int(self._last_id)) if self._last_id.isascii() and self._last_id.isdigit() else None
            )
            if missed is None:
                yield AlertNotice(seen, {"type": "alerts.unknown_id", "message": UNKNOWN})
            else:
                seen = int(self._last_id)
                for alert in missed:
                    async for notice in self._notice(alert, seen):
                        yield notice
                    seen = alert.revision
        async for alert in subscription:
            if alert.revision > seen:
                async for notice in self._notice(alert, seen):
                    yield notice
                seen = alert.revision
        raise SlowReader

    async def _notice(self, alert: AlertRecord, seen: int) -> AsyncIterator[AlertNotice]:
        wanted = self._wanted
        if wanted.camera_id not in (None, alert.camera_id) or wanted.kind not in (None, alert.kind):
            return
        if self._cameras and alert.camera_id not in self._cameras:
            return
        kind = "alert.created" if alert.first_revision > seen else "alert.updated"
        yield AlertNotice(alert.revision, {"type": kind, "alert": (await shown(self._api, [alert]))[0]})


class _Channel:
    """See `UpdateChannel`."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def write(self, text: str, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": more})

    async def deliver(self, notice: AlertNotice) -> None:
        await self.write(f"id: {notice.number}\ndata: {to_json(notice.values)}\n\n")

    async def beat(self) -> None:
        await self.write('data: {"type":"heartbeat"}\n\n')

    async def gone(self) -> StreamEnd:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        return StreamEnd.GONE
