"""`/v1/reload` and `/v1/log_level`: a running server takes over other settings."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.common import RequestModel, ResponseModel
from joyvl_server.settings.values import LogLevel

router = APIRouter(tags=["server"])


class ReloadOut(ResponseModel):
    applied: list[str] = Field(description="Settings that are others than before, and in force now.")
    restart: list[str] = Field(description="Settings that are others than those in force, and need a restart.")


class LogLevelIn(RequestModel):
    level: LogLevel = Field(description="Least serious level in the log.")


class LogLevelOut(ResponseModel):
    level: str = Field(description="In force now.")


@router.post("/v1/reload", response_model=ReloadOut, responses=problems(409, 422))
async def reload_settings(api: ApiDep) -> Response:
    """Read the settings again: file, and files that the environment names. What can be taken over is, at once.

    A mistake in them changes nothing: 422, with a sentence that names the setting and where it was written.
    """
    report = await api.live.reload()
    return JsonResponse({"applied": list(report.applied), "restart": list(report.restart)})


@router.get("/v1/log_level", response_model=LogLevelOut)
async def read_log_level(api: ApiDep) -> Response:
    """How serious a line must be to stand in the log."""
    return JsonResponse({"level": api.live.log_level})


@router.put("/v1/log_level", response_model=LogLevelOut, responses=problems(422))
async def set_log_level(api: ApiDep, body: LogLevelIn) -> Response:
    """Another level, until the next start or until the settings name another one."""
    api.live.set_log_level(body.level)
    return JsonResponse({"level": api.live.log_level})
