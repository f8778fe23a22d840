"""`Prefer: wait=20` (RFC 7240): a client that would rather wait a little than ask again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any
from urllib.request import parse_http_list

from fastapi import Header
from starlette.requests import Request

if TYPE_CHECKING:
    from joyvl_server.api.context import ApiContext

LONGEST_S = 60
MAX_WAITING = 256
"""Requests that may wait at once over the whole server; others are answered at once."""

Prefer = Annotated[
    str | None,
    Header(
        max_length=1000,
        description=f"`wait=20`: answer when there is an answer, at the latest after 20 s (at most {LONGEST_S}).",
    ),
]


def wait_of(request: Request) -> int | None:
    """The seconds it prefers to wait, at most `LONGEST_S`; None where it prefers nothing that we understand."""
    text = ",".join(request.headers.getlist("prefer"))[:1000]
    for preference in parse_http_list(text):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":  # the first one counts
            digits = value.strip().strip('"')
            return min(int(digits), LONGEST_S) if re.fullmatch("[0-9]{1,9}", digits) else None
    return None


async def wait_for(api: ApiContext, request: Request, event: Coroutine[Any, Any, None], seconds: int) -> bool:
    """Wait for `event` that long; less where the client hangs up or the server stops. False: too many wait already.

    Cancelled, nobody waits any more.
    """
    if api.waiting >= MAX_WAITING:
        event.close()
        return False
    api.waiting += 1
    ends = [
        asyncio.ensure_future(event),
        asyncio.ensure_future(_hung_up(request)),
        asyncio.ensure_future(api.stopping.wait()),
        asyncio.ensure_future(api.clock.sleep(seconds)),
    ]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        api.waiting -= 1
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
    return True


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
