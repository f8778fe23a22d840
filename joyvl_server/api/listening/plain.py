"""What somebody hears who speaks http to a port of https."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from joyvl_server.api.http.hosts import HostPolicy, parse_host
from joyvl_server.api.http.problems import problem


class PlainHttpAnswer:
    """The ASGI app of such connections. A browser is sent on; a program is told, so that whoever gave it the wrong
    address finds out before it sends its key in the clear every day."""

    def __init__(self, hosts: HostPolicy) -> None:
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        headers = Headers(scope=scope)
        host = parse_host(headers.get("host", ""))
        if host is None or not self._hosts.answers_to(host):
            return _told("https://…")
        wanted = f"https://{headers['host']}"
        browses = scope["method"] in ("GET", "HEAD") and "text/html" in headers.get("accept", "")
        if not browses:
            return _told(wanted)
        query = f"?{scope['query_string'].decode('latin1')}" if scope["query_string"] else ""
        path = scope["raw_path"].decode("latin1").partition("?")[0]
        return RedirectResponse(f"{wanted}{path}{query}", 307, {"Connection": "close", "Cache-Control": "no-store"})


def _told(address: str) -> Response:
    detail = f"This port speaks https, not http: use {address}"
    return problem(400, "https_only", detail, headers={"Connection": "close"})
