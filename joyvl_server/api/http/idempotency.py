"""`Idempotency-Key` on creates: the same key with the same body gives the stored answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response

from joyvl_server.api.access.access import LOCAL
from joyvl_server.core.errors import JoyvlError

if TYPE_CHECKING:
    from joyvl_server.api.access.caller import Caller
    from joyvl_server.api.context import ApiContext

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


class RequestLocks:
    """Equal requests at once: one works, the others wait for it. Nothing is left of a lock that nobody waits for."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def alone(self, name: tuple[str, str]) -> AsyncIterator[None]:
        """Only one block of that name runs at once. Cancelled while it waits, it never runs."""
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(name)
            if users > 1:
                self._locks[name] = (lock, users - 1)


class IdempotencyMismatch(JoyvlError):
    code = "idempotency_mismatch"


async def once(request: Request, key: str | None, create: Callable[[], Awaitable[Response]]) -> Response:
    """`create()`, or the answer it gave to the same request before. Only successes are kept: a failure may be retried.

    Raises `IdempotencyMismatch` (422) when the key came with another body before. Cancelled, it cancels `create()`;
    what was done by then may be done again when the request is repeated.
    """
    if key is None:
        return await create()
    api: ApiContext = request.app.state.api
    kept = api.registry.idempotency
    route = f"{request.method} {request.url.path}"
    caller: Caller = request.state.who
    # A key's browsers share what is kept for it; where nobody is asked for a key, everybody is one caller.
    share = None if caller is LOCAL else f"{caller.counted}:"
    name = f"{share or ''}{caller.name}:{key}"
    kind = request.headers.get("content-type", "")
    body_hash = hashlib.sha256(kind.encode() + b"\0" + await request.body()).hexdigest()

    async with api.request_locks.alone((name, route)):
        before = await kept.get(name, route)
        if before is not None:
            if before.body_hash != body_hash:
                raise IdempotencyMismatch("This Idempotency-Key was used with another body; choose a new one.")
            return Response(before.body, before.status, {**before.headers, "Idempotency-Replayed": "true"})
        response = await create()
        if response.status_code < 300:
            headers = {k: v for k, v in response.headers.items() if k in KEPT_HEADERS}
            await kept.put(name, route, response.status_code, headers, bytes(response.body), body_hash, share=share)
        return response
