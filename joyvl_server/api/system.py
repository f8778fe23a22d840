"""The server itself: engines, health, readiness, metrics, version."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from joyvl_server import __version__
from joyvl_server.api import render
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.http.problems import problem
from joyvl_server.api.schemas.system import EnginesOut, HealthOut, ReadyOut, VersionOut
from joyvl_server.core.decisions import Pressure
from joyvl_server.kit.masking import mask_text
from joyvl_server.sessions import payloads

router = APIRouter(tags=["server"])

READY_TIMEOUT_S = 10.0
DISPENSABLE = ("ticks", "timeline", "voices", "speech recognition", "alerts", "secrets")
"""Parts that the server watches on without: they are shown, and do not make it unready."""


@router.get("/v1/engines", response_model=EnginesOut)
async def list_engines(api: ApiDep) -> Response:
    """The installed engines, what each can do, and how busy those are that run sessions."""
    default = api.settings.engine.name
    await api.registry.engines.load_all()
    busy = {snapshot["engine"]: snapshot for snapshot in api.registry.schedulers()}
    shown = []
    for engine in api.registry.engines.describe():
        can = engine["capabilities"]
        error = engine["error"]
        shown.append(
            {
                "name": engine["name"],
                "default": engine["name"] == default,
                "capabilities": None if can is None else asdict(can),
                "scheduler": _scheduler(busy.get(engine["name"])),
                "error": None if error is None else mask_text(error),
            }
        )
    return render.listed(shown)


def _scheduler(snapshot: dict[str, Any] | None) -> dict[str, Any] | None:
    if snapshot is None:
        return None
    return {
        "pressure": payloads.pressure(Pressure(snapshot["pressure"])),
        **{name: snapshot[name] for name in ("sessions", "load", "waiting", "breaker")},
    }


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=HealthOut)
async def read_health() -> Response:
    """The process answers. It uses neither the model nor the store, and needs no key."""
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


@router.get("/readyz", response_model=ReadyOut, responses=problems(503))
async def read_readiness(api: ApiDep) -> Response:
    """Every part by name: ready, or what is wrong with it. 503 when one is not.

    The parts `ticks` (scores of past seconds) and `timeline` (pictures and clips) are shown but never make the answer
    503: the server watches on.
    """
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            answers = await api.registry.ready()
    except TimeoutError:
        return _not_ready(f"The parts did not answer within {READY_TIMEOUT_S:.0f} s.", {})
    found = {name: None if reason is None else mask_text(reason) for name, reason in answers.items()}
    parts = {name: {"ready": reason is None, "reason": reason} for name, reason in found.items()}
    for name, manages in api.registry.engines.slow().items():
        parts[f"engine {name}"]["reason"] = mask_text(manages)
    missing = [name for name, reason in found.items() if reason is not None and name not in DISPENSABLE]
    if not missing:
        return JsonResponse({"ready": True, "parts": parts}, headers={"Cache-Control": "no-store"})
    return _not_ready(f"Not ready: {', '.join(missing)}.", parts)


def _not_ready(detail: str, parts: dict[str, dict[str, Any]]) -> Response:
    return problem(503, "not_ready", detail, headers={"Retry-After": "5"}, ready=False, parts=parts)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text."}},
)
async def read_metrics(api: ApiDep) -> Response:
    """Counters, gauges and histograms in Prometheus' text format. The text is made in a thread, off the loop."""
    api.usage.take(api.registry)
    api.store.take(api.registry)
    api.metrics.certificate_end.set(0.0 if api.certificate is None else api.certificate.facts.expires)
    api.metrics.key_end.set(api.access.keyring.next_end() or 0.0)
    text = await asyncio.to_thread(_metrics, api)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _metrics(api: ApiContext) -> bytes:
    api.store.host.look(api.settings.data_dir)
    return generate_latest(api.registry.metrics.registry)


@router.get("/version", response_model=VersionOut)
async def read_version(api: ApiDep) -> Response:
    """Which server this is, and its time zone."""
    zone = api.settings.zone().key
    return JsonResponse({"name": "joyvl-server", "version": __version__, "api": "v1", "time_zone": zone})


@router.get("/openapi.json", include_in_schema=False)
def read_openapi(request: Request) -> Response:
    """This API's description. Made and written in a thread: it is large."""
    return JsonResponse(request.app.openapi())
