"""What the server remembers: looked up, told, changed, forgotten for good, exported."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from joyvl_server.api import render
from joyvl_server.api.access.caller import own_cameras
from joyvl_server.api.context import ApiContext, ApiDep
from joyvl_server.api.http.encoding import JsonResponse, to_json
from joyvl_server.api.http.idempotency import IdempotencyKey, once
from joyvl_server.api.http.openapi import problems
from joyvl_server.api.schemas.memories import (
    CollectionsOut,
    ForgottenOut,
    MemoriesFilter,
    MemoriesOut,
    MemoriesQuery,
    MemoriesToForget,
    MemoryIn,
    MemoryOut,
    MemoryPatch,
)
from joyvl_server.api.updates import check_streams, counted
from joyvl_server.core.errors import JoyvlError
from joyvl_server.memory.base import MemoryDraft, RecallRequest
from joyvl_server.sessions import payloads
from joyvl_server.sessions.memory.places import SHARED
from joyvl_server.store.events import EventFilter
from joyvl_server.store.memories.records import MemoryFilter, MemoryRecord

router = APIRouter(tags=["memories"])

MEMORIES = "/v1/memories"
EXPORT_PAGE = 500
SIEVED = 4
"""How many times as many are recalled where some of them are left out afterwards."""
MANY_TOKENS = 1_000_000


class NothingNamed(JoyvlError):
    """Everything would be forgotten, and nobody has said so."""

    code = "no_filter"


class OnePage(JoyvlError):
    code = "no_pages"


class MixedPlaces(JoyvlError):
    code = "not_of_this_camera"


@router.get(MEMORIES, response_model=MemoriesOut)
async def list_memories(api: ApiDep, request: Request, query: Annotated[MemoriesQuery, Query()]) -> Response:
    """Memories, newest first; with `query` those that hold all its words, or with `by=meaning` the nearest."""
    wanted = replace(query.to_filter(), cameras=own_cameras(request))
    if query.query and query.query.strip() and query.by == "meaning":
        return await _nearest(api, query, wanted)
    words = (query.query or "").strip()
    if words:
        wanted = replace(wanted, words=words)
    found = await api.registry.memory.memories.list(wanted, limit=query.limit + 1, before=query.after)
    shown = found[: query.limit]
    more = shown[-1].id if len(found) > query.limit else None
    return render.listed(await _shown(api, shown), more)


async def _nearest(api: ApiContext, query: MemoriesQuery, wanted: MemoryFilter) -> Response:
    if query.after is not None:
        raise OnePage("The nearest by meaning are one page: leave `after` out, or raise `limit`.")
    places = wanted.collections or (wanted.cameras if query.camera_id is None else (query.camera_id,))
    span = None
    if wanted.since is not None or wanted.until is not None:
        span = (wanted.since or 0.0, 1e11 if wanted.until is None else wanted.until)
    sieved = (wanted.kept, wanted.session_id, wanted.camera_id) != (None, None, None) or bool(wanted.cameras)
    limit = query.limit * SIEVED if sieved else query.limit
    request = RecallRequest(query.query or "", places or None, span, limit, MANY_TOKENS, wanted.kinds)
    recalled = [found for found in await api.registry.memory.recall(request) if _fits(found.memory, wanted)]
    recalled = recalled[: query.limit]
    scores = {found.memory.id: found.score for found in recalled}
    return render.listed(await _shown(api, [found.memory for found in recalled], scores))


def _fits(memory: MemoryRecord, wanted: MemoryFilter) -> bool:
    return (
        wanted.kept in (None, memory.kept)
        and wanted.session_id in (None, memory.session_id)
        and wanted.camera_id in (None, memory.camera_id)
        and (not wanted.cameras or memory.camera_id in wanted.cameras)
    )


@router.post(MEMORIES, status_code=201, response_model=MemoryOut, responses=problems(404, 503))
async def create_memory(
    api: ApiDep, request: Request, body: MemoryIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Tell it a fact. It is kept until somebody deletes it."""

    async def create() -> Response:
        if body.camera_id is not None:
            api.registry.cameras.get(body.camera_id)
            if body.collection not in (None, body.camera_id):
                raise MixedPlaces("A fact about a camera belongs to the camera's own collection: give one of the two.")
        collection = body.collection or body.camera_id or SHARED
        draft = MemoryDraft(
            collection, "fact", body.text, api.clock.wall(), camera_id=body.camera_id, kept=True, source="user"
        )
        memory = await api.registry.memory.add(draft)
        _tell(api, memory)
        return render.created((await _shown(api, [memory]))[0], f"{MEMORIES}/{memory.id}")

    return await once(request, idempotency_key, create)


@router.delete(MEMORIES, response_model=ForgottenOut)
async def forget_memories(api: ApiDep, query: Annotated[MemoriesToForget, Query()]) -> Response:
    """Forget all that match, for good, kept ones too unless `kept=false` is given; with what they are from.

    Name what is meant, or say `all=true`.
    """
    wanted = query.to_filter()
    named = wanted != MemoryFilter()
    if named == query.all:
        raise NothingNamed(
            "Say which memories: give camera_id, since, until or another filter, or `all=true` alone for everything."
        )
    gone = await (api.registry.past.eraser.forget_all() if query.all else api.registry.past.eraser.forget(wanted))
    return JsonResponse({"deleted": gone.memories, "events": gone.events})


@router.get(
    MEMORIES + "/export",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {}}, "description": "A memory a line."}, **problems(503)},
)
async def export_memories(api: ApiDep, request: Request, query: Annotated[MemoriesFilter, Query()]) -> Response:
    """All memories, or those that match, as JSON lines, newest first."""
    check_streams(api)
    headers = {"Content-Disposition": 'attachment; filename="joyvl-memories.jsonl"', "Cache-Control": "no-store"}
    wanted = replace(query.to_filter(), cameras=own_cameras(request))
    return StreamingResponse(_lines(api, wanted), 200, headers, "application/x-ndjson")


async def _lines(api: ApiContext, wanted: MemoryFilter) -> AsyncIterator[str]:
    before: str | None = None
    with counted(api, "export"):
        while not api.stopping.is_set():
            found = await api.registry.memory.memories.list(wanted, limit=EXPORT_PAGE, before=before)
            if found:
                yield "".join(to_json({**_payload(memory), "data": memory.data}) + "\n" for memory in found)
            if len(found) < EXPORT_PAGE:
                return
            before = found[-1].id


@router.get(MEMORIES + "/collections", response_model=CollectionsOut)
async def list_collections(api: ApiDep) -> Response:
    """Where memories belong: to a camera, a caller, or to all; by name. And by what they are found."""
    memory = api.registry.memory
    data = [
        {
            "collection": found.collection,
            "camera_id": found.camera_id,
            "count": found.count,
            "oldest": payloads.rfc3339(found.oldest),
            "newest": payloads.rfc3339(found.newest),
        }
        for found in await memory.memories.collections()
    ]
    return JsonResponse({"data": data, "next": None, "by_meaning": memory.by_meaning})


@router.get(MEMORIES + "/{memory_id}", response_model=MemoryOut, responses=problems(404))
async def read_memory(api: ApiDep, memory_id: str) -> Response:
    """One memory."""
    return JsonResponse((await _shown(api, [await api.registry.memory.memories.get(memory_id)]))[0])


@router.patch(MEMORIES + "/{memory_id}", response_model=MemoryOut, responses=problems(404, 503))
async def change_memory(api: ApiDep, memory_id: str, body: MemoryPatch) -> Response:
    """Put its text right, keep it or let it go."""
    before = await api.registry.memory.memories.get(memory_id)
    memory = await api.registry.memory.change(memory_id, **body.changes())
    if memory.text != before.text:
        _tell(api, memory)
    return JsonResponse((await _shown(api, [memory]))[0])


@router.delete(MEMORIES + "/{memory_id}", status_code=204, responses=problems(404))
async def forget_memory(api: ApiDep, memory_id: str) -> Response:
    """Forget it for good, with the event that it is from: words, vectors, picture, clip, alerts."""
    await api.registry.memory.memories.get(memory_id)
    await api.registry.past.eraser.forget(MemoryFilter(ids=(memory_id,)))
    return Response(status_code=204)


# ------------------------------------------------------------------------------------------------------------- to JSON


def _tell(api: ApiContext, memory: MemoryRecord) -> None:
    for session in api.registry.sessions():
        session.told(memory)


async def _shown(
    api: ApiContext, memories: Sequence[MemoryRecord], scores: dict[str, float] | None = None
) -> list[dict[str, Any]]:
    """As JSON, with the addresses of their pictures. Cancelling it changes nothing."""
    ids = tuple({memory.event_id for memory in memories if memory.event_id is not None})
    pictures = set()
    if ids:
        events = await api.registry.events.list(EventFilter(ids=ids), limit=len(ids))
        pictures = {event.id for event in events if event.picture}
    return [
        {
            **_payload(memory),
            "picture_url": f"/v1/events/{memory.event_id}/thumbnail.jpg" if memory.event_id in pictures else None,
            "score": None if scores is None else round(scores[memory.id], 4),
        }
        for memory in memories
    ]


def _payload(memory: MemoryRecord) -> dict[str, Any]:
    return {
        "id": memory.id,
        "collection": memory.collection,
        "camera_id": memory.camera_id,
        "session_id": memory.session_id,
        "kind": memory.kind,
        "text": memory.text,
        "at": payloads.rfc3339(memory.wall),
        "wall": memory.wall,
        "until": payloads.rfc3339(memory.until_wall),
        "kept": memory.kept,
        "event_id": memory.event_id,
        "source": memory.source,
    }
