"""Which of the app's routes a request is for, before any of them runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import WebSocketRoute, compile_path

from joyvl_server.api.access.roles import LEAST, Least

ORDER: tuple[Least, ...] = ("none", "any", "ingest", "viewer", "operator", "admin")


@dataclass(frozen=True, slots=True)
class GuardedRoute:
    """`name`: as in `LEAST`. `pattern` matches paths, its groups are the path's parameters."""

    name: str
    least: Least
    pattern: re.Pattern[str]


def guarded_routes(app: FastAPI) -> Iterator[tuple[str, GuardedRoute]]:
    """(method, route) for every route and method of the app, `WEBSOCKET` for WebSockets."""
    for context in iter_route_contexts(app.routes):
        path = context.path or ""
        shown = re.sub(r":\w+\}", "}", path)
        methods = ["WEBSOCKET"] if isinstance(context.original_route, WebSocketRoute) else sorted(context.methods or ())
        for method in methods:
            name = f"{method} {shown}"
            yield method, GuardedRoute(name, LEAST.get(name, "admin"), compile_path(path)[0])


class RouteTable:
    """Made from the app's own routes, so that none is forgotten."""

    def __init__(self, app: FastAPI) -> None:
        self._routes: dict[str, list[GuardedRoute]] = {}
        for method, route in guarded_routes(app):
            self._routes.setdefault(method, []).append(route)

    def find(self, scope: Any) -> tuple[GuardedRoute, dict[str, str]] | None:
        """The route with its path's parameters; where several fit, the one that asks for most. None: there is none."""
        method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
        found: tuple[GuardedRoute, dict[str, str]] | None = None
        for route in self._routes.get(method, ()):
            match = route.pattern.match(scope["path"])
            if match and (found is None or ORDER.index(route.least) > ORDER.index(found[0].least)):
                found = (route, match.groupdict())
        return found
