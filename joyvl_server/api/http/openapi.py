"""Our OpenAPI document: every operation with an id, a tag, words, and the problems it may answer with."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from joyvl_server.api.access.roles import LEAST
from joyvl_server.api.http.problems import CODE_OF_STATUS, PROBLEM_JSON, TYPE_PREFIX
from joyvl_server.api.schemas.calls import CallIn
from joyvl_server.api.schemas.common import Problem

DESCRIPTION = """joyvl-server watches live video and decides every second: stay silent, speak or delegate.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Creates take an `Idempotency-Key`.
Lists are `{"data": […], "next": cursor or null}`. Times are RFC 3339, or Unix seconds where the name is `wall`.
"""

TAGS = [
    {"name": "cameras", "description": "Registered, lasting sources: RTSP cameras and files."},
    {"name": "sessions", "description": "One live observation of one source, its ticks and its stream of updates."},
    {"name": "watches", "description": "Standing instructions. A session holds many."},
    {"name": "queries", "description": "Questions asked once. They never replace a watch."},
    {"name": "speech", "description": "What a session says aloud and hears."},
    {"name": "calls", "description": "Browser calls over WebRTC."},
    {"name": "realtime", "description": "For OpenAI Realtime clients."},
    {"name": "tasks", "description": "Questions handed over to agents, and what came of them."},
    {"name": "agents", "description": "Who works on tasks."},
    {"name": "reference", "description": "For clients of the interaction model's reference server."},
    {"name": "events", "description": "The timeline."},
    {"name": "memories", "description": "What stays when frames are gone."},
    {"name": "alerts", "description": "What people should know of, and where it goes."},
    {"name": "keys", "description": "Who may call: keys with roles, signed-in browsers."},
    {"name": "server", "description": "Engines, health, metrics, version."},
]

DETAILS = {
    400: ("bad_request", "The request cannot be read."),
    403: ("not_allowed", "The net policy or a limit forbids it."),
    404: ("not_found", "There is no such camera, session, watch, query, call, task or agent."),
    409: ("conflict", "A name is used twice, or the state forbids it."),
    413: (
        "body_too_large",
        "The body is larger than server.max_body_bytes, or than the 8 MiB of /v1/chat/completions.",
    ),
    415: ("unsupported_media_type", "This route does not accept this kind of body."),
    422: ("invalid", "A field is unknown, missing or wrong; `errors` names each."),
    502: ("source", "The source cannot be used."),
    503: ("no_frame", "Not right now; try again."),
}
EXAMPLE_ERRORS = [{"field": "nmae", "message": "This field is not known.", "code": "extra_forbidden"}]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: what it may answer with when it does not do what it was asked."""
    return {status: _problem_response(status) for status in statuses}


def _problem_response(status: int) -> dict[str, Any]:
    code, words = DETAILS[status]
    example: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": "nmae: This field is not known." if status == 422 else words,
        "code": CODE_OF_STATUS.get(status, code),
    }
    if status == 422:
        example["errors"] = EXAMPLE_ERRORS
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    return {"description": words, "content": content}


def operation_id(route: APIRoute) -> str:
    """The handler's own name: `list_cameras`."""
    return route.name


def install(app: FastAPI) -> None:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        tags=TAGS,
        routes=app.routes,
        license_info=app.license_info,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    # Those that no handler's signature shows.
    for model in (Problem, CallIn):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key; see the setting server.auth."},
        "browser": {"type": "apiKey", "in": "cookie", "name": "joyvl_session", "description": "A signed-in browser."},
    }
    document["security"] = [{}, {"key": []}, {"browser": []}]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation)
            _say_role(operation, f"{method.upper()} {path}")
    return document


def _say_role(operation: dict[str, Any], route: str) -> None:
    least = LEAST.get(route, "admin")
    operation["x-least-role"] = least
    if least == "none":
        operation["security"] = []
    else:
        operation["description"] = f"{operation.get('description', '')}\n\nLeast role: {least}.".strip()


def _complete(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "422" in responses:
        responses["422"] = _problem_response(422)
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses["default"] = {"description": "Any other error: 401, 403, 413, 415, 421, 429, 500 …", "content": content}
