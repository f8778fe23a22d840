"""Browsers sign in with a key or a one-time link, and get a cookie; who am I; sign out."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.access.access import LOCAL
from joyvl_server.api.access.browsers import IDLE_S
from joyvl_server.api.access.caller import Caller
from joyvl_server.api.access.check import COOKIE, cookie, cookie_of, host_of, is_secure, wrong_key
from joyvl_server.api.access.roles import routes_for
from joyvl_server.api.access.schemas import LoginIn, LoginsOut, MeOut
from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.openapi import problems
from joyvl_server.sessions import payloads

log = structlog.get_logger(__name__)

router = APIRouter(tags=["keys"])

NO_STORE = {"Cache-Control": "no-store"}


@router.post("/v1/login", response_model=MeOut)
async def log_in(api: ApiDep, request: Request, body: LoginIn) -> Response:
    """Sign this browser in: the answer sets a cookie that is valid for twelve hours, longer while it is used."""
    if not api.access.on:
        return JsonResponse(_me(LOCAL, auth=False), headers=NO_STORE)
    signed_in = await api.access.sign_in(body.key, body.code, host_of(request.scope))
    if signed_in is None:
        return wrong_key(
            api.access.failed,
            request.scope,
            "This link is over." if body.key is None else api.access.why_not(body.key),
        )
    token, caller = signed_in
    answer = JsonResponse(_me(caller, auth=True), headers=NO_STORE)
    answer.headers["Set-Cookie"] = cookie(token, IDLE_S, secure=is_secure(request.scope))
    return answer


@router.post("/v1/logout", status_code=204)
async def log_out(api: ApiDep, request: Request) -> Response:
    """Sign this browser out: its cookie opens nothing any more."""
    token = cookie_of(request.headers)
    if token is not None and api.access.on:
        await api.access.sign_out(token)
    answer = Response(status_code=204)
    if COOKIE in request.cookies:
        answer.headers["Set-Cookie"] = cookie("", 0, secure=is_secure(request.scope))
    return answer


@router.get("/v1/me", response_model=MeOut)
async def read_me(api: ApiDep, request: Request) -> Response:
    """Who asks: the name and the role of the key or of the signed-in browser."""
    return JsonResponse(_me(request.state.who, auth=api.access.on), headers=NO_STORE)


@router.get("/v1/logins", response_model=LoginsOut)
async def list_logins(api: ApiDep, request: Request) -> Response:
    """The browsers that are signed in, oldest first."""
    return render.listed(
        [
            {
                "id": login.id,
                "name": caller.shown,
                "role": caller.role,
                "cameras": sorted(caller.cameras),
                "address": login.address,
                "created_at": payloads.rfc3339(login.created_wall),
                "used_at": None if login.used_wall is None else payloads.rfc3339(login.used_wall),
                "expires_at": payloads.rfc3339(login.until_wall),
                "this": login.id == request.state.caller,
            }
            for login, caller in api.access.browsers.all()
        ]
    )


@router.delete("/v1/logins/{login_id}", status_code=204, responses=problems(404))
async def end_login(api: ApiDep, request: Request, login_id: str) -> Response:
    """Sign a browser out, as if it had done so itself. Its streams and calls end."""
    ended = await api.access.browsers.end(login_id)
    log.info("browser signed out", login=ended.id, by=request.state.caller)
    return Response(status_code=204)


def _me(caller: Caller, *, auth: bool) -> dict[str, object]:
    return {
        "auth": auth,
        "name": caller.shown,
        "role": caller.role,
        "cameras": sorted(caller.cameras),
        "expires_at": None if caller.until_wall is None else payloads.rfc3339(caller.until_wall),
        "may": routes_for(caller.role, of_cameras=bool(caller.cameras)),
    }
