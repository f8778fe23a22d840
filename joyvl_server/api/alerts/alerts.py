"""Alerts: what people should know of, until somebody takes care of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.access.caller import own_cameras
from joyvl_server.api.alerts.shown import shown
from joyvl_server.api.alerts.stream import AlertStream, check_streams
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.alerts import (
    AcknowledgeAllIn,
    AcknowledgedOut,
    AcknowledgeIn,
    AlertOut,
    AlertsOut,
    AlertsQuery,
    SnoozeIn,
    SnoozeScope,
    SnoozesOut,
)
from joyvl_server.notify.messages import rfc3339
from joyvl_server.store.alerts.alerts import AlertFilter
from joyvl_server.store.alerts.records import AlertRecord

router = APIRouter(tags=["alerts"])

ALERT = "/v1/alerts/{alert_id}"
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {}},
        "description": "With `Accept: text/event-stream`: alerts as they come and change, see docs/alerts.md.",
    }
}
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", max_length=200, description="Of a stream: resume after this change.")
]


@router.get("/v1/alerts", response_model=AlertsOut, responses={**STREAM, **problems(503)})
async def list_alerts(
    api: ApiDep, request: Request, query: Annotated[AlertsQuery, Query()], last_event_id: LastEventId = None
) -> Response:
    """Alerts, newest first. As a stream, only `camera_id` and `kind` filter."""
    if "text/event-stream" in request.headers.get("accept", ""):
        check_streams(api)
        return AlertStream(api, query, own_cameras(request), last_event_id)
    found = await api.registry.alerts.alerts.list(
        AlertFilter(
            query.state,
            query.camera_id,
            query.kind,
            None if query.since is None else query.since.timestamp(),
            None if query.until is None else query.until.timestamp(),
            own_cameras(request),
        ),
        limit=query.limit + 1,
        before=query.after,
    )
    page = found[: query.limit]
    return render.listed(await shown(api, page), page[-1].id if len(found) > query.limit else None)


@router.get(ALERT, response_model=AlertOut, responses=problems(404))
async def read_alert(api: ApiDep, alert_id: str) -> Response:
    """One alert."""
    return await _answer(api, await api.registry.alerts.alerts.get(alert_id))


@router.post(ALERT + "/acknowledge", response_model=AlertOut, responses=problems(404))
async def acknowledge_alert(api: ApiDep, alert_id: str, body: AcknowledgeIn | None = None) -> Response:
    """Somebody takes care of it: nobody else is told. Has no effect on one that was acknowledged before."""
    by = (body or AcknowledgeIn(by="somebody")).by
    return await _answer(api, await api.registry.alerts.acknowledge(alert_id, by))


@router.post("/v1/alerts/acknowledge", response_model=AcknowledgedOut)
async def acknowledge_alerts(api: ApiDep, body: AcknowledgeAllIn | None = None) -> Response:
    """Somebody takes care of all that are open."""
    given = body or AcknowledgeAllIn(by="somebody")
    count = await api.registry.alerts.acknowledge_all(given.by, camera_id=given.camera_id, upto=given.upto)
    return JsonResponse({"acknowledged": count})


@router.post(ALERT + "/snooze", response_model=AlertOut, responses=problems(404, 409))
async def snooze_alert(api: ApiDep, alert_id: str, body: SnoozeIn) -> Response:
    """Quiet about it for some minutes; then hooks are told again. 409 for one of which nobody is told any more."""
    alert = await api.registry.alerts.snooze(alert_id, body.minutes, body.by, scope=body.scope)
    return await _answer(api, alert)


@router.get("/v1/snoozes", response_model=SnoozesOut)
async def list_snoozes(api: ApiDep) -> Response:
    """Cameras and watches that are snoozed: nobody is told of what they do. Those that end first come first."""
    return render.listed(
        [
            {
                "scope": snooze.scope,
                "id": snooze.subject_id,
                "name": snooze.name or None,
                "since": rfc3339(snooze.since_wall),
                "until": rfc3339(snooze.until_wall),
            }
            for snooze in await api.registry.alerts.snoozed()
        ]
    )


@router.delete("/v1/snoozes/{scope}/{subject_id}", status_code=204, responses=problems(404))
async def end_snooze(api: ApiDep, scope: SnoozeScope, subject_id: str) -> Response:
    """It is not snoozed any more, nor are the alerts that were because of it."""
    await api.registry.alerts.end_snooze(scope, subject_id)
    return Response(status_code=204)


async def _answer(api: ApiContext, alert: AlertRecord) -> Response:
    return JsonResponse((await shown(api, [alert]))[0])
