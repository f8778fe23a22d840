"""Puts the API, the page and the sessions together into one server, and runs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from fastapi import FastAPI

from joyvl_server import __version__
from joyvl_server.api import (
    agents,
    calls,
    cameras,
    page,
    queries,
    sessions,
    speech,
    system,
    tasks,
    ticks,
    updates,
    watches,
)
from joyvl_server.api.access import keys, login
from joyvl_server.api.access.access import Access
from joyvl_server.api.access.check import AccessCheck
from joyvl_server.api.access.first_link import login_link
from joyvl_server.api.alerts import alerts, hooks
from joyvl_server.api.context import ApiContext
from joyvl_server.api.http import openapi, problems, signed_urls
from joyvl_server.api.http.connections import raise_descriptor_limit
from joyvl_server.api.http.guard import Guard
from joyvl_server.api.http.metrics import EngineUsageMetrics, HttpMetrics, StoreMetrics
from joyvl_server.api.http.middleware import ErrorMiddleware, MetricsMiddleware
from joyvl_server.api.http.server import ApiServer, bind, hang_ups, until_signal, url_of
from joyvl_server.api.listening.addresses import in_the_network, on_this_machine
from joyvl_server.api.listening.certificate import find_certificate, told_of_certificate
from joyvl_server.api.listening.started import told_at_start
from joyvl_server.api.memory import digests, memories
from joyvl_server.api.page import PageFiles
from joyvl_server.api.realtime import routes, socket
from joyvl_server.api.realtime.client_secrets import ClientSecrets
from joyvl_server.api.realtime.data_channels import DataChannels
from joyvl_server.api.reference import routes as reference
from joyvl_server.api.reference.client_sessions import ReferenceSessions
from joyvl_server.api.reference.errors import OpenAIErrors
from joyvl_server.api.timeline import routes as timeline
from joyvl_server.api.upkeep import routes as upkeep
from joyvl_server.api.upkeep.live_settings import LiveSettings, reload_and_tell
from joyvl_server.compose import arrange_demo, build_registry
from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.kit import logs
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.kit.tls.served import ServedCertificate
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import Settings, check_listen
from joyvl_server.settings.source import SettingsSource
from joyvl_server.store.folder import tell_start

log = structlog.get_logger(__name__)

ROUTERS = (
    cameras.router,
    sessions.router,
    ticks.router,
    updates.router,
    watches.router,
    queries.router,
    calls.router,
    routes.router,
    socket.router,
    reference.router,
    speech.router,
    tasks.router,
    agents.router,
    timeline.router,
    alerts.router,
    hooks.router,
    memories.router,
    digests.router,
    signed_urls.router,
    login.router,
    keys.router,
    system.router,
    upkeep.router,
    page.router,
)
STUCK_S = 3.0
"""Seconds after the shutdown time at which the process is killed where it still hangs, for example in a thread."""


def create_app(
    settings: Settings,
    registry: Registry,
    *,
    clock: Clock | None = None,
    pages: PageFiles | None = None,
    source: SettingsSource | None = None,
) -> FastAPI:
    """The API and the page over a registry, which the app's lifespan starts and closes. `source`: where settings can be
    read again."""
    clock = clock or SystemClock()
    counted = registry.metrics.registry
    api = ApiContext(
        settings,
        registry,
        clock,
        HttpMetrics(counted),
        EngineUsageMetrics(counted),
        StoreMetrics(counted),
        pages or PageFiles.find(),
        ClientSecrets(clock),
        DataChannels(),
        ReferenceSessions(registry, clock),
        Access(settings.server, registry, clock),
        LiveSettings(settings, registry, source),
    )
    app = FastAPI(
        title="joyvl-server",
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=_lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=openapi.operation_id,
    )
    app.state.api = api
    problems.install(app)
    openapi.install(app)
    for router in ROUTERS:
        app.include_router(router)
    # The one added last is the outermost.
    app.add_middleware(ErrorMiddleware)
    app.add_middleware(Guard, settings=settings.server, callers=AccessCheck(api), links=signed_urls.SignedLinks(api))
    app.add_middleware(OpenAIErrors)
    app.add_middleware(MetricsMiddleware, metrics=api.metrics)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    api: ApiContext = app.state.api
    try:
        await api.registry.start()
        await api.access.start()
        yield
    finally:
        api.stopping.set()
        await api.access.aclose()
        api.data_channels.close()
        api.reference.close()
        left = api.settings.server.shutdown_timeout_s
        if api.stop_by is not None:
            left = max(1.0, api.stop_by - api.clock.monotonic())
        try:
            async with asyncio.timeout(left):
                await api.registry.aclose()
        except TimeoutError:
            log.error("not everything stopped in time", waited_s=round(left, 1))
        if api.registry.metrics.traces is not None:
            await asyncio.to_thread(api.registry.metrics.traces.close)


def serve(
    settings: Settings,
    *,
    open_registry: Callable[[Settings], Awaitable[Registry]] = build_registry,
    arrange: Callable[[Registry], Awaitable[None]] = arrange_demo,
    source: SettingsSource | None = None,
) -> None:
    """Run until SIGTERM or SIGINT; a second signal ends the process at once. Raises `JoyvlError` when it cannot start.

    `arrange` runs while the server runs, once the registry has started. It prints the address as soon as it listens.
    SIGHUP reads the settings of `source` again, unless the program was started from a terminal: then it ends.
    """
    check_listen(settings)
    logs.configure(settings.log.level, settings.log.format)
    raise_descriptor_limit()  # before the media workers start, so that they have it too
    stuck = threading.Timer(settings.server.shutdown_timeout_s + STUCK_S, _end_process)
    stuck.daemon = True
    try:
        asyncio.run(_serve(settings, open_registry, arrange, source, stuck.start))
    finally:
        stuck.cancel()


async def _serve(
    settings: Settings,
    open_registry: Callable[[Settings], Awaitable[Registry]],
    arrange: Callable[[Registry], Awaitable[None]],
    source: SettingsSource | None,
    on_stop: Callable[[], None],
) -> None:
    # Whoever starts it must learn that a port is taken before anything else is started.
    sockets = bind(settings.server)
    try:
        certificate = await asyncio.to_thread(find_certificate, settings, time.time())
        async with until_signal(on_stop) as stop, hang_ups() as hung_up:
            registry = await open_registry(settings)
            app = create_app(settings, registry, source=source)
            url = url_of(sockets, "http" if certificate is None else "https")
            async with app.router.lifespan_context(app), asyncio.TaskGroup() as tasks:
                code = await app.state.api.access.first_code()
                await asyncio.to_thread(_tell_commands, settings, sockets[0].getsockname()[1])
                server = ApiServer(app, app.state.api, lambda: _told(url, certificate, settings, code), certificate)
                stop.server, app.state.api.certificate = server, certificate
                beginning = [
                    tasks.create_task(_arranged(arrange, registry)),
                    tasks.create_task(_told_of_engines(registry)),
                    tasks.create_task(_reloading(app.state.api.live, hung_up)),
                ]
                if certificate is not None:
                    beginning.append(tasks.create_task(certificate.watch(app.state.api.clock)))
                await server.serve(sockets)
                for task in beginning:
                    task.cancel()
    finally:
        for opened in sockets:
            opened.close()


async def _arranged(arrange: Callable[[Registry], Awaitable[None]], registry: Registry) -> None:
    """Without its demo the server still runs."""
    try:
        await arrange(registry)
    except (JoyvlError, OSError) as error:
        log.warning("the demo camera could not be set up", error=str(error))


async def _reloading(live: LiveSettings, hung_up: asyncio.Event) -> None:
    while True:
        await hung_up.wait()
        hung_up.clear()
        await reload_and_tell(live)


async def _told_of_engines(registry: Registry) -> None:
    """An engine that sessions cannot use is told at once, in the words of `joyvl config check`."""
    settings = registry.settings
    for name in dict.fromkeys(filter(None, (settings.engine.name, settings.sessions.summary_engine))):
        await registry.engines.load(name)
        try:
            registry.engines.get(name)
        except ConfigError as error:
            log.error("the engine cannot be used", engine=name, error=str(error))
            print(f"The engine {name} cannot be used. {error}", flush=True)


def _tell_commands(settings: Settings, port: int) -> None:
    """Commands on this data folder learn with which flags it was started."""
    try:
        tell_start(settings.data_dir, told_at_start(settings, port))
    except OSError as error:  # a full disk: they take the settings
        log.warning("commands are not told how the server was started", error=str(error))


def _told(url: str, certificate: ServedCertificate | None, settings: Settings, code: str | None) -> None:
    print(f"joyvl-server is watching at {on_this_machine(url)}", flush=True)
    # Where public_url is set, the machine's own addresses may be those of a container or behind a proxy.
    if not settings.server.public_url and (there := in_the_network(url)):
        print(f"In your network: {', '.join(there)}", flush=True)
    if certificate is not None:
        print(told_of_certificate(certificate), flush=True)
    if code is not None:
        print("There is no key yet. This link signs one browser in, once, within an hour:", flush=True)
        print(f"  {login_link(settings.server.public_url or url, code)}", flush=True)


def _end_process() -> None:
    log.error("the process did not end in time and is killed")
    os._exit(1)
