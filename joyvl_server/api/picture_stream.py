"""A camera's pictures as motion JPEG: one answer that goes on, for what shows no WebRTC (Home Assistant, `<img>`)."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from joyvl_server.api.context import ApiContext
from joyvl_server.api.updates import check_streams, counted
from joyvl_server.core.errors import Conflict, NoFrame, NotFound
from joyvl_server.core.frame import Frame

BOUNDARY = "joyvl-picture"
EVERY_S = 0.5
"""seconds from one picture to the next"""
SEND_TIMEOUT_S = 20.0
"""seconds one picture may wait for the client to read before the stream is closed"""


class PictureStream(Response):
    """`multipart/x-mixed-replace`. It ends with the camera, with the server, with its link, or with the client."""

    media_type = f"multipart/x-mixed-replace; boundary={BOUNDARY}"

    def __init__(self, api: ApiContext, camera_id: str, first: Frame, until: float | None) -> None:
        """`first`: the picture to begin with. `until`: Unix seconds at which its link is over."""
        check_streams(api)
        self.status_code, self.background = 200, None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]  # it is not known yet
        self._api = api
        self._camera_id = camera_id
        self._shown = first
        self._until = until

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with counted(self._api, "mjpeg"):
            async with asyncio.TaskGroup() as tasks:
                ends = {tasks.create_task(_gone(receive)), tasks.create_task(self._api.stopping.wait())}
                with contextlib.suppress(OSError, TimeoutError):
                    await self._show(send, ends)
                for task in ends:
                    task.cancel()

    async def _show(self, send: Send, ends: set[asyncio.Task[bool]]) -> None:
        frame: Frame | None = self._shown
        while True:
            if frame is not None:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await send({"type": "http.response.body", "body": _part(frame), "more_body": True})
                self._shown = frame
            done, _ = await asyncio.wait(ends, timeout=EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            over = self._until is not None and self._api.clock.wall() >= self._until
            if done or over:
                break
            try:
                frame = await self._api.registry.cameras.snapshot(self._camera_id)
            except NoFrame:
                frame = None  # the last picture stays until there is a new one
            except (NotFound, Conflict):
                break
            if frame is not None and frame.image.sha256 == self._shown.image.sha256:
                frame = None
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await send({"type": "http.response.body", "body": f"--{BOUNDARY}--\r\n".encode(), "more_body": False})


def _part(frame: Frame) -> bytes:
    jpeg = frame.image.jpeg
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return b"".join((head.encode(), jpeg, b"\r\n"))


async def _gone(receive: Receive) -> bool:
    while (await receive())["type"] != "http.disconnect":
        pass
    return True
