"""The routes of the reference's API: see docs/reference/reference-api.md."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.bodies import CHAT_PATH
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.problems import Unavailable
from joyvl_server.api.reference import chat_request
from joyvl_server.api.reference.chat_request import ChatRequest
from joyvl_server.api.reference.client_sessions import Name
from joyvl_server.api.reference.errors import RESET_PATH, STREAMING_PATH, ChatRefused, failure
from joyvl_server.api.reference.replies import completion, events
from joyvl_server.core.errors import SourceError
from joyvl_server.kit import plugins
from joyvl_server.sessions.engines.pool import GROUP

router = APIRouter(tags=["reference"])

IN_A_THREAD = 65_536
"""bytes of a body that is read off the loop"""
_OBJECT = {"content": {"application/json": {"schema": {"type": "object"}}}}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, **_OBJECT}
    for status, words in {
        200: "As the reference answers.",
        400: "The request cannot be taken; `error.param` names the field.",
        503: "The engine is away, or too many wait.",
        504: "The engine took too long.",
    }.items()
}
_BODY = {"requestBody": {"required": False, **_OBJECT}}


@router.post(CHAT_PATH, response_class=Response, responses=_ERRORS, openapi_extra=_BODY)
async def create_chat_completion(api: ApiDep, request: Request) -> Response:
    """One tick of a client of the interaction model's reference server: its pictures in, the decision out."""
    try:
        asked = await _read(request)
        async with api.reference.session(_name(request, asked.session), _engine(asked.model)) as client:
            if await request.is_disconnected():
                raise Unavailable("It waited for its turn, and its client has gone.")  # nobody would see the answer
            told = await client.decide(asked)
    except ChatRefused as error:
        return failure(400, error.code, str(error), param=error.param)
    except SourceError as error:
        if error.code != "bad_picture":
            raise
        return failure(400, error.code, str(error), param="messages")
    reply = completion(told, asked.model, api.clock.wall())
    headers = {"X-Session-Id": told.session_id, "Cache-Control": "no-store"}
    if asked.stream:
        return Response(events(reply), headers=headers, media_type="text/event-stream")
    return JsonResponse(reply, headers=headers)


@router.post(STREAMING_PATH + "reset", response_class=Response, responses=_ERRORS, openapi_extra=_BODY)
@router.post(RESET_PATH, response_class=Response, responses=_ERRORS, openapi_extra=_BODY, name="reset")
async def reset_stream(api: ApiDep, request: Request) -> Response:
    """End the session of a client of the reference's API; its next picture begins another."""
    try:
        name = chat_request.session_name(chat_request.parse(await request.body()), request.headers)
    except ChatRefused as error:
        return failure(400, error.code, str(error), param=error.param)
    await api.reference.reset(_name(request, name))
    return JsonResponse({"status": "reset", "session_id": name})


@router.post(STREAMING_PATH + "persona", response_class=Response, responses=_ERRORS, openapi_extra=_BODY)
async def set_persona(api: ApiDep, request: Request) -> Response:
    """How a session speaks: `default`, `silent` (less, and it hands nothing over) or `talkative`."""
    try:
        fields = chat_request.parse(await request.body())
        name = chat_request.session_name(fields, request.headers)
        persona = fields.get("persona", "default")
        if not isinstance(persona, str):
            raise ChatRefused("persona must be a string.", param="persona")
    except ChatRefused as error:
        return failure(400, error.code, str(error), param=error.param)
    async with api.reference.session(_name(request, name)) as client:
        known = client.be(persona)
    return JsonResponse({"status": "ok" if known else "unknown_persona"})


@router.head("/health", include_in_schema=False)
@router.get("/health", response_class=Response, responses={200: _ERRORS[200]})
async def read_reference_health() -> Response:
    """The process answers, as `/healthz`. It needs no key."""
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def _read(request: Request) -> ChatRequest:
    body = await request.body()
    if len(body) < IN_A_THREAD:
        return chat_request.read(body, request.headers)
    return await asyncio.to_thread(chat_request.read, body, request.headers)


def _engine(model: str) -> str | None:
    """The engine that has the name of the model; any other name is that of the default one."""
    return model if model in plugins.names(GROUP) else None


def _name(request: Request, session: str) -> Name:
    return (request.state.caller, session)
