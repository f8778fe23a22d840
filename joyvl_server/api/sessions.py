"""Sessions: what runs now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.cameras import JPEG
from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.common import PageQuery, paginated
from joyvl_server.api.schemas.sessions import SessionOut, SessionPatch, SessionsOut
from joyvl_server.api.schemas.settings import SettingsOut, described

router = APIRouter(tags=["sessions"])


@router.get("/v1/sessions", response_model=SessionsOut)
async def list_sessions(api: ApiDep, request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """The sessions that run now, oldest first; with a key for certain cameras only theirs."""
    mine: frozenset[str] = request.state.cameras
    sessions = [session for session in api.registry.sessions() if not mine or session.record.camera_id in mine]
    shown, cursor = paginated(sessions, lambda session: session.id, query)
    return render.listed([s.describe() for s in shown], cursor)


@router.get("/v1/session-settings", response_model=SettingsOut)
async def list_session_settings(api: ApiDep) -> Response:
    """The settings that a camera, call or session may have of its own: titles, bounds, defaults in force."""
    return render.listed(described(api.settings))


@router.get("/v1/sessions/{session_id}", response_model=SessionOut, responses=problems(404))
async def read_session(api: ApiDep, session_id: str) -> Response:
    """One session that runs now."""
    return JsonResponse(api.registry.session(session_id).describe())


@router.patch("/v1/sessions/{session_id}", response_model=SessionOut, responses=problems(404))
async def change_session(api: ApiDep, session_id: str, body: SessionPatch) -> Response:
    """Change settings of the running session, such as how talkative it is. It keeps its context."""
    session = await api.registry.change_session(session_id, body.changes())
    return JsonResponse(session.describe())


@router.delete("/v1/sessions/{session_id}", status_code=204, responses=problems(404, 409))
async def end_session(api: ApiDep, session_id: str) -> Response:
    """End it: a call hangs up. A camera's session ends when the camera is disabled or deleted (409 here)."""
    await api.registry.end_session(session_id)
    return Response(status_code=204)


@router.get("/v1/sessions/{session_id}/snapshot.jpg", response_class=Response, responses={**JPEG, **problems(404, 503)})
async def read_session_snapshot(api: ApiDep, request: Request, session_id: str) -> Response:
    """The newest frame as a JPEG. 503 while there is none."""
    return render.picture(request, await api.registry.session(session_id).snapshot())
