"""Watches: standing instructions of a session."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.idempotency import IdempotencyKey, once
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.common import PageQuery, paginated
from joyvl_server.api.schemas.sessions import WatchesOut, WatchIn, WatchOut, WatchPatch
from joyvl_server.sessions import payloads

router = APIRouter(tags=["watches"])

WATCHES = "/v1/sessions/{session_id}/watches"


@router.get(WATCHES, response_model=WatchesOut, responses=problems(404))
async def list_watches(api: ApiDep, session_id: str, query: Annotated[PageQuery, Query()]) -> Response:
    """The watches of a session, oldest first, the paused ones too."""
    session = api.registry.session(session_id)
    shown, cursor = paginated(session.watches.all(), lambda watch: watch.id, query)
    return render.listed([payloads.watch(w, session.watches.note(w)) for w in shown], cursor)


@router.post(WATCHES, status_code=201, response_model=WatchOut, responses=problems(404, 409))
async def create_watch(
    api: ApiDep, request: Request, session_id: str, body: WatchIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Add a standing instruction; the others stay."""

    async def create() -> Response:
        session = api.registry.session(session_id)
        watch = await session.watches.add(body.to_draft())
        shown = payloads.watch(watch, session.watches.note(watch))
        return render.created(shown, f"/v1/sessions/{session_id}/watches/{watch.id}")

    return await once(request, idempotency_key, create)


@router.get(WATCHES + "/{watch_id}", response_model=WatchOut, responses=problems(404))
async def read_watch(api: ApiDep, session_id: str, watch_id: str) -> Response:
    """One watch."""
    session = api.registry.session(session_id)
    watch = session.watches.get(watch_id)
    return JsonResponse(payloads.watch(watch, session.watches.note(watch)))


@router.patch(WATCHES + "/{watch_id}", response_model=WatchOut, responses=problems(404))
async def change_watch(api: ApiDep, session_id: str, watch_id: str, body: WatchPatch) -> Response:
    """Change some fields, pause it or resume it."""
    session = api.registry.session(session_id)
    watch = await session.watches.change(watch_id, body.changes())
    return JsonResponse(payloads.watch(watch, session.watches.note(watch)))


@router.delete(WATCHES + "/{watch_id}", status_code=204, responses=problems(404))
async def delete_watch(api: ApiDep, session_id: str, watch_id: str) -> Response:
    """Delete it."""
    await api.registry.session(session_id).watches.remove(watch_id)
    return Response(status_code=204)
