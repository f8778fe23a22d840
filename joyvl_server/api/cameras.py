"""Cameras: registered, lasting sources."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.idempotency import IdempotencyKey, once
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.picture_stream import PictureStream
from joyvl_server.api.schemas.cameras import (
    CameraIn,
    CameraOut,
    CameraPatch,
    CamerasOut,
    ProbeIn,
    ProbeOut,
    ZonesIn,
    ZonesOut,
)
from joyvl_server.api.schemas.common import PageQuery, paginated
from joyvl_server.sessions import payloads

router = APIRouter(tags=["cameras"])

JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "The newest picture. `X-Captured-At` says when it was taken."}
}


@router.get("/v1/cameras", response_model=CamerasOut)
async def list_cameras(api: ApiDep, request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """All cameras, oldest first; with a key for certain cameras only these."""
    mine: frozenset[str] = request.state.cameras
    views = [view for view in api.registry.cameras.all() if not mine or view.record.id in mine]
    shown, cursor = paginated(views, lambda view: view.record.id, query)
    return render.listed([await render.camera(api.registry, view) for view in shown], cursor)


@router.post("/v1/cameras", status_code=201, response_model=CameraOut, responses=problems(403, 409, 503))
async def create_camera(
    api: ApiDep, request: Request, body: CameraIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Register a source. It connects and reconnects by itself, also when the first try fails."""

    async def create() -> Response:
        view = await api.registry.cameras.add(body.to_draft())
        return render.created(await render.camera(api.registry, view), f"/v1/cameras/{view.record.id}")

    return await once(request, idempotency_key, create)


@router.post("/v1/cameras/probe", response_model=ProbeOut, responses=problems(403, 503))
async def probe_url(api: ApiDep, body: ProbeIn) -> Response:
    """Open a URL once and say what is there or what is wrong. The server stores nothing."""
    return JsonResponse(render.probe(await api.registry.cameras.probe(body.url)))


@router.get("/v1/cameras/{camera_id}", response_model=CameraOut, responses=problems(404))
async def read_camera(api: ApiDep, camera_id: str) -> Response:
    """One camera with the state of its source."""
    return JsonResponse(await render.camera(api.registry, api.registry.cameras.get(camera_id)))


@router.patch("/v1/cameras/{camera_id}", response_model=CameraOut, responses=problems(403, 404, 409, 503))
async def change_camera(api: ApiDep, camera_id: str, body: CameraPatch) -> Response:
    """Change some fields; the others stay. A change of the source or of the engine begins a new session."""
    view = await api.registry.cameras.change(camera_id, body.changes())
    return JsonResponse(await render.camera(api.registry, view))


@router.delete("/v1/cameras/{camera_id}", status_code=204, responses=problems(404))
async def delete_camera(api: ApiDep, camera_id: str) -> Response:
    """Delete the camera and its watches. Its events stay in the timeline."""
    await api.registry.cameras.remove(camera_id)
    return Response(status_code=204)


@router.post("/v1/cameras/{camera_id}/enable", response_model=CameraOut, responses=problems(403, 404, 503))
async def enable_camera(api: ApiDep, camera_id: str) -> Response:
    """Open the source and watch it. Has no effect on a camera that is enabled."""
    view = await api.registry.cameras.change(camera_id, {"enabled": True})
    return JsonResponse(await render.camera(api.registry, view))


@router.post("/v1/cameras/{camera_id}/disable", response_model=CameraOut, responses=problems(404))
async def disable_camera(api: ApiDep, camera_id: str) -> Response:
    """Close the source and end the session. Settings and watches stay."""
    view = await api.registry.cameras.change(camera_id, {"enabled": False})
    return JsonResponse(await render.camera(api.registry, view))


@router.post("/v1/cameras/{camera_id}/probe", response_model=ProbeOut, responses=problems(403, 404, 503))
async def probe_camera(api: ApiDep, camera_id: str) -> Response:
    """Open the camera's own URL once, with its stored password, and say what is there."""
    return JsonResponse(render.probe(await api.registry.cameras.probe_stored(camera_id)))


@router.get(
    "/v1/cameras/{camera_id}/snapshot.jpg", response_class=Response, responses={**JPEG, **problems(404, 409, 503)}
)
async def read_camera_snapshot(api: ApiDep, request: Request, camera_id: str) -> Response:
    """The newest frame as a JPEG. 503 while there is none."""
    return render.picture(request, await api.registry.cameras.snapshot(camera_id))


@router.get(
    "/v1/cameras/{camera_id}/stream.mjpeg",
    response_class=Response,
    responses={
        200: {"content": {"multipart/x-mixed-replace": {}}, "description": "JPEG pictures, at most two a second."},
        **problems(404, 409, 503),
    },
)
async def stream_camera(api: ApiDep, request: Request, camera_id: str) -> Response:
    """The camera's pictures as motion JPEG, until the client leaves. 503 while there is none."""
    first = await api.registry.cameras.snapshot(camera_id)
    return PictureStream(api, camera_id, first, getattr(request.state, "link_until", None))


@router.get("/v1/cameras/{camera_id}/zones", response_model=ZonesOut, responses=problems(404))
async def read_zones(api: ApiDep, camera_id: str) -> Response:
    """The named parts of the camera's picture."""
    return JsonResponse({"zones": payloads.zones(api.registry.cameras.get(camera_id).spec.zones)})


@router.put("/v1/cameras/{camera_id}/zones", response_model=ZonesOut, responses=problems(404))
async def replace_zones(api: ApiDep, camera_id: str, body: ZonesIn) -> Response:
    """Replace all zones; zones that are not in the body are deleted."""
    view = await api.registry.cameras.change(camera_id, {"zones": body.zones})
    return JsonResponse({"zones": payloads.zones(view.spec.zones)})
