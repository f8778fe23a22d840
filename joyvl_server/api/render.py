"""From the house's values to JSON, where the payloads of the updates do not do it already."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.core.errors import NotFound
from joyvl_server.core.frame import Frame
from joyvl_server.ingest.base import ProbeReport
from joyvl_server.kit.masking import mask_text, mask_url
from joyvl_server.sessions import payloads
from joyvl_server.sessions.cameras import Call, CameraView
from joyvl_server.sessions.registry import Registry


async def camera(registry: Registry, view: CameraView) -> dict[str, Any]:
    """A camera with the state of its session. Cancelling it changes nothing."""
    record = view.record
    try:
        session = registry.session(record.session_id)
    except NotFound:
        # Disabled: its watches wait in the store.
        watches = [payloads.watch(w) for w in await registry.cameras.watches(record.id)]
        engine_state = None
    else:
        engine_state = payloads.engine_state(session.engine_state)
        watches = [payloads.watch(w, session.watches.note(w)) for w in session.watches.all()]
    return {
        "id": record.id,
        "name": record.name,
        "url": mask_url(record.url),
        "enabled": record.enabled,
        "loop": record.loop,
        "speed": record.speed,
        **view.spec.model_dump(mode="json"),
        "session_id": record.session_id,
        "created_at": payloads.rfc3339(record.created_wall),
        "updated_at": payloads.rfc3339(record.updated_wall),
        "state": None if view.state is None else payloads.source(view.state),
        "engine_state": engine_state,
        "watches": watches,
    }


def probe(report: ProbeReport) -> dict[str, Any]:
    shown = asdict(report)
    for name in ("error", "hint"):
        shown[name] = None if shown[name] is None else mask_text(shown[name])
    return {**shown, "took_s": round(report.took_s, 3)}


def call(found: Call) -> dict[str, Any]:
    return {"id": found.id, "session_id": found.session_id, "created_at": payloads.rfc3339(found.created_wall)}


def created(content: dict[str, Any], location: str) -> Response:
    return JsonResponse(content, 201, {"Location": location})


def listed(data: list[dict[str, Any]], next: str | None = None) -> Response:
    return JsonResponse({"data": data, "next": next})


def picture(request: Request, frame: Frame) -> Response:
    """The JPEG, or 304 when the client has this very picture."""
    etag = f'"{frame.image.sha256[:32]}"'
    headers = {"ETag": etag, "X-Captured-At": payloads.rfc3339(frame.wall), "Cache-Control": "no-cache"}
    if etag in (tag.strip() for tag in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    return Response(frame.image.jpeg, 200, headers, "image/jpeg")
