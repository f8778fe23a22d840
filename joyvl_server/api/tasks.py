"""Tasks: questions handed over to agents, what they ask for meanwhile, and what came of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, Response

from joyvl_server.agents.draft import TaskDraft
from joyvl_server.api import render
from joyvl_server.api.access.caller import own_cameras
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.idempotency import IdempotencyKey, once
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.tasks import FollowUpIn, PermissionIn, TaskIn, TaskLogOut, TaskOut, TasksOut, TasksQuery
from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.sessions import payloads
from joyvl_server.sessions.session import Session
from joyvl_server.store.tasks import TaskRecord

router = APIRouter(tags=["tasks"])

TASK = "/v1/tasks/{task_id}"
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file, always as an attachment."}
}
KINDS = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    **dict.fromkeys((".txt", ".md", ".csv", ".tsv", ".log", ".json", ".yaml", ".yml"), "text/plain; charset=utf-8"),
}
"""What a browser may show without running any of it; all else is bytes. No SVG and no HTML: both hold scripts."""
INACTIVE = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@router.get("/v1/tasks", response_model=TasksOut)
async def list_tasks(api: ApiDep, request: Request, query: Annotated[TasksQuery, Query()]) -> Response:
    """Outlines of tasks, without their answers, newest first. They outlive sessions and restarts."""
    found = await api.registry.tasks.records.list(
        session_id=query.session_id,
        camera_id=query.camera_id,
        agent=query.agent,
        status=query.status,
        limit=query.limit + 1,
        before=query.after,
        cameras=own_cameras(request),
    )
    shown = found[: query.limit]
    more = len(found) > query.limit
    return render.listed([payloads.task_outline(outline) for outline in shown], shown[-1].task.id if more else None)


@router.post("/v1/tasks", status_code=201, response_model=TaskOut, responses=problems(404, 409))
async def create_task(api: ApiDep, request: Request, body: TaskIn, idempotency_key: IdempotencyKey = None) -> Response:
    """Hand a question over to an agent. The same question of the same session, while it is open, is the same task."""

    async def create() -> Response:
        session_id = body.session_id
        if body.camera_id is not None:
            session_id = api.registry.cameras.get(body.camera_id).record.session_id
        session = None if session_id is None else _running(api, session_id)
        if session is None and body.session_id is not None:
            raise NotFound(f"There is no session {body.session_id}.")
        draft = TaskDraft(
            body.question,
            camera_id=body.camera_id,
            agent=body.agent,
            priority=body.priority,
            timeout_s=body.timeout_s,
            follows=body.follows,
        )
        return _created(await _hand_over(api, session, draft))

    return await once(request, idempotency_key, create)


@router.get(TASK, response_model=TaskOut, responses=problems(404))
async def read_task(api: ApiDep, task_id: str) -> Response:
    """One task with its answer."""
    return JsonResponse(payloads.task(await api.registry.tasks.records.get(task_id)))


@router.get(TASK + "/log", response_model=TaskLogOut, responses=problems(404))
async def read_task_log(api: ApiDep, task_id: str) -> Response:
    """What its agent did and was allowed, oldest first; the newest 200 lines."""
    lines = await api.registry.tasks.records.log(task_id)
    return render.listed([{"at": payloads.rfc3339(line.wall), "text": line.text} for line in lines])


@router.delete(TASK, status_code=204, responses=problems(404, 409))
async def delete_task(api: ApiDep, task_id: str) -> Response:
    """Delete it with its files. One that has not ended must be cancelled first."""
    await api.registry.tasks.records.delete(task_id)
    return Response(status_code=204)


@router.post(TASK + "/cancel", response_model=TaskOut, responses=problems(404))
async def cancel_task(api: ApiDep, task_id: str) -> Response:
    """End it. When this answers, everything that its agent had started is gone. Has no effect on one that has ended."""
    return JsonResponse(payloads.task(await api.registry.tasks.cancel(task_id)))


@router.post(TASK + "/permissions/{permission_id}", status_code=204, responses=problems(404, 409))
async def answer_permission(api: ApiDep, task_id: str, permission_id: str, body: PermissionIn) -> Response:
    """Allow or deny what its agent asks for. 409 when that is not asked any more."""
    await api.registry.tasks.answer_permission(task_id, permission_id, body.option_id)
    return Response(status_code=204)


@router.post(TASK + "/follow-up", status_code=201, response_model=TaskOut, responses=problems(404, 409))
async def follow_task_up(
    api: ApiDep, request: Request, task_id: str, body: FollowUpIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """A new task that goes on with this one, for the same agent; it sees what the session sees now."""

    async def create() -> Response:
        earlier = await api.registry.tasks.records.get(task_id)
        session = None if earlier.session_id is None else _running(api, earlier.session_id)
        if session is None and earlier.camera_id is not None:
            with suppress(NotFound):
                now = api.registry.cameras.get(earlier.camera_id).record.session_id
                session = None if now is None else _running(api, now)
        return _created(await _hand_over(api, session, TaskDraft(body.question, follows=task_id)))

    return await once(request, idempotency_key, create)


@router.post(TASK + "/acknowledge", response_model=TaskOut, responses=problems(404, 409))
async def acknowledge_task(api: ApiDep, task_id: str) -> Response:
    """Its outcome was shown to somebody: no session tells it any more. 409 while there is none."""
    if not (await api.registry.tasks.records.get(task_id)).ended:
        raise Conflict("This task has not ended: there is nothing to show yet.")
    await api.registry.tasks.deliver(task_id, "shown")
    return JsonResponse(payloads.task(await api.registry.tasks.records.get(task_id)))


@router.get(TASK + "/files/{name:path}", response_class=Response, responses={**FILE, **problems(404)})
async def read_task_file(api: ApiDep, task_id: str, name: str) -> Response:
    """A file of its answer, to be saved. An agent made it: nothing in it runs as part of this site."""
    path = await api.registry.tasks.records.file(task_id, name)
    return _attachment(path, name)


def _attachment(path: Path, name: str) -> Response:
    kind = KINDS.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")
    return FileResponse(path, headers=INACTIVE, media_type=kind, filename=PurePosixPath(name).name)


def _running(api: ApiContext, session_id: str) -> Session | None:
    try:
        return api.registry.session(session_id)
    except NotFound:
        return None


async def _hand_over(api: ApiContext, session: Session | None, draft: TaskDraft) -> TaskRecord:
    """With what its session sees and heard, where it has one."""
    if session is None:
        return await api.registry.tasks.submit(draft)
    return await session.delegation.hand_over(replace(draft, t=session.source.now))


def _created(task: TaskRecord) -> Response:
    return render.created(payloads.task(task), f"/v1/tasks/{task.id}")
