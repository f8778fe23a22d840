"""The paths of alerts and hooks of `page.server`."""

from __future__ import annotations

import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from fakes.page.alerts import FINE
from fakes.page.problem import Problem
from fakes.page.shapes import rfc3339
from fakes.page.world import World


def add_alert_paths(app: FastAPI, world: World) -> None:
    _alerts(app, world)
    _hooks(app, world)


def _alerts(app: FastAPI, world: World) -> None:
    book = world.alarm

    def known(alert_id: str) -> str:
        if alert_id not in book.alerts:
            raise Problem(404, "not_found", f"There is no alert {alert_id}.")
        return alert_id

    @app.get("/v1/alerts", response_model=None)
    async def alerts(request: Request, limit: int = 100, after: str | None = None, state: str | None = None) -> Any:
        if request.headers.get("accept", "").startswith("text/event-stream"):
            return StreamingResponse(book.stream(), media_type="text/event-stream")
        return book.page(limit, after, state)

    @app.post("/v1/alerts/{alert_id}/acknowledge")
    async def acknowledge(alert_id: str, body: dict[str, Any]) -> dict[str, Any]:
        now = rfc3339(time.time())
        return book.change(known(alert_id), state="acknowledged", acknowledged_at=now, acknowledged_by=body["by"])

    @app.post("/v1/alerts/acknowledge")
    async def acknowledge_all(body: dict[str, Any]) -> dict[str, int]:
        found = [alert["id"] for alert in book.alerts.values() if alert["state"] == "open"]
        for alert_id in found:
            book.change(
                alert_id, state="acknowledged", acknowledged_at=rfc3339(time.time()), acknowledged_by=body["by"]
            )
        return {"acknowledged": len(found)}

    @app.post("/v1/alerts/{alert_id}/snooze")
    async def snooze(alert_id: str, body: dict[str, Any]) -> dict[str, Any]:
        until = time.time() + 60 * body["minutes"]
        state = "snoozed" if body["minutes"] else "open"
        if body["scope"] == "camera":
            camera = {"id": book.alerts[known(alert_id)]["camera_id"], "name": book.alerts[alert_id]["camera"]}
            book.snoozes.append({"scope": "camera", **camera, "since": rfc3339(0), "until": rfc3339(until)})
        return book.change(known(alert_id), state=state, snoozed_until=rfc3339(until))

    @app.get("/v1/snoozes")
    async def snoozes() -> dict[str, Any]:
        return {"data": book.snoozes, "next": None}

    @app.delete("/v1/snoozes/{scope}/{subject_id}", status_code=204)
    async def end_snooze(scope: str, subject_id: str) -> None:
        book.snoozes = [one for one in book.snoozes if (one["scope"], one["id"]) != (scope, subject_id)]
        for alert in book.alerts.values():
            if alert["camera_id"] == subject_id and alert["state"] == "snoozed":
                book.change(alert["id"], state="open", snoozed_until=None)


def _hooks(app: FastAPI, world: World) -> None:
    book = world.alarm

    def known(hook_id: str) -> dict[str, Any]:
        if hook_id not in book.hooks:
            raise Problem(404, "not_found", f"There is no hook {hook_id}.")
        return book.hooks[hook_id]

    def checked(options: dict[str, Any]) -> None:
        if "wrong" in str(options.get("url", "")):
            errors = [{"field": "url", "message": "It must be an http or https URL."}]
            raise Problem(422, "invalid", "The options are not right.", errors)

    def saved(hook: dict[str, Any]) -> dict[str, Any]:
        private = "10.0.0.9" in str(hook["options"].get("url", ""))
        return {**book.masked(hook), "notice": "10.0.0.9 is a private address." if private else None}

    @app.get("/v1/hooks")
    async def hooks() -> dict[str, Any]:
        return {"data": [book.masked(hook) for hook in book.hooks.values()], "next": None}

    @app.post("/v1/hooks", status_code=201)
    async def create(body: dict[str, Any]) -> dict[str, Any]:
        checked(body["options"])
        if body["kind"] == "webhook" and not body["options"].get("secret"):
            body["options"].update(secret="whsec_c2VjcmV0", secret_generated=True)
        return saved(book.add_hook(**body))

    @app.patch("/v1/hooks/{hook_id}")
    async def change(hook_id: str, body: dict[str, Any]) -> dict[str, Any]:
        hook = known(hook_id)
        checked(body.get("options", {}))
        kept = {name: hook["options"][name] for name, value in body.get("options", {}).items() if value == "***"}
        if "options" in body:
            body["options"].update(kept)
        hook.update(body)
        return saved(hook)

    @app.delete("/v1/hooks/{hook_id}", status_code=204)
    async def delete(hook_id: str) -> None:
        known(hook_id)
        del book.hooks[hook_id]

    @app.post("/v1/hooks/{hook_id}/test")
    async def test(hook_id: str) -> dict[str, Any]:
        return {**FINE, "delivery_id": "dlv_0", **book.answers.get(known(hook_id)["name"], {})}

    @app.get("/v1/hooks/{hook_id}/secret")
    async def secret(hook_id: str) -> dict[str, Any]:
        return {"secret": known(hook_id)["options"]["secret"]}

    @app.get("/v1/hooks/{hook_id}/deliveries")
    async def deliveries(hook_id: str, limit: int = 100, after: str | None = None) -> dict[str, Any]:
        return {"data": book.deliveries.get(known(hook_id)["id"], [])[:limit], "next": None}

    @app.post("/v1/hooks/{hook_id}/deliveries/{delivery_id}/retry")
    async def retry(hook_id: str, delivery_id: str) -> dict[str, Any]:
        (found,) = [one for one in book.deliveries.get(known(hook_id)["id"], []) if one["id"] == delivery_id]
        found.update(state="waiting", attempts=0)
        return found
