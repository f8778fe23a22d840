"""Hooks: where alerts go."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from joyvl_server.api import render
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.idempotency import IdempotencyKey, once
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.alerts import (
    DAYS,
    DeliveriesOut,
    DeliveryOut,
    HookIn,
    HookOut,
    HookPatch,
    HookSecretOut,
    HooksOut,
    HookTestOut,
)
from joyvl_server.api.schemas.common import PageQuery
from joyvl_server.core.errors import NotFound
from joyvl_server.kit.masking import place_of
from joyvl_server.notify.hooks import HookView
from joyvl_server.sessions import payloads
from joyvl_server.store.alerts.records import DeliveryRecord

router = APIRouter(tags=["alerts"])

HOOK = "/v1/hooks/{hook_id}"
SHOWN = 3
"""ids in one sentence"""


@router.get("/v1/hooks", response_model=HooksOut)
async def list_hooks(api: ApiDep, request: Request) -> Response:
    """All hooks, oldest first. Who may not change them sees of an address where it leads, and not the rest of it."""
    return render.listed([_seen_by(request, hook_json(view)) for view in await api.registry.alerts.hooks.list()])


@router.post("/v1/hooks", status_code=201, response_model=HookOut, responses=problems(403, 409))
async def create_hook(api: ApiDep, request: Request, body: HookIn, idempotency_key: IdempotencyKey = None) -> Response:
    """A new hook. It is told of alerts that come from now on. A webhook without a secret gets a generated one.

    `notice` says why nothing can arrive: an address that is not allowed, no such camera, endless quiet hours.
    """

    async def create() -> Response:
        view, words = await api.registry.alerts.hooks.add(body.draft())
        return render.created(hook_json(view, await _notice(api, view, words)), f"/v1/hooks/{view.record.id}")

    return await once(request, idempotency_key, create)


@router.get(HOOK, response_model=HookOut, responses=problems(404))
async def read_hook(api: ApiDep, request: Request, hook_id: str) -> Response:
    """One hook, with how it is doing. Who may not change it sees of its address where it leads, and not the rest."""
    return JsonResponse(_seen_by(request, hook_json(await api.registry.alerts.hooks.get(hook_id))))


@router.patch(HOOK, response_model=HookOut, responses=problems(404, 409))
async def change_hook(api: ApiDep, hook_id: str, body: HookPatch) -> Response:
    """Change some fields. Where its address is another one, stored secret headers are dropped: `notice` says so."""
    view, words = await api.registry.alerts.hooks.change(hook_id, body.changes())
    return JsonResponse(hook_json(view, await _notice(api, view, words)))


@router.delete(HOOK, status_code=204, responses=problems(404))
async def delete_hook(api: ApiDep, hook_id: str) -> Response:
    """Delete it with all that waits for it and its log."""
    await api.registry.alerts.hooks.remove(hook_id)
    return Response(status_code=204)


@router.post(HOOK + "/test", response_model=HookTestOut, responses=problems(404))
async def try_hook(api: ApiDep, hook_id: str) -> Response:
    """Send a message now, ahead of what waits, and say what came back."""
    async with api.request_locks.alone(("hook", hook_id)):
        found = await api.registry.alerts.hooks.test(hook_id)
    answer = {"ok": found.ok, "status": found.status, "message": found.message, "took_s": found.took_s}
    return JsonResponse({**answer, "delivery_id": found.delivery_id})


@router.get(HOOK + "/secret", response_model=HookSecretOut, responses=problems(404, 409))
async def read_hook_secret(api: ApiDep, hook_id: str) -> Response:
    """The secret that was generated for it, for whoever checks its signatures. 409 for one that somebody gave."""
    secret = await api.registry.alerts.hooks.secret(hook_id)
    return JsonResponse({"secret": secret}, headers={"Cache-Control": "no-store"})


@router.get(HOOK + "/deliveries", response_model=DeliveriesOut, responses=problems(404))
async def list_deliveries(api: ApiDep, hook_id: str, query: Annotated[PageQuery, Query()]) -> Response:
    """What was sent to it, what waits, and what was kept back and why; newest first."""
    await api.registry.alerts.hooks.get(hook_id)
    found = await api.registry.alerts.deliveries.list(hook_id, limit=query.limit + 1, before=query.after)
    page = found[: query.limit]
    titles = await api.registry.alerts.alerts.titles(d.alert_id for d in page if d.alert_id is not None)
    return render.listed(
        [_delivery(d, titles.get(d.alert_id or "")) for d in page], page[-1].id if len(found) > query.limit else None
    )


@router.post(HOOK + "/deliveries/{delivery_id}/retry", response_model=DeliveryOut, responses=problems(404, 409))
async def retry_delivery(api: ApiDep, hook_id: str, delivery_id: str) -> Response:
    """Send a message again that was given up or refused, with the same id. 409 for any other."""
    found = await api.registry.alerts.hooks.again(hook_id, delivery_id)
    titles = await api.registry.alerts.alerts.titles([found.alert_id or ""])
    return JsonResponse(_delivery(found, titles.get(found.alert_id or "")))


def hook_json(view: HookView, notice: str = "") -> dict[str, Any]:
    """A hook as everybody sees it, without a secret."""
    hook = view.record
    hours = [
        {"from": quiet.start, "to": quiet.end, "days": [DAYS[day] for day in quiet.days]} for quiet in hook.quiet_hours
    ]
    fields = ("enabled", "hold", "cooldown_s", "group_s", "escalate_after_s", "escalates")
    return {
        "id": hook.id,
        "name": hook.name,
        "kind": hook.kind,
        "options": view.options,
        "events": list(hook.events),
        "cameras": list(hook.cameras),
        "watches": list(hook.watches),
        "quiet_hours": hours,
        **{name: getattr(hook, name) for name in fields},
        "created_at": payloads.rfc3339(hook.created_wall),
        "updated_at": payloads.rfc3339(hook.updated_wall),
        "state": {
            "ok": view.ok,
            "last_error": view.last_error,
            "waiting": view.waiting,
            "retry_in_s": view.retry_in_s,
        },
        "notice": notice or None,
    }


def _seen_by(request: Request, hook: dict[str, Any]) -> dict[str, Any]:
    """Some services have their secret in the path of the address, others in a parameter of any name."""
    return hook if request.state.role == "admin" else {**hook, "options": _places(hook["options"])}


def _places(value: Any) -> Any:
    if isinstance(value, str):
        return place_of(value)
    if isinstance(value, dict):
        return {name: _places(item) for name, item in value.items()}
    return [_places(item) for item in value] if isinstance(value, list | tuple) else value


async def _notice(api: ApiContext, view: HookView, words: str) -> str:
    """`words`, and which of its cameras and watches there are not."""
    hook, registry = view.record, api.registry
    cameras = {camera.record.id for camera in registry.cameras.all()}
    watches: set[str] = set()
    if hook.watches:
        watches = {watch.id for session in registry.sessions() for watch in session.watches.all()}
        for camera_id in cameras:
            with suppress(NotFound):  # deleted meanwhile
                watches |= {watch.id for watch in await registry.cameras.watches(camera_id)}
    found = [words] if words else []
    for what, given, known in (("camera", hook.cameras, cameras), ("watch", hook.watches, watches)):
        if missing := [ident for ident in given if ident not in known]:
            found.append(f"There is no {what} {', '.join(missing[:SHOWN])}{' …' if len(missing) > SHOWN else ''}.")
    return " ".join(found)


def _delivery(record: DeliveryRecord, title: str | None) -> dict[str, Any]:
    return {
        "id": record.id,
        "alert_id": record.alert_id,
        "title": title,
        "reason": record.reason,
        "state": record.state,
        "at": payloads.rfc3339(record.created_wall),
        "due_at": None if record.due_wall is None else payloads.rfc3339(record.due_wall),
        "attempts": record.attempts,
        "last_at": None if record.last_wall is None else payloads.rfc3339(record.last_wall),
        "status": record.status,
        "error": record.error,
        "took_s": record.took_s,
    }
