"""Events: the timeline, newest first; one of them with its picture and clip; what is kept and what is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, Response

from joyvl_server.api import render
from joyvl_server.api.access.caller import own_cameras
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.timeline import (
    EventChange,
    EventOut,
    EventsDeletedOut,
    EventsFilter,
    EventsOut,
    EventsQuery,
)
from joyvl_server.api.timeline.no_clip import no_clip
from joyvl_server.api.timeline.shown import shown
from joyvl_server.api.timeline.stream import TimelineStream
from joyvl_server.api.updates import LastEventId, check_streams
from joyvl_server.core.errors import JoyvlError
from joyvl_server.memory.base import RecallRequest
from joyvl_server.store.events import EventCursor, EventFilter, EventRecord
from joyvl_server.store.words import match_expression

router = APIRouter(tags=["events"])

EVENT = "/v1/events/{event_id}"
SSE = "text/event-stream"
STREAMED = {"type", "kind", "camera_id", "session_id", "watch_id", "after"}
JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "The picture."}}
MP4: dict[int | str, dict[str, Any]] = {
    200: {"content": {"video/mp4": {}}, "description": "The clip."},
    206: {"content": {"video/mp4": {}}, "description": "The part of it that `Range` names."},
}
RECALLED_TOKENS = 1_000_000
"""Events are shown, not read by a model: only their number counts."""
END_OF_TIME = 1e11
PRIVATE = {"Cache-Control": "private, no-cache"}


class NoWords(JoyvlError):
    """A search for nothing."""

    code = "no_words"


class NoFilter(JoyvlError):
    """All events would be deleted."""

    code = "no_filter"


class NoPages(JoyvlError):
    """The nearest by meaning are one page."""

    code = "no_pages"


class NotStreamable(JoyvlError):
    """A stream has no past to search."""

    code = "not_streamable"


@router.get(
    "/v1/events",
    response_model=EventsOut,
    responses={200: {"content": {SSE: {}}, "description": "A page; with `Accept: text/event-stream`, a stream."}},
)
async def list_events(
    api: ApiDep, request: Request, query: Annotated[EventsQuery, Query()], last_event_id: LastEventId = None
) -> Response:
    """What happened, newest first. Events outlive cameras, sessions and restarts.

    With `Accept: text/event-stream` it goes on: each event of any session as it is written, resumed after
    `Last-Event-ID`. A stream takes `type`, `kind`, `camera_id`, `session_id` and `watch_id`.
    """
    wanted = query.to_filter().of_cameras(own_cameras(request))
    if SSE in request.headers.get("accept", ""):
        if beyond := sorted(query.model_fields_set - STREAMED):
            raise NotStreamable(f"A stream of events takes {', '.join(sorted(STREAMED))}, not {beyond[0]}.")
        check_streams(api)
        last_id = last_event_id or (query.after and EventCursor.read(query.after).id)
        return TimelineStream(api, await api.registry.timeline.feed.since(last_id, wanted))
    _check_words(query.query)
    if query.by == "meaning" and query.query is not None:
        return await _by_meaning(api, query, query.query, wanted)
    found = await api.registry.events.list(wanted, limit=query.limit + 1, before=query.after)
    page = found[: query.limit]
    more = page[-1].cursor if len(found) > query.limit else None
    return render.listed(await shown(api.registry.timeline, page), more)


async def _by_meaning(api: ApiContext, query: EventsQuery, text: str, wanted: EventFilter) -> Response:
    """Events that memories rest on, the nearest first."""
    if query.after is not None:
        raise NoPages("after: the nearest by meaning are one page; give a larger limit.")
    span = None
    if wanted.since is not None or wanted.until is not None:
        span = (wanted.since or 0.0, END_OF_TIME if wanted.until is None else wanted.until)
    request = RecallRequest(
        text, wanted.camera_id or wanted.cameras or None, span, limit=min(3 * query.limit, 500), tokens=RECALLED_TOKENS
    )
    recalled = await api.registry.memory.recall(request)
    ids = tuple(dict.fromkeys(found.memory.event_id for found in recalled if found.memory.event_id is not None))
    events = await api.registry.events.list(replace(wanted, words=None, ids=ids), limit=len(ids) or 1)
    nearest = sorted(events, key=lambda event: ids.index(event.id))[: query.limit]
    return render.listed(await shown(api.registry.timeline, nearest))


@router.delete("/v1/events", response_model=EventsDeletedOut)
async def delete_events(api: ApiDep, query: Annotated[EventsFilter, Query()]) -> Response:
    """Delete all events that match, for good, with their pictures and clips, and the memories and alerts that come
    from them; those that are kept too, unless `kept=false` is given."""
    wanted = query.to_filter()
    if wanted.empty:
        raise NoFilter(
            "Say which events: all of them would be deleted. Give since, until, camera_id or another filter."
        )
    _check_words(query.query)
    erased = await api.registry.past.eraser.forget_events(wanted)
    return JsonResponse({"deleted": erased.events})


@router.get(EVENT, response_model=EventOut, responses=problems(404))
async def read_event(api: ApiDep, event_id: str) -> Response:
    """One event."""
    return await _one(api, await api.registry.events.get(event_id))


@router.patch(EVENT, response_model=EventOut, responses=problems(404))
async def change_event(api: ApiDep, event_id: str, body: EventChange) -> Response:
    """Keep it, so that it stays when the oldest must go, or let it go."""
    return await _one(api, await api.registry.events.keep(event_id, body.kept))


@router.delete(EVENT, status_code=204, responses=problems(404))
async def delete_event(api: ApiDep, event_id: str) -> Response:
    """Delete it for good, with its picture and clip, and with the memories and alerts that come from it."""
    await api.registry.events.get(event_id)
    await api.registry.past.eraser.forget_events(EventFilter(ids=(event_id,)))
    return Response(status_code=204)


@router.get(EVENT + "/thumbnail.jpg", response_class=Response, responses={**JPEG, **problems(404)})
async def read_event_picture(api: ApiDep, request: Request, event_id: str) -> Response:
    """The picture that made it speak. 404 where there is none."""
    event = await api.registry.events.get(event_id)
    headers = {**PRIVATE, "ETag": f'"{event.id}"'}
    jpeg = await api.registry.timeline.files.picture(event)
    if _has(request.headers, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(jpeg, 200, headers, "image/jpeg")


@router.get(EVENT + "/clip.mp4", response_class=Response, responses={**MP4, **problems(404)})
async def read_event_clip(api: ApiDep, request: Request, event_id: str) -> Response:
    """Some seconds before and after it, with sound; parts by `Range`. 404 where there is none, with the reason: as a
    page for browsers, which loads again while the clip is still being recorded."""
    event = await api.registry.events.get(event_id)
    path = api.registry.timeline.files.clip(event)
    if event.clip != "ready" or not await asyncio.to_thread(path.is_file):
        return no_clip(event, request)
    return _clip(path)


def _clip(path: Path) -> Response:
    return FileResponse(path, headers=PRIVATE, media_type="video/mp4", content_disposition_type="inline")


def _has(headers: Mapping[str, str], etag: str) -> bool:
    return etag in (tag.strip() for tag in headers.get("if-none-match", "").split(","))


def _check_words(query: str | None) -> None:
    if query is not None and match_expression(query) is None:
        raise NoWords("There is no letter and no digit to search for.")


async def _one(api: ApiContext, event: EventRecord) -> Response:
    (content,) = await shown(api.registry.timeline, [event])
    return JsonResponse(content)
