"""Every error leaves as `application/problem+json` (RFC 9457) with a stable `code` and no secret in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import compile_path

from joyvl_server.api.http.encoding import to_json
from joyvl_server.core.errors import (
    ConfigError,
    Conflict,
    ContextTooLong,
    EngineError,
    EngineLoading,
    EngineTimeout,
    EngineUnavailable,
    JoyvlError,
    NoFrame,
    NotAllowed,
    NotFound,
    SourceError,
    StoreError,
)
from joyvl_server.kit.masking import mask_text

log = structlog.get_logger(__name__)

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:joyvl:problem:"

# Nearest class first: the first match along an error's own bases counts.
STATUS_OF: dict[type[JoyvlError], int] = {
    NotFound: 404,
    Conflict: 409,
    NotAllowed: 403,
    NoFrame: 503,
    SourceError: 502,
    EngineTimeout: 504,
    EngineLoading: 503,
    EngineUnavailable: 503,
    ContextTooLong: 502,
    EngineError: 502,
    StoreError: 500,
    ConfigError: 422,
    JoyvlError: 422,
}
# Codes that say more than their class: the caller's own doing, or a matter of waiting.
STATUS_OF_CODE: dict[type[JoyvlError], dict[str, int]] = {
    NotAllowed: {
        "bad_url": 422,
        "masked_url": 422,
        "secret_unreadable": 422,
        "too_many": 409,
        "too_many_tasks": 409,
        "engine_full": 503,
        "probes_busy": 503,
    },
    SourceError: {"bad_sdp": 400, "not_allowed": 403, "not_found": 422, "no_udp_port": 503},
    StoreError: {"store_busy": 503, "store_closed": 503, "store_gone": 503, "store_full": 503, "secrets_locked": 503},
}

# What stays so for a while; all else may be tried again after a second.
RETRY_AFTER_S = {"engine_full": "30", "no_udp_port": "30", "probes_busy": "10"}

# What the framework itself refuses.
CODE_OF_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid",
}
SENTENCE_OF_STATUS = {
    404: "There is nothing at this address.",
    405: "This address does not accept that method; the Allow header lists the methods it accepts.",
}

# The framework's own words are for programmers.
WRONG_TIME = "Write a time with its zone, like 2026-11-20T09:30:00Z."
MESSAGES = {
    "extra_forbidden": "This field is not known.",
    "missing": "This field is required.",
    "string_pattern_mismatch": "It is not written as it must be: see the description of the API.",
    **dict.fromkeys(
        ("datetime_parsing", "datetime_from_date_parsing", "datetime_type", "timezone_aware"),
        WRONG_TIME,
    ),
}
# One title for each status, whatever Python runs: newer ones have other names for these.
TITLES = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}

FieldError = dict[str, str]
"""`field` (dotted path), `message` (a sentence), `code` (a stable word)."""


class Unavailable(JoyvlError):
    """Not now: a limit of the server itself is reached."""

    code = "unavailable"


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """An error as a response; `extra` members are added to the standard ones."""
    content: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": mask_text(detail),
        "code": code,
        **extra,
    }
    if errors:
        content["errors"] = list(errors)
    return Response(to_json(content).encode(), status, {**(headers or {}), "Cache-Control": "no-store"}, PROBLEM_JSON)


def status_of(error: JoyvlError) -> int:
    if isinstance(error, Unavailable):
        return 503
    known = [cls for cls in type(error).__mro__ if cls in STATUS_OF]
    by_code = (STATUS_OF_CODE.get(cls, {}).get(error.code) for cls in known)
    return next((status for status in by_code if status is not None), STATUS_OF[known[0]])


async def on_joyvl_error(connection: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, JoyvlError)
    status = status_of(error)
    if status == 500:
        log.error("request failed", path=connection.url.path, code=error.code, error=str(error))
    headers = {"Retry-After": RETRY_AFTER_S.get(error.code, "1")} if status == 503 else None
    return problem(status, error.code, str(error), headers=headers)


async def on_http_exception(connection: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    if status < 400:
        return Response(status_code=status, headers=error.headers)
    code = CODE_OF_STATUS.get(status, HTTPStatus(status).name.lower())
    detail = SENTENCE_OF_STATUS.get(status, error.detail)
    headers = dict(error.headers or {})
    if status == 405:
        headers["Allow"] = ", ".join(sorted(_methods_at(connection)))
    return problem(status, code, detail, headers=headers)


def _methods_at(connection: HTTPConnection) -> set[str]:
    """What this address takes; the framework names only the methods of the first route there."""
    contexts = iter_route_contexts(connection.app.routes)
    return {
        method
        for context in contexts
        if context.path and compile_path(context.path)[0].match(connection.url.path)
        for method in context.methods or ()
    }


async def on_invalid(connection: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)
    found = error.errors()
    if any(e["type"] == "json_invalid" for e in found):
        return problem(400, "bad_json", "The body is not valid JSON.")
    errors = [field_error(e) for e in found[:20]]
    first = errors[0]
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    detail = f"{first['field']}: {first['message']}{more}" if first["field"] else f"{first['message']}{more}"
    return problem(422, "invalid", detail, errors=errors)


def field_error(found: Mapping[str, Any]) -> FieldError:
    """One pydantic error, without its `input`: what was sent may hold a secret."""
    kind = str(found["type"])
    location = [str(part) for part in found["loc"]]
    if location and location[0] in ("body", "query", "path", "header"):
        location = location[1:]
    message = MESSAGES.get(kind) or str(found["msg"]).removeprefix("Value error, ")
    if not location and kind == "missing":
        message = "A JSON body is needed."
    return {"field": ".".join(location)[:200], "message": mask_text(message), "code": kind}


def install(app: FastAPI) -> None:
    """Errors of the house, of the framework and of the schemas, all in one shape."""
    app.add_exception_handler(JoyvlError, on_joyvl_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(WebSocketRequestValidationError, on_invalid)
