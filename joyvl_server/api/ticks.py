"""Ticks: every second of a session with its score, also after it has ended."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.ticks import TicksOut, TicksQuery
from joyvl_server.sessions import payloads

router = APIRouter(tags=["sessions"])

ALL = 1_000_000


@router.get("/v1/sessions/{session_id}/ticks", response_model=TicksOut, responses=problems(404))
async def list_ticks(api: ApiDep, session_id: str, query: Annotated[TicksQuery, Query()]) -> Response:
    """Every tick that is kept, newest first, also of a session that has ended."""
    found = await _newest(api, session_id, query, query.limit + 1)
    shown = found[: query.limit]
    return render.listed(shown, shown[-1]["id"] if len(found) > query.limit else None)


async def _newest(api: ApiContext, session_id: str, query: TicksQuery, wanted: int) -> list[dict[str, Any]]:
    """From the session's memory, as far as that goes back, then from the store, which is a moment behind."""
    live = next((s for s in api.registry.sessions() if s.id == session_id), None)
    remembered = [] if live is None else live.ticks(ALL)[::-1]
    found = [tick for tick in remembered if query.covers(int(tick["id"]))][:wanted]
    if len(found) == wanted:
        return found
    oldest = [int(remembered[-1]["id"])] if remembered else []
    before = min([*oldest, *([] if query.before is None else [query.before])], default=None)
    older = await api.registry.ticks.list(
        session_id,
        since=None if query.since is None else query.since.timestamp(),
        until=None if query.until is None else query.until.timestamp(),
        before=before,
        limit=wanted - len(found),
    )
    return [*found, *(payloads.tick(record) for record in older)]
