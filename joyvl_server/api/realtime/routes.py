"""What OpenAI's clients ask for besides calls: keys for their browsers, and the models there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.bodies import REALTIME_PATH
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.realtime.client_session import session_shape
from joyvl_server.api.schemas.calls import ClientSecretIn, ClientSecretOut, ModelOut, ModelsOut
from joyvl_server.api.schemas.realtime import DEFAULT_MODEL
from joyvl_server.core.errors import NotFound
from joyvl_server.kit.ids import new_id

router = APIRouter(tags=["realtime"])

REFERENCE_MODELS = ("JoyAI-VL-Interaction", "JoyAI-VL-Interaction-Preview")
"""how the reference and vLLM-Omni call theirs"""


@router.post(
    REALTIME_PATH + "/client_secrets",
    response_model=ClientSecretOut,
    responses=problems(422, 503),
)
async def create_client_secret(api: ApiDep, request: Request, body: ClientSecretIn) -> Response:
    """Make a key that opens one call or one Realtime connection, with this session. Give it to a browser."""
    seconds = body.expires_after.seconds
    value = api.secrets.create(body.session, request.state.who, seconds)
    shown = {
        "id": new_id("sess"),
        "object": "realtime.session",
        **session_shape(body.session, api.settings.engine.name),
    }
    return JsonResponse({"value": value, "expires_at": int(api.clock.wall()) + seconds, "session": shown})


@router.get("/v1/models", response_model=ModelsOut)
async def list_models(api: ApiDep) -> Response:
    """The models that a Realtime session may name: the installed engines; `joyvl` and the names of the
    interaction model are the default one."""
    return JsonResponse({"object": "list", "data": await _models(api)})


@router.get("/v1/models/{model}", response_model=ModelOut, responses=problems(404))
async def read_model(api: ApiDep, model: str) -> Response:
    """One of them."""
    for known in await _models(api):
        if known["id"] == model:
            return JsonResponse(known)
    raise NotFound(f"There is no model {model[:100]}; GET /v1/models lists them.")


async def _models(api: ApiContext) -> list[dict[str, Any]]:
    await api.registry.engines.load_all()
    default = api.settings.engine.name
    names = [engine["name"] for engine in api.registry.engines.describe() if engine["error"] is None]
    ordered = [DEFAULT_MODEL, *REFERENCE_MODELS, *sorted(names, key=lambda name: (name != default, name))]
    return [{"id": name, "object": "model", "created": 0, "owned_by": "joyvl-server"} for name in ordered]
