"""`Idempotency-Key` on creates: the same key with the same body gives the stored answer."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response

from joyvl_server.api.context import api_of
from joyvl_server.core.errors import JoyvlError

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A word of your own. The same request with the same word gets the first answer again.",
    ),
]

KEPT_HEADERS = ("content-type", "location", "x-session-id")


class Mismatch(JoyvlError):
    code = "idempotency_mismatch"


async def once(request: Request, key: str | None, create: Callable[[], Awaitable[Response]]) -> Response:
    """`create()`, or the answer it gave to the same request before. Only successes are kept: a failure may be retried.

    Raises `Mismatch` (422) when the key came with another body before.
    """
    if key is None:
        return await create()
    api = api_of(request)
    kept = api.registry.idempotency
    route = f"{request.method} {request.url.path}"
    name = f"{request.state.caller}:{key}"
    kind = request.headers.get("content-type", "")
    body_hash = hashlib.sha256(kind.encode() + b"\0" + await request.body()).hexdigest()

    async def work() -> Response:
        before = await kept.get(name, route)
        if before is not None:
            if before.body_hash != body_hash:
                raise Mismatch("This Idempotency-Key was used with another body; choose a new one.")
            return Response(before.body, before.status, {**before.headers, "Idempotency-Replayed": "true"})
        response = await create()
        if response.status_code < 300:
            headers = {k: v for k, v in response.headers.items() if k in KEPT_HEADERS}
            await kept.put(name, route, response.status_code, headers, bytes(response.body), body_hash)
        return response

    return await api.in_flight.hold((name, route), work)
