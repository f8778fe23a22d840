"""The door, as pure ASGI middleware: Host, Origin, key, content type and size are checked before any route runs.

A browser lets every page send requests to 127.0.0.1. So also without keys: only our own names are answered to, a
request that carries a foreign Origin (or that a foreign page embeds) is refused, and bodies must be JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from joyvl_server.api.access.ending import KeyOver, cut_when_ended, until_ended
from joyvl_server.api.http import bodies
from joyvl_server.api.http.hosts import DEFAULT_PORTS, HostPolicy, OriginPolicy, parse_host, same_origin
from joyvl_server.api.http.problems import problem
from joyvl_server.settings import ServerSettings

CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self)",
}
STRICT = {"Strict-Transport-Security": "max-age=2592000"}
EMBEDDABLE = {"Cross-Origin-Resource-Policy": "cross-origin"}
CORS_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
CORS_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Last-Event-ID, Prefer, Range, "
    "X-Streaming-Session, X-Session-Id, X-Frame-Time-Range, X-System-Prompt-Key"
)
CORS_EXPOSED = (
    "Accept-Ranges, Content-Range, ETag, Idempotency-Replayed, Location, Preference-Applied, Retry-After, "
    "X-Captured-At, X-Session-Id"
)

LARGE_BYTES = 262_144
"""of a body that is looked through off the loop"""


class SignedLinkCheck(Protocol):
    """Signed links, which need no key."""

    def is_one(self, scope: Scope) -> bool:
        """Does the request come with a signature, right or wrong?"""

    def refused(self, scope: Scope) -> Response | None:
        """The answer to a link that opens nothing (403), None for a good one."""


class CallerCheck(Protocol):
    """Keys and roles."""

    async def refused(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a caller who may not do this, None where they may. Cancelling it changes nothing."""


class Guard:
    """Routes behind it find in `scope["state"]` who asks: see `AccessCheck`."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, callers: CallerCheck, links: SignedLinkCheck) -> None:
        self._app = app
        self._limit = settings.max_body_bytes
        self._certified = settings.tls == "files"
        self._hosts = HostPolicy.of(settings)
        self._origins = OriginPolicy.of(settings)
        self._callers = callers
        self._links = links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        linked = "authorization" not in headers and self._links.is_one(scope)
        extra = {**self._extra_headers(headers), **self._strict(scope, headers), **(EMBEDDABLE if linked else {})}
        guarded = _with_headers(scope, send, extra)
        refused = self._host_refused(headers) or self._origin_refused(scope, headers, embeddable=linked)
        if refused is None and _is_preflight(scope, headers):
            refused = _preflight()
        refused = refused or (self._link_refused(scope) if linked else await self._callers.refused(scope, headers))
        renewed = scope.get("state", {}).pop("set_cookie", None)
        if renewed is not None:
            extra["Set-Cookie"] = renewed
        if refused is not None:
            return await refused(scope, receive, guarded)
        if scope["type"] == "http" and bodies.has_body(headers):
            try:
                bodies.check_type(scope["path"], headers)
                known = bool(scope["state"].get("authorised"))
                receive = read = await bodies.read(headers, receive, scope["path"], self._limit, known=known)
                if len(read.body) > LARGE_BYTES:
                    await asyncio.to_thread(bodies.check_size, headers, read.body)
                else:
                    bodies.check_size(headers, read.body)
            except bodies.BodyRefused as error:
                # The rest of the body may still be on its way: this connection is of no use any more.
                answer = problem(error.status, error.code, error.detail, headers={"Connection": "close"})
                return await answer(scope, receive, guarded)
            except bodies.ClientGone:
                return
        ended = scope["state"].get("ended")
        if ended is None:
            return await self._app(scope, receive, guarded)
        with suppress(KeyOver):  # the server closes a connection whose answer is not complete
            await self._app(scope, until_ended(scope, receive, ended), cut_when_ended(guarded, ended))

    # -------------------------------------------------------------------------------------------------------- checks

    def _host_refused(self, headers: Headers) -> Response | None:
        named = headers.getlist("host")
        host = parse_host(named[0]) if len(named) == 1 else None
        if host is None:
            return problem(400, "bad_host", "The request needs exactly one well-formed Host header.")
        if not self._hosts.answers_to(host):
            detail = "This server does not answer to that Host name. If it is yours, add it to server.allowed_hosts."
            return problem(421, "unknown_host", detail)
        return None

    def _origin_refused(self, scope: Scope, headers: Headers, *, embeddable: bool) -> Response | None:
        """`embeddable`: a link may be shown on any page; whoever holds it may see the picture."""
        origin = headers.get("origin")
        foreign = problem(
            403,
            "foreign_origin",
            "A page of another origin may not call this server. If it is yours, add it to server.allowed_origins.",
        )
        if origin is None:
            # Embedded pictures and the like carry no Origin; browsers tell by Sec-Fetch-Site who embeds them.
            embedded = not embeddable and headers.get("sec-fetch-site") in ("cross-site", "same-site")
            return foreign if embedded and headers.get("sec-fetch-mode") != "navigate" else None
        host = parse_host(headers["host"])
        secure = scope.get("scheme") in ("https", "wss")
        if len(headers.getlist("origin")) > 1 or host is None:
            return foreign
        return None if self._origins.is_listed(origin) or same_origin(origin, host, secure=secure) else foreign

    def _link_refused(self, scope: Scope) -> Response | None:
        refused = self._links.refused(scope)
        if refused is None:
            scope.setdefault("state", {}).update(caller="link", role="viewer", cameras=frozenset(), authorised=True)
        return refused

    def _extra_headers(self, headers: Headers) -> dict[str, str]:
        origin = headers.get("origin")
        if origin is None or not self._origins.is_listed(origin):
            return SECURITY_HEADERS
        shared = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": CORS_EXPOSED,
            "Vary": "Origin",
        }
        return {**SECURITY_HEADERS, **shared}

    def _strict(self, scope: Scope, headers: Headers) -> dict[str, str]:
        """Only with a certificate of one's own: whoever has accepted a self-signed one could not do so again. And only
        on the standard port: browsers would hold all other ports of that name to it, too."""
        secure = self._certified and scope.get("scheme") in ("https", "wss")
        named = parse_host(headers.get("host", "")) if secure else None
        return STRICT if named is not None and named[1] in (None, DEFAULT_PORTS["https"]) else {}


def _is_preflight(scope: Scope, headers: Headers) -> bool:
    asks = "origin" in headers and "access-control-request-method" in headers
    return scope["type"] == "http" and scope["method"] == "OPTIONS" and asks


def _preflight() -> Response:
    """The origin was checked before; whose page it is stands in the shared headers."""
    headers = {
        "Access-Control-Allow-Methods": CORS_METHODS,
        "Access-Control-Allow-Headers": CORS_HEADERS,
        "Access-Control-Max-Age": "600",
    }
    return Response(status_code=204, headers=headers)


def _with_headers(scope: Scope, send: Send, extra: dict[str, str]) -> Send:
    accepted = False

    async def guarded(message: Message) -> None:
        nonlocal accepted
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(raw=_list(message.get("headers", ())))
            for name, value in extra.items():
                headers.setdefault(name, value)
            message = {**message, "headers": headers.raw}
        elif kind == "websocket.accept":
            accepted = True
        elif kind == "websocket.close" and not accepted:
            # What no route takes up would end as an empty 403.
            answer = problem(404, "not_found", "There is no WebSocket at this address.")
            return await answer(scope, _nothing, guarded)
        await send(message)

    return guarded


def _list(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return list(headers)


async def _nothing() -> Message:
    return {"type": "websocket.disconnect"}
