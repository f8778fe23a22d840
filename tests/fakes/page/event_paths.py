"""The paths of the timeline of `page.server`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response, StreamingResponse

from fakes.page.events import draw_event, encode_clip
from fakes.page.problem import Problem
from fakes.page.world import World


def add_event_paths(app: FastAPI, world: World) -> None:
    book = world.timeline

    def known(event_id: str) -> dict[str, Any]:
        if event_id not in book.events:
            raise Problem(404, "not_found", f"There is no event {event_id}.")
        return book.events[event_id]

    @app.get("/v1/events", response_model=None)
    async def events(
        request: Request,
        type: Annotated[list[str], Query(default_factory=list)],
        kind: Annotated[list[str], Query(default_factory=list)],
        session_id: str | None = None,
        camera_id: str | None = None,
        watch_id: str | None = None,
        query: str | None = None,
        by: str = "words",
        kept: bool = False,
        since: str | None = None,
        until: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Any:
        if session_id is not None:
            session = world.sessions.get(session_id)
            if session is None:
                raise Problem(404, "not_found", f"There is no session {session_id}.")
            return {"data": session.events[::-1][:limit], "next": None}
        asked = {"types": type, "kinds": kind, "camera_id": camera_id, "watch_id": watch_id, "kept": kept}
        if request.headers.get("accept", "").startswith("text/event-stream"):
            book.streams.append(asked)
            lines = book.since(request.headers.get("last-event-id"), asked)
            return StreamingResponse(lines, media_type="text/event-stream")
        if query and "impossible" in query:
            raise Problem(422, "invalid", "This search cannot be made.")
        span = {"since": since, "until": until, "limit": limit, "after": after}
        return book.page({**asked, "query": query, "by": by, **span})

    @app.delete("/v1/events")
    async def delete_all(
        type: Annotated[list[str], Query(default_factory=list)],
        kind: Annotated[list[str], Query(default_factory=list)],
        camera_id: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> dict[str, Any]:
        asked = {"types": type, "kinds": kind, "camera_id": camera_id, "watch_id": None, "kept": False, "query": None}
        gone = book.page({**asked, "by": "words", "since": since, "until": until, "limit": 10_000, "after": None})[
            "data"
        ]
        for event in gone:
            del book.events[event["id"]]
        return {"deleted": len(gone)}

    @app.get("/v1/digests")
    async def digests(day: str, camera_id: str | None = None) -> dict[str, Any]:
        found = [one for one in book.digests if one["day"] == day and camera_id in (None, one["camera_id"])]
        return {"data": found, "next": None}

    @app.get("/v1/events/{event_id}")
    async def one(event_id: str) -> dict[str, Any]:
        return known(event_id)

    @app.patch("/v1/events/{event_id}")
    async def keep(event_id: str, body: dict[str, Any]) -> dict[str, Any]:
        known(event_id)
        return book.change(event_id, kept=body["kept"])

    @app.delete("/v1/events/{event_id}", status_code=204)
    async def delete(event_id: str) -> None:
        known(event_id)
        del book.events[event_id]

    @app.get("/v1/events/{event_id}/thumbnail.jpg")
    async def thumbnail(event_id: str) -> Response:
        return Response(draw_event(known(event_id)["wall"]), media_type="image/jpeg")

    @app.get("/v1/events/{event_id}/clip.mp4")
    async def clip(event_id: str, request: Request) -> Response:
        if known(event_id)["data"].get("codec") == "odd":
            return Response(b"no video at all" * 100, media_type="video/mp4")
        return _range(encode_clip(), request)


def _range(content: bytes, request: Request) -> Response:
    asked = request.headers.get("range", "").removeprefix("bytes=").partition("-")
    if not asked[0]:
        return Response(content, media_type="video/mp4", headers={"Accept-Ranges": "bytes"})
    start, end = int(asked[0]), min(int(asked[2] or len(content) - 1), len(content) - 1)
    headers = {"Accept-Ranges": "bytes", "Content-Range": f"bytes {start}-{end}/{len(content)}"}
    return Response(content[start : end + 1], 206, headers, "video/mp4")
