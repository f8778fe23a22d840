"""The outermost middleware counts answers, the innermost catches errors before they reach a client raw."""

from __future__ import annotations

import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from joyvl_server.api.access.ending import KeyOver
from joyvl_server.api.http.metrics import HttpMetrics
from joyvl_server.api.http.problems import problem

log = structlog.get_logger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class MetricsMiddleware:
    """Counts every answer, those of the guard included."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        begun = time.perf_counter()

        async def counted(message: Message) -> None:
            status = _status(message)
            if status is not None:
                self._count(scope, status, time.perf_counter() - begun)
            await send(message)

        await self._app(scope, receive, counted)

    def _count(self, scope: Scope, status: int, took_s: float) -> None:
        method = "websocket" if scope["type"] == "websocket" else scope["method"]
        if method not in METHODS and method != "websocket":
            method = "other"
        route = route_template(scope)
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.duration.labels(method, route).observe(took_s)


class ErrorMiddleware:
    """Turns what no handler foresaw into a 500 that says nothing about our insides, and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or _status(message) is not None
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except KeyOver:
            raise  # no fault of the app
        except Exception:
            log.exception("request failed", method=scope.get("method", "websocket"), route=route_template(scope))
            if started:
                raise
            detail = "The server failed to answer this request; its log says why."
            await problem(500, "internal", detail)(scope, receive, send)


def route_template(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path_format", None) or getattr(route, "path", "unmatched"))


def _status(message: Message) -> int | None:
    match message["type"]:
        case "http.response.start" | "websocket.http.response.start":
            return int(message["status"])
        case "websocket.accept":
            return 101
    return None
