"""What a key opened ends with the key: streams, downloads and WebSockets, which are authorised only once."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Scope, Send

KEY_OVER = 1008
"""The close code of a WebSocket whose key is over: policy violation."""


def until_ended(scope: Scope, receive: Receive, ended: asyncio.Event) -> Receive:
    """`receive` that says the client has left once `ended` is set: every route ends its stream then."""
    gone: Message = {"type": "http.disconnect"}
    if scope["type"] == "websocket":
        gone = {"type": "websocket.disconnect", "code": KEY_OVER, "reason": "the key is over"}

    async def received() -> Message:
        if ended.is_set():
            return gone
        coming = asyncio.ensure_future(receive())
        ending = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({coming, ending}, return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() else gone
        finally:
            coming.cancel()
            ending.cancel()

    return received


class KeyOver(OSError):
    """Nothing more is sent: the key is over."""


def cut_when_ended(send: Send, ended: asyncio.Event) -> Send:
    """`send` that raises `KeyOver` in the middle of a body once `ended` is set. Short answers are sent whole: also the
    one to whoever has just removed their own key."""

    async def sent(message: Message) -> None:
        if ended.is_set() and message["type"] == "http.response.body" and message.get("more_body"):
            raise KeyOver("the key is over")
        await send(message)

    return sent
