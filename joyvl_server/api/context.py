"""What every route may use: the settings, the registry, the clock, and the word that the server stops."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from joyvl_server.api.http.inflight import InFlight
from joyvl_server.api.http.observe import HttpMetrics
from joyvl_server.api.http.store_metrics import StoreMetrics
from joyvl_server.api.http.usage import UsageMetrics
from joyvl_server.api.page import Pages
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import Settings

MAX_STREAMS = 256
"""Update streams open at once over the whole server; more are refused with 503."""


@dataclass(slots=True)
class Api:
    """One per app, in `app.state.api`.

    `pages` is None where the page's files are not installed. `stopping` is set once, when the server shuts down: open
    streams end. `stop_by` is then the monotonic time at which everything should be over.
    """

    settings: Settings
    registry: Registry
    clock: Clock
    metrics: HttpMetrics
    usage: UsageMetrics
    store: StoreMetrics
    pages: Pages | None
    in_flight: InFlight = field(default_factory=InFlight)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    stop_by: float | None = None
    streams: int = 0


def api_of(connection: HTTPConnection) -> Api:
    api = connection.app.state.api
    assert isinstance(api, Api)
    return api


ApiDep = Annotated[Api, Depends(api_of)]
