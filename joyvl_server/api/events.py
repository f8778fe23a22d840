"""Events: the timeline, newest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.context import ApiDep
from joyvl_server.api.schemas.system import EventsOut, EventsQuery
from joyvl_server.store.events import EventFilter

router = APIRouter(tags=["events"])


@router.get("/v1/events", response_model=EventsOut)
async def list_events(api: ApiDep, query: Annotated[EventsQuery, Query()]) -> Response:
    """What happened, newest first. Events outlive cameras, sessions and restarts."""
    wanted = EventFilter(
        session_id=query.session_id,
        camera_id=query.camera_id,
        types=() if query.type is None else (query.type,),
        since=None if query.since is None else query.since.timestamp(),
        until=None if query.until is None else query.until.timestamp(),
    )
    found = await api.registry.events.list(wanted, limit=query.limit + 1, before=query.after)
    shown = found[: query.limit]
    return render.listed([render.event(e) for e in shown], shown[-1].id if len(found) > query.limit else None)
