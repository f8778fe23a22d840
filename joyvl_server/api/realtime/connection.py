"""One Realtime client on a session: its events in, ours out, until one side ends it. Both transports use it."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Protocol

from starlette.websockets import WebSocketDisconnect

from joyvl_server.api.http.encoding import to_json
from joyvl_server.api.http.relay import SEND_TIMEOUT_S, StreamEnd
from joyvl_server.api.realtime import events
from joyvl_server.api.realtime.actions import ClientActions
from joyvl_server.api.realtime.client_session import SessionChange
from joyvl_server.api.realtime.conversation_items import ConversationItems
from joyvl_server.api.realtime.events import CONVERSATION, Event
from joyvl_server.api.realtime.translator import Translator
from joyvl_server.api.schemas.calls import CallSession
from joyvl_server.api.schemas.realtime import RATE
from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.audio.resampler import Resampler
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.memory.requests import Asker
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.sinks.updates import SlowReader, Update
from joyvl_server.sessions.speech.broadcast import AudioListening, AudioPiece


class RealtimeTransport(Protocol):
    """The way to one client. All raise `OSError`, `WebSocketDisconnect` or `SourceError` when it is gone."""

    async def send(self, text: str) -> None:
        """Waits while the client does not read. Cancelled, the text may have gone."""

    async def receive(self) -> str | None:
        """The next event of the client; None: something that is no text. Cancelling it loses none."""


class RealtimeConnection:
    """`run` it once. `call`: the client has tracks; else its sound goes and comes as events. `asker`: what its
    words may do."""

    def __init__(
        self, session: Session, wanted: CallSession, transport: RealtimeTransport, *, call: bool, asker: Asker
    ) -> None:
        self._session = session
        self._transport = transport
        self._change = SessionChange(session, wanted, call=call)
        self._translator = Translator(ConversationItems(), streams_sound=not call)
        self._actions = ClientActions(session, self._change, self._translator, call=call, asker=asker)
        self._listening: AudioListening | None = None
        self._streams = not call
        self._resampler = Resampler(RATE)
        self._sounding: int | None = None
        self._sending = asyncio.Lock()

    async def run(self, stopping: asyncio.Event) -> StreamEnd:
        """Until it is over; then nothing of it is left. Cancelled, it ends at once."""
        updates = self._session.updates.since(None)
        presence = self._session.speech.listening() if self._streams else nullcontext()
        with presence as self._listening, self._actions.delegations.present():
            try:
                await self._emit([{"type": "session.created", "session": self._change.shape()}, _conversation()])
            except TimeoutError:
                return StreamEnd.SLOW
            except (OSError, WebSocketDisconnect, JoyvlError):
                return StreamEnd.GONE
            async with asyncio.TaskGroup() as tasks:
                ends = [
                    tasks.create_task(self._guarded(self._read())),
                    tasks.create_task(self._guarded(self._follow(updates))),
                    tasks.create_task(self._guarded(self._sound())),
                    tasks.create_task(self._stopped(stopping)),
                ]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                first = next(task for task in ends if task.done())
                for task in ends:
                    task.cancel()
        return first.result()

    async def _guarded(self, work: asyncio.Future[StreamEnd] | object) -> StreamEnd:
        try:
            return await work  # type: ignore[misc, no-any-return]
        except (TimeoutError, SlowReader):
            return StreamEnd.SLOW
        except (OSError, WebSocketDisconnect, JoyvlError):
            return StreamEnd.GONE

    async def _read(self) -> StreamEnd:
        while True:
            text = await self._transport.receive()
            if text is None:
                found = [events.failure("Events are texts of JSON; this was binary.", "invalid_json")]
            else:
                found = await self._actions.take(text)
            await self._emit(found)

    async def _follow(self, updates: object) -> StreamEnd:
        async for update in updates:  # type: ignore[attr-defined]
            await self._take(update)
            await asyncio.sleep(0)  # a long backlog must not hold the loop
        return StreamEnd.OVER

    async def _take(self, update: Update) -> None:
        if update.type == "output_audio_buffer.stopped" and self._listening is not None:
            for piece in self._listening.waiting():  # its end comes after all of its sound
                await self._emit(self._piece(piece))
        speech = self._session.speech
        self._translator.audible = speech.audible and not speech.speaker.remote
        # Both at once: what comes between would be out of order.
        found = self._actions.requested.take(update.type, update.values)
        found += self._actions.delegations.take(update.type, update.values)
        await self._emit(found + self._translator.take(update.type, update.values))

    async def _sound(self) -> StreamEnd:
        if self._listening is None:
            await asyncio.Event().wait()
        assert self._listening is not None
        async for piece in self._listening:
            await self._emit(self._piece(piece))
        return StreamEnd.OVER

    def _piece(self, piece: AudioPiece) -> list[Event]:
        if piece.pcm is None:
            return []
        if piece.epoch != self._sounding:
            self._sounding = piece.epoch
            self._resampler.flush()
        pcm = piece.pcm if piece.pcm.rate == RATE else Pcm(self._resampler.feed_pcm(piece.pcm), RATE)
        return self._translator.sound(piece.epoch, pcm.to_base64(), pcm.seconds) if len(pcm.samples) else []

    async def _stopped(self, stopping: asyncio.Event) -> StreamEnd:
        await stopping.wait()
        return StreamEnd.STOPPING

    async def _emit(self, found: list[Event]) -> None:
        """Raises `TimeoutError` where the client does not read."""
        async with self._sending:
            for event in found:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._transport.send(to_json({"event_id": new_id("event"), **event}))


def _conversation() -> Event:
    return {"type": "conversation.created", "conversation": {"id": CONVERSATION, "object": "realtime.conversation"}}
