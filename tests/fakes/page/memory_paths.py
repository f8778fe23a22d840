"""The paths of memories of `page.server`."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from fakes.page.problem import Problem
from fakes.page.world import World


def add_memory_paths(app: FastAPI, world: World) -> None:
    book = world.memory

    def known(memory_id: str) -> dict[str, Any]:
        if memory_id not in book.memories:
            raise Problem(404, "not_found", f"There is no memory {memory_id}.")
        return book.memories[memory_id]

    @app.get("/v1/memories")
    async def memories(
        limit: int = 100,
        after: str | None = None,
        query: str | None = None,
        by: str = "words",
        collection: str | None = None,
        kind: str | None = None,
        kept: bool = False,
    ) -> dict[str, Any]:
        return book.page(limit, after, query, by=by, collection=collection, kind=kind, kept=kept)

    @app.post("/v1/memories", status_code=201)
    async def add(body: dict[str, Any]) -> dict[str, Any]:
        if "refuse" in body["text"]:
            errors = [{"field": "text", "message": "This cannot be remembered."}]
            raise Problem(422, "invalid", "The request is not right.", errors)
        place = body.get("collection") or body.get("camera_id") or "shared"
        return book.add(body["text"], "fact", collection=place, camera_id=body.get("camera_id"), source="user")

    @app.get("/v1/memories/collections")
    async def collections() -> dict[str, Any]:
        return {"data": book.collections(), "next": None, "by_meaning": book.by_meaning}

    @app.get("/v1/memories/export")
    async def export() -> Response:
        lines = [json.dumps(memory) for memory in book.memories.values()]
        return Response("\n".join(lines), media_type="application/jsonl")

    @app.get("/v1/memories/{memory_id}")
    async def one(memory_id: str) -> dict[str, Any]:
        return known(memory_id)

    @app.patch("/v1/memories/{memory_id}")
    async def change(memory_id: str, body: dict[str, Any]) -> dict[str, Any]:
        known(memory_id).update(body)
        return known(memory_id)

    @app.delete("/v1/memories/{memory_id}", status_code=204)
    async def forget(memory_id: str) -> None:
        known(memory_id)
        del book.memories[memory_id]

    @app.delete("/v1/memories")
    async def forget_all(
        collection: str | None = None, all: bool = False, since: str | None = None, until: str | None = None
    ) -> dict[str, Any]:
        if not collection and not all and not since:
            raise Problem(422, "invalid", "Say what is to be forgotten.")
        gone = [
            m["id"]
            for m in book.memories.values()
            if collection in (None, m["collection"])
            and (since is None or since <= m["at"])
            and (until is None or m["at"] < until)
        ]
        for memory_id in gone:
            del book.memories[memory_id]
        return {"deleted": len(gone)}
