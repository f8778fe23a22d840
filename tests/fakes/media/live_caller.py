"""A caller on a real server: it calls over HTTP, listens to what the server says, and reads the session's updates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from aiortc import MediaStreamTrack, RTCSessionDescription

from fakes.media.hearing_caller import HearingCaller
from fakes.patience import PATIENCE_S, until
from fakes.server.house import KEY
from fakes.server.live_server import LiveServer
from joyvl_server.sessions.session import Session

TEXT_DONE, STOPPED = "response.output_text.done", "output_audio_buffer.stopped"
HEARD = "conversation.item.input_audio_transcription.completed"


class LiveCaller:
    """`says` makes the session speak; `of` lists its updates of one type, oldest first."""

    def __init__(self, server: LiveServer, session: Session, ears: HearingCaller) -> None:
        self.session = session
        self.ears = ears
        self.updates: list[tuple[str, dict[str, Any]]] = []
        self._server = server

    async def follow(self) -> None:
        async for update in self.session.updates.since(None):
            self.updates.append((update.type, dict(update.values)))

    def of(self, type: str) -> list[dict[str, Any]]:
        return [values for found, values in self.updates if found == type]

    async def until(self, type: str, count: int = 1) -> dict[str, Any]:
        """The update of this type with this number."""
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: len(self.of(type)) >= count)
        return self.of(type)[count - 1]

    async def says(self, text: str) -> str:
        """Returns what the session has written of it, when that is whole."""
        before, quiet = len(self.of(TEXT_DONE)), self._server.engines.quiet
        quiet.words, quiet.value = " " + text, 1.0
        await self.until("response.created", before + 1)
        quiet.value = 0.0
        return str((await self.until(TEXT_DONE, before + 1))["text"])

    @property
    def failures(self) -> list[str]:
        return [values["error"]["code"] for values in self.of("error")]


@asynccontextmanager
async def calling(
    server: LiveServer, *, microphone: MediaStreamTrack | None = None, ears: HearingCaller | None = None
) -> AsyncIterator[LiveCaller]:
    """The session speaks with the voice of the settings, and makes no pauses between remarks."""
    ears = ears or HearingCaller("recvonly" if microphone is None else None)
    if microphone is not None:
        ears.peer.addTrack(microphone)
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=PATIENCE_S) as client:
        body = {"sdp": await ears.offer(), "session": {"cooldown_s": 0.0}}
        answer = await client.post(f"{server.url}/v1/realtime/calls", json=body)
        assert answer.status_code == 201, answer.text
        await ears.peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        session = server.registry.session(answer.headers["X-Session-Id"])
        caller = LiveCaller(server, session, ears)
        following = asyncio.create_task(caller.follow())
        try:
            await until(lambda: session.source.state.status == "online" and session.speech.presence.plays)
            yield caller
        finally:
            await client.delete(server.url + answer.headers["Location"])
            await ears.close()
            following.cancel()
