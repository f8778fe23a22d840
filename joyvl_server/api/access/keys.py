"""Keys over REST: which there are, new ones, and the end of one. Only for admins."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.access.schemas import KeyIn, KeysOut, NewKeyOut
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.openapi import problems
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions import payloads
from joyvl_server.store.access.records import KeyRecord, digest_of, new_key

log = structlog.get_logger(__name__)

router = APIRouter(tags=["keys"])


@router.get("/v1/keys", response_model=KeysOut)
async def list_keys(api: ApiDep) -> Response:
    """All keys of the database, oldest first. Those of the settings are not among them."""
    await api.access.keyring.load()
    return render.listed([_key(api, key) for key in api.access.keyring.records()])


@router.post("/v1/keys", status_code=201, response_model=NewKeyOut, responses=problems(403, 409))
async def create_key(api: ApiDep, request: Request, body: KeyIn) -> Response:
    """A new key. The answer holds it, and nothing else ever does: only a digest is kept."""
    now = api.clock.wall()
    until = None if body.expires_at is None else body.expires_at.timestamp()
    if until is not None and until <= now:
        raise ConfigError("expires_at: This time is over.")
    if body.role != "ingest":
        for camera_id in body.cameras:
            api.registry.cameras.get(camera_id)
    text = new_key()
    key = KeyRecord(
        new_id("key"), body.name, digest_of(text), body.role, tuple(dict.fromkeys(body.cameras)), now, until
    )
    await api.access.keyring.add(key)
    log.info("key added", key=key.id, name=key.name, role=key.role, by=request.state.caller)
    answer = JsonResponse({**_key(api, key), "key": text}, 201, {"Location": f"/v1/keys/{key.id}"})
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.delete("/v1/keys/{key_id}", status_code=204, responses=problems(404))
async def remove_key(api: ApiDep, request: Request, key_id: str) -> Response:
    """From now on it opens nothing, and browsers that signed in with it are out. Streams that it opened end."""
    removed = await api.access.remove_key(key_id)
    log.info("key removed", key=removed.id, name=removed.name, by=request.state.caller)
    return Response(status_code=204)


def _key(api: ApiContext, key: KeyRecord) -> dict[str, Any]:
    used = api.access.keyring.used_wall(key)
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "cameras": list(key.cameras),
        "created_at": payloads.rfc3339(key.created_wall),
        "expires_at": None if key.expires_wall is None else payloads.rfc3339(key.expires_wall),
        "used_at": None if used is None else payloads.rfc3339(used),
        "state": "expired" if key.is_over(api.clock.wall()) else "valid",
    }
