"""What each day was, camera by camera."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.access.caller import own_cameras
from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.digests import DigestsOut, DigestsQuery
from joyvl_server.sessions import payloads
from joyvl_server.store.digests import DigestRecord

router = APIRouter(tags=["memories"])


@router.get("/v1/digests", response_model=DigestsOut, responses=problems(404))
async def list_digests(api: ApiDep, request: Request, query: Annotated[DigestsQuery, Query()]) -> Response:
    """Days in a few words, with the events that they rest on, newest first; with `day` that one of each camera.

    Written after midnight by the engine, or counted; today is counted when it is asked for.
    """
    days = api.registry.past.digests
    mine = own_cameras(request) if query.camera_id is None else (query.camera_id,)
    if query.day is None:
        found = await days.records.digests.list(cameras=mine, limit=query.limit)
    else:
        known = api.registry.camera_days()
        if query.camera_id is not None and not await days.records.digests.list(cameras=mine, limit=1):
            api.registry.cameras.get(query.camera_id)  # one that is gone has the days that are written
        # A key may be for cameras that are gone.
        there = [
            camera_id
            for camera_id in mine or known
            if camera_id in known or await days.records.digests.list(cameras=(camera_id,), limit=1)
        ]
        found = [await days.of(camera_id, query.day) for camera_id in there[: query.limit] if query.day <= days.today]
    return render.listed([_payload(digest) for digest in found])


def _payload(digest: DigestRecord) -> dict[str, Any]:
    return {
        "camera_id": digest.camera_id,
        "day": digest.day,
        "text": digest.text,
        "counts": digest.counts,
        "event_ids": list(digest.event_ids),
        "source": digest.source,
        "done": digest.done,
        "written_at": payloads.rfc3339(digest.written_wall),
    }
