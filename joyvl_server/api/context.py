"""What every route may use: the settings, the registry, the clock, and the word that the server stops."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from joyvl_server.api.access.access import Access
from joyvl_server.api.http.idempotency import RequestLocks
from joyvl_server.api.http.metrics import EngineUsageMetrics, HttpMetrics, StoreMetrics
from joyvl_server.api.page import PageFiles
from joyvl_server.api.realtime.client_secrets import ClientSecrets
from joyvl_server.api.realtime.data_channels import DataChannels
from joyvl_server.api.reference.client_sessions import ReferenceSessions
from joyvl_server.api.upkeep.live_settings import LiveSettings
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.tls.served import ServedCertificate
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import Settings

MAX_STREAMS = 256
"""Update streams open at once over the whole server; more are refused with 503."""


@dataclass(slots=True)
class ApiContext:
    """One per app, in `app.state.api`.

    `pages` is None where the page's files are not installed. `stopping` is set once, when the server shuts down: open
    streams end. `stop_by` is then the monotonic time at which everything should be over.
    """

    settings: Settings
    registry: Registry
    clock: Clock
    metrics: HttpMetrics
    usage: EngineUsageMetrics
    store: StoreMetrics
    pages: PageFiles | None
    secrets: ClientSecrets
    data_channels: DataChannels
    reference: ReferenceSessions
    access: Access
    live: LiveSettings
    certificate: ServedCertificate | None = None
    """that of https, once the server listens"""
    request_locks: RequestLocks = field(default_factory=RequestLocks)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    stop_by: float | None = None
    streams: int = 0
    waiting: int = 0
    """requests that wait for an answer of a session"""


def api_of(connection: HTTPConnection) -> ApiContext:
    api = connection.app.state.api
    assert isinstance(api, ApiContext)
    return api


ApiDep = Annotated[ApiContext, Depends(api_of)]
