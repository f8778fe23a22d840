"""Agents: who works on tasks, and whether they have what they need."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.tasks import AgentsOut, CheckedAgentOut
from joyvl_server.core.errors import NotFound
from joyvl_server.kit.masking import mask_text

router = APIRouter(tags=["agents"])


@router.get("/v1/agents", response_model=AgentsOut)
async def list_agents(api: ApiDep) -> Response:
    """The agents of the settings. None of them is asked or started."""
    return render.listed([_shown(api, name) for name in api.registry.tasks.agents.names])


@router.get("/v1/agents/{name}", response_model=CheckedAgentOut, responses=problems(404))
async def check_agent(api: ApiDep, name: str) -> Response:
    """One agent, and whether it has all that it needs. It may be started for that; no model is asked."""
    if name not in api.registry.tasks.agents.names:
        raise NotFound(f"There is no agent {name}.")
    # One check at a time: each may start the agent.
    async with api.request_locks.alone(("agent", name)):
        report = await api.registry.tasks.agents.check(name)
    check = {**asdict(report), "message": mask_text(report.message)}
    return JsonResponse({**_shown(api, name), "check": check})


def _shown(api: ApiContext, name: str) -> dict[str, Any]:
    settings = api.settings.agents
    entry = settings.entries[name]
    default = settings.default or next(iter(settings.entries))
    return {"name": name, "type": entry.type, "about": entry.about, "default": name == default}
