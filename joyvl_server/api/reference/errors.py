"""Errors in the shape of OpenAI's API, on the addresses of the reference's: its clients read no other."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from joyvl_server.api.http.bodies import CHAT_PATH
from joyvl_server.api.http.encoding import to_json
from joyvl_server.api.http.problems import PROBLEM_JSON
from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.masking import mask_text

STREAMING_PATH = "/v1/streaming/"
RESET_PATH = "/reset"
TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


class ChatRefused(JoyvlError):
    """A request that cannot be taken; `param`: the field or header that is wrong."""

    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def failure(
    status: int, code: str, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """One error as the reference's clients get it."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    content = {"error": {"message": mask_text(message), "type": kind, "param": param, "code": code}}
    return Response(
        to_json(content).encode(), status, {**(headers or {}), "Cache-Control": "no-store"}, "application/json"
    )


class OpenAIErrors:
    """ASGI middleware: a problem that leaves on one of these addresses, whoever found it, is told in that shape."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _ours(scope["path"]):
            send = _retold(send)
        await self._app(scope, receive, send)


def _ours(path: str) -> bool:
    return path in (CHAT_PATH, RESET_PATH) or path.startswith(STREAMING_PATH)


def _retold(send: Send) -> Send:
    """Holds the head of a problem back until its body, which is whole and small, is there."""
    head: Message | None = None

    async def told(message: Message) -> None:
        nonlocal head
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            if headers.get("content-type", "").startswith(PROBLEM_JSON):
                head = {**message, "headers": headers.raw}
                return
        elif head is not None:
            found = json.loads(message["body"])
            body = failure(found["status"], found["code"], found["detail"]).body
            headers = MutableHeaders(raw=head["headers"])
            headers["content-type"], headers["content-length"] = "application/json", str(len(body))
            await send({**head, "headers": headers.raw})
            head, message = None, {**message, "body": body}
        await send(message)

    return told
