"""Calls: a browser sends its webcam over WebRTC; SDP in, SDP out, as OpenAI's realtime clients do it."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.access.caller import Caller
from joyvl_server.api.access.senders import as_sent_by
from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.auth import key_of
from joyvl_server.api.http.bodies import CALLS_PATH
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.idempotency import IdempotencyKey, once
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.calls import MAX_SDP, CallIn, CallOut, CallSession, CallsOut
from joyvl_server.api.schemas.common import PageQuery, paginated
from joyvl_server.core.errors import SourceError

router = APIRouter(tags=["calls"])

M = TypeVar("M", CallIn, CallSession)

SDP = "application/sdp"
REQUEST_BODY = {
    "required": True,
    "content": {
        SDP: {"schema": {"type": "string", "description": "The offer alone; the session takes the server's defaults."}},
        "application/json": {"schema": {"$ref": "#/components/schemas/CallIn"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["sdp"],
                "properties": {
                    "sdp": {"type": "string"},
                    "session": {"type": "string", "description": "JSON like the field `session` of the JSON body."},
                },
            }
        },
    },
}
ANSWER: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "The answer. `Location` is the call (DELETE hangs up), `X-Session-Id` its session.",
        "content": {SDP: {"schema": {"type": "string"}}},
    }
}


@router.post(
    CALLS_PATH,
    status_code=201,
    response_class=Response,
    responses={**ANSWER, **problems(400, 403, 415, 422, 503)},
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def create_call(api: ApiDep, request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """Call: send the offer, get the answer. The session starts as soon as frames arrive."""
    wanted = await read_call(request)
    sender: Caller = request.state.who
    session_wanted = as_sent_by(sender, wanted.session, api.registry)

    async def create() -> Response:
        with api.secrets.used(key_of(request), session_wanted) as session:
            call = await api.registry.open_call(
                wanted.sdp, name=session.name, spec=session.spec(), watches=session.drafts()
            )
            if sender.role != "ingest":
                api.data_channels.serve(api.registry.session(call.session_id), session, sender.asker)
        api.access.senders.opened(call.id, sender)
        headers = {"Location": f"{CALLS_PATH}/{call.id}", "X-Session-Id": call.session_id}
        return Response(call.answer_sdp, 201, headers, SDP)

    return await once(request, idempotency_key, create)


@router.get(CALLS_PATH, response_model=CallsOut)
async def list_calls(api: ApiDep, request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """The calls that are open now; with an ingest key those that it opened."""
    calls = [call for call in api.registry.calls() if api.access.senders.knows(call.id, request.state.who)]
    shown, cursor = paginated(calls, lambda call: call.id, query)
    return render.listed([render.call(c) for c in shown], cursor)


@router.get(CALLS_PATH + "/{call_id}", response_model=CallOut, responses=problems(404))
async def read_call_of(api: ApiDep, request: Request, call_id: str) -> Response:
    """One open call. An ingest key knows only those that it opened."""
    api.access.senders.check(call_id, request.state.who)
    return JsonResponse(render.call(api.registry.call(call_id)))


@router.delete(CALLS_PATH + "/{call_id}", status_code=204, responses=problems(404))
async def hang_up(api: ApiDep, request: Request, call_id: str) -> Response:
    """Hang up; the server frees everything that the call used."""
    api.access.senders.check(call_id, request.state.who)
    await api.registry.hang_up(call_id)
    return Response(status_code=204)


@router.post(CALLS_PATH + "/{call_id}/hangup", responses=problems(404))
async def hang_up_call(api: ApiDep, request: Request, call_id: str) -> Response:
    """The same, as OpenAI's clients ask for it."""
    api.access.senders.check(call_id, request.state.who)
    await api.registry.hang_up(call_id)
    return Response(status_code=200)


async def read_call(request: Request) -> CallIn:
    """The offer and what its session should be, from any of the three kinds of body (the guard lets no other in)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if not body:
        raise SourceError("The body should hold an SDP offer.", code="bad_sdp")
    match kind:
        case "application/json":
            return _valid(body, CallIn)
        case "multipart/form-data":
            return await _from_form(request)
        case _:
            return _offer(body, request.query_params.get("model"))


def _offer(body: bytes, model: str | None) -> CallIn:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise SourceError("The body is not SDP: it is not text.", code="bad_sdp") from None
    if len(text) > MAX_SDP:
        raise SourceError(f"The body is not SDP: it is longer than {MAX_SDP} characters.", code="bad_sdp")
    try:
        return CallIn(sdp=text, session=CallSession(model=model))
    except ValidationError as error:
        raise invalid(error, "query") from None


async def _from_form(request: Request) -> CallIn:
    async with request.form(max_files=2, max_fields=2, max_part_size=MAX_SDP) as form:
        fields: dict[str, Any] = {}
        for name, value in form.multi_items():
            # Browsers send a Blob with a type of its own as a file.
            fields[name] = (await value.read()).decode(errors="replace") if isinstance(value, UploadFile) else value
    if "session" in fields:
        fields["session"] = _valid(fields["session"].encode(), CallSession, at="session")
    try:
        return CallIn.model_validate(fields)
    except ValidationError as error:
        raise invalid(error, "body") from None


def _valid(body: bytes, model: type[M], at: str | None = None) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error, "body", *([] if at is None else [at])) from None


def invalid(error: ValidationError, *start: str) -> RequestValidationError:
    """The same for the framework; `start`: where in the request it is."""
    return RequestValidationError([{**e, "loc": (*start, *e["loc"])} for e in error.errors(include_url=False)])
