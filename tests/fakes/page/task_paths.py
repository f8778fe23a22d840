"""The paths of tasks and agents of `page.server`."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from fakes.page.problem import Problem
from fakes.page.tasks import OVER
from fakes.page.world import World


def add_task_paths(app: FastAPI, world: World) -> None:
    book = world.book

    def known(task_id: str) -> dict[str, Any]:
        if task_id not in book.tasks:
            raise Problem(404, "not_found", f"There is no task {task_id}.")
        return book.tasks[task_id]

    @app.get("/v1/agents")
    async def agents() -> dict[str, Any]:
        return {"data": book.agents, "next": None}

    @app.get("/v1/agents/{name}")
    async def agent(name: str) -> dict[str, Any]:
        found = next(agent for agent in book.agents if agent["name"] == name)
        return {**found, "check": book.checks.get(name, {"ready": True, "message": "It is there."})}

    @app.get("/v1/tasks")
    async def tasks(
        limit: int = 100,
        after: str | None = None,
        session_id: str | None = None,
        camera_id: str | None = None,
        agent: str | None = None,
        status: str | None = None,
    ) -> dict[str, Any]:
        return book.page(limit, after, session_id=session_id, camera_id=camera_id, agent=agent, status=status)

    @app.post("/v1/tasks", status_code=201)
    async def add(body: dict[str, Any]) -> dict[str, Any]:
        if not book.agents:
            raise Problem(409, "no_agent", "No agent is configured, so nobody can look into it. See docs/agents.md.")
        if "impossible" in body["question"]:
            raise Problem(403, "too_many_tasks", "Too many tasks wait: agents.max_queued.")
        about = {name: body[name] for name in ("session_id", "camera_id") if name in body}
        return book.add(body["question"], agent=body.get("agent") or book.agents[0]["name"], **about)

    @app.get("/v1/tasks/{task_id}")
    async def one(task_id: str) -> dict[str, Any]:
        return known(task_id)

    @app.get("/v1/tasks/{task_id}/log")
    async def log(task_id: str) -> dict[str, Any]:
        known(task_id)
        return {"data": book.logs.get(task_id, []), "next": None}

    @app.delete("/v1/tasks/{task_id}", status_code=204)
    async def delete(task_id: str) -> None:
        if known(task_id)["status"] not in OVER:
            raise Problem(409, "conflict", "This task has not ended: cancel it first.")
        del book.tasks[task_id]

    @app.post("/v1/tasks/{task_id}/cancel")
    async def cancel(task_id: str) -> dict[str, Any]:
        task = known(task_id)
        if task["status"] in OVER:
            return task
        return book.change(task_id, status="cancelled", error="It was cancelled.", code="cancelled")

    @app.post("/v1/tasks/{task_id}/permissions/{permission_id}", status_code=204)
    async def permit(task_id: str, permission_id: str, body: dict[str, Any]) -> None:
        task = known(task_id)
        if task["permission"] is None or task["permission"]["id"] != permission_id:
            raise Problem(409, "conflict", "This permission is not asked for any more.")
        book.answers.append((task_id, permission_id, body["option_id"]))
        book.change(task_id, status="running", permission=None)

    @app.post("/v1/tasks/{task_id}/follow-up", status_code=201)
    async def follow_up(task_id: str, body: dict[str, Any]) -> dict[str, Any]:
        task = known(task_id)
        about = {name: task[name] for name in ("session_id", "camera_id")}
        return book.add(body["question"], agent=task["agent"], follows=task_id, **about)

    @app.post("/v1/tasks/{task_id}/acknowledge")
    async def acknowledge(task_id: str) -> dict[str, Any]:
        book.acknowledged.append(task_id)
        if known(task_id)["status"] not in OVER:
            raise Problem(409, "conflict", "This task has not ended: there is nothing to show yet.")
        return book.change(
            task_id, delivered=known(task_id)["delivered"] or "shown", ended_at=known(task_id)["ended_at"]
        )

    @app.get("/v1/tasks/{task_id}/files/{name:path}")
    async def file(task_id: str, name: str) -> Response:
        if (task_id, name) not in book.files:
            raise Problem(404, "not_found", f"The task has no file {name}.")
        return Response(book.files[task_id, name], media_type="application/octet-stream")
