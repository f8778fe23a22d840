"""What a Realtime client asks for by its events, done on its session."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from joyvl_server.api.realtime import events
from joyvl_server.api.realtime.client_error import ClientError, invalid
from joyvl_server.api.realtime.client_session import SessionChange
from joyvl_server.api.realtime.conversation_items import Answer, ConversationItems, user_item
from joyvl_server.api.realtime.delegations import ClientDelegations
from joyvl_server.api.realtime.events import Event
from joyvl_server.api.realtime.input_audio import InputAudio, pcm_of
from joyvl_server.api.realtime.requested import RequestedResponses
from joyvl_server.api.realtime.translator import Translator, truncated
from joyvl_server.api.schemas import realtime_events as bodies
from joyvl_server.core.errors import JoyvlError
from joyvl_server.ingest.base import MAX_PICTURE_BYTES
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.memory.requests import Asker
from joyvl_server.sessions.session import Session

M = TypeVar("M", bound=BaseModel)
Handler = Callable[[dict[str, Any]], Awaitable[list[Event]]]

MAX_WORDS = 2000
MAX_PENDING = 16
PICTURES = ("data:image/jpeg;base64,", "data:image/jpg;base64,", "data:image/png;base64,")


class ClientActions:
    """`take` each event of the client; what it returns is the answer to it. `call`: it has tracks for its sound."""

    def __init__(
        self, session: Session, change: SessionChange, translator: Translator, *, call: bool, asker: Asker
    ) -> None:
        self.requested = RequestedResponses()
        self.delegations = ClientDelegations(session)
        self.audio = InputAudio(session.source.client, session.speech.listener)
        self._session = session
        self._change = change
        self._translator = translator
        self._items: ConversationItems = translator.items
        self._call, self._asker = call, asker
        self._pending: dict[str, str] = {}
        """texts that wait for `response.create`, by the ids of their items"""
        self._handlers: dict[str, Handler] = {
            "session.update": self._update,
            "conversation.item.create": self._create,
            "conversation.item.truncate": self._truncate,
            "conversation.item.delete": self._delete,
            "conversation.item.retrieve": self._retrieve,
            "response.create": self._respond,
            "response.cancel": self._cancel,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "output_audio_buffer.clear": self._clear_output,
            "session.thinking.append": self._tell_of_task,
            "session.commentary.append": self._tell_of_task,
        }
        self.apply()

    def apply(self) -> None:
        """The session is what the client wants of it by now."""
        self._translator.modality, self._translator.voice = self._change.modality, self._change.voice
        self.audio.manual = self._change.manual

    async def take(self, text: str) -> list[Event]:
        """One event as it came. Never raises for what a client does wrong.

        Cancelled, what it asked for may be done or not; nothing is half done.
        """
        event_id: str | None = None
        try:
            data = _json(text)
            given = data.get("event_id")
            event_id = given if isinstance(given, str) and len(given) <= 512 else None
            type = data.get("type")
            handler = self._handlers.get(type) if isinstance(type, str) else None
            if handler is None:
                raise ClientError(_unknown(type), param="type")
            return await handler(data)
        except JoyvlError as error:
            param = error.param if isinstance(error, ClientError) else None
            return [events.failure(str(error), error.code, param=param, event_id=event_id)]

    async def _tell_of_task(self, data: dict[str, Any]) -> list[Event]:
        return [await self.delegations.append(_valid(data, bodies.DelegationAppend))]

    # --------------------------------------------------------------------------------------------- session and items

    async def _update(self, data: dict[str, Any]) -> list[Event]:
        body = _valid(data, bodies.SessionUpdate)
        await self._change.update(body.session)
        self.apply()
        return [{"type": "session.updated", "session": self._change.shape()}]

    async def _create(self, data: dict[str, Any]) -> list[Event]:
        item = data.get("item")
        if isinstance(item, dict) and (item.get("type") != "message" or item.get("role") != "user"):
            sentence = "Only messages of the user can be added; for what always counts use session.update."
            raise ClientError(sentence, param="item.type" if item.get("type") != "message" else "item.role")
        message = _valid(data, bodies.ItemCreate).item
        item_id = message.id or new_id("item")
        if item_id in self._items.items:
            raise ClientError("There is an item with this id.", "item_exists", param="item.id")
        texts, pictures, sounds = _contents(message)
        if texts and len(self._pending) >= MAX_PENDING:
            raise ClientError(f"{MAX_PENDING} messages wait for response.create.", "too_many_items")
        if sounds:
            self._understands()
        for picture in pictures:
            await self._session.source.client.show(picture)
        if texts:
            self._pending[item_id] = "\n".join(texts)
        shown = user_item(item_id, [_shown(part) for part in message.content])
        before = self._items.add(shown)
        found = [events.of_item(f"conversation.item.{what}", shown, before) for what in ("added", "done")]
        for sound in sounds:
            self.audio.speak(sound, self._session.source.now)
        return found

    async def _retrieve(self, data: dict[str, Any]) -> list[Event]:
        item_id = _valid(data, bodies.ItemNamed).item_id
        return [{"type": "conversation.item.retrieved", "item": self._item(item_id)}]

    async def _delete(self, data: dict[str, Any]) -> list[Event]:
        item_id = _valid(data, bodies.ItemNamed).item_id
        self._item(item_id)
        if self._pending.pop(item_id, None) is None:
            sentence = "It was seen, heard or said already, and cannot be taken back."
            raise ClientError(sentence, "item_not_deletable", param="item_id")
        del self._items.items[item_id]
        return [{"type": "conversation.item.deleted", "item_id": item_id}]

    def _item(self, item_id: str) -> dict[str, Any]:
        item = self._items.items.get(item_id)
        if item is None:
            raise ClientError(f"There is no item {item_id}.", "item_not_found", param="item_id")
        return item

    # -------------------------------------------------------------------------------------------------------- answers

    async def _respond(self, data: dict[str, Any]) -> list[Event]:
        wanted = _valid(data, bodies.ResponseCreate).response
        self.requested.check()
        words = list(self._pending.values())
        if wanted is not None and wanted.instructions:
            words.append(wanted.instructions)
        question = "\n".join(words).strip()
        if len(question) > MAX_WORDS:
            raise ClientError(f"A question has {MAX_WORDS} characters at most.", "string_above_max_length")
        if question:
            query = self._session.ask(question, self._asker)
            self._pending.clear()
            self.requested.question(query.id)
        elif self._items.open:
            sentence = "Something is being said; cancel it, or wait for response.done."
            raise ClientError(sentence, "conversation_already_has_active_response")
        elif not self._session.speech.listener.busy:  # what was just said is answered anyway
            self._session.machine.decide_now()
            self.requested.decision()
        return []

    async def _cancel(self, data: dict[str, Any]) -> list[Event]:
        response_id = _valid(data, bodies.ResponseCancel).response_id
        cancelled = [one for one in self._items.open if response_id in (None, one.response_id)]
        questions = self.requested.withdraw() if response_id is None else []
        if not cancelled and not questions:
            raise ClientError("Nothing is being said.", "response_cancel_not_active")
        found: list[Event] = []
        for answer in cancelled:
            found += self._translator.cancel(answer)
        for query_id in questions:
            self._session.withdraw(query_id)
        if cancelled:
            self._session.speech.be_silent()
        return found

    async def _truncate(self, data: dict[str, Any]) -> list[Event]:
        body = _valid(data, bodies.ItemTruncate)
        answer = self._items.answer_of(body.item_id)
        if answer is None:
            raise ClientError(f"{body.item_id} is nothing that was said.", "item_not_found", param="item_id")
        if self._call:
            raise ClientError("The server knows what a call heard; it truncates by itself.", param="type")
        if body.audio_end_ms > answer.sent_s * 1000 + 1:
            sentence = f"Only {answer.sent_s * 1000:.0f} ms of its sound were sent."
            raise ClientError(sentence, "audio_end_too_late", param="audio_end_ms")
        found = self._stop_at(answer, body.audio_end_ms)
        return [*found, truncated(answer, body.audio_end_ms)]

    def _stop_at(self, answer: Answer, milliseconds: int) -> list[Event]:
        """No more was heard of it than that, whatever else was sent."""
        answer.truncated = True
        writing = not answer.written
        found = [] if answer.done else self._translator.cancel(answer)
        self._session.speech.speaker.truncate(answer.epoch, milliseconds / 1000)
        if writing:
            self._session.speech.be_silent()
        return found

    async def _clear_output(self, data: dict[str, Any]) -> list[Event]:
        _valid(data, bodies.ClientEvent)
        if not self._call:
            raise ClientError("This is for WebRTC; over a WebSocket use conversation.item.truncate.", param="type")
        self._session.speech.be_silent()
        return []

    # ---------------------------------------------------------------------------------------------------------- sound

    async def _append(self, data: dict[str, Any]) -> list[Event]:
        audio = pcm_of(_valid(data, bodies.AudioAppend).audio, "audio")
        if self._call:
            raise ClientError("The sound of a call comes over its track.", param="type")
        await self.audio.append(audio)
        return []

    async def _commit(self, data: dict[str, Any]) -> list[Event]:
        _valid(data, bodies.ClientEvent)
        if self._call and self._change.manual:
            self._session.speech.listener.talk(False)
            return []
        self._understands()
        self.audio.commit(self._session.source.now)
        return []

    async def _clear(self, data: dict[str, Any]) -> list[Event]:
        _valid(data, bodies.ClientEvent)
        self.audio.clear()
        if self._call and self._change.manual:
            self._session.speech.listener.talk(True)
        return [{"type": "input_audio_buffer.cleared"}]

    def _understands(self) -> None:
        if not self._session.speech.listener.understands:
            raise ClientError("Nothing on this server understands speech.", "speech_not_understood")


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise ClientError("This event is no valid JSON.", "invalid_json") from None
    if not isinstance(data, dict):
        raise ClientError("An event is a JSON object.", "invalid_json")
    return data


def _valid(data: dict[str, Any], model: type[M]) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid(error) from None


def _unknown(type: Any) -> str:
    return f"There is no event {type[:80]} here." if isinstance(type, str) else "An event needs its type."


def _contents(message: bodies.UserMessage) -> tuple[list[str], list[bytes], list[Any]]:
    """Texts, pictures and sounds of it. Raises `ClientError`."""
    texts, pictures, sounds = [], [], []
    for number, part in enumerate(message.content):
        at = f"item.content.{number}"
        if part.type == "input_text" and part.text:
            texts.append(part.text)
        elif part.type == "input_image" and part.image_url:
            pictures.append(_picture(part.image_url, f"{at}.image_url"))
        elif part.type == "input_audio" and part.audio:
            sounds.append(pcm_of(part.audio, f"{at}.audio"))
        else:
            raise ClientError(f"{at}: There is nothing in it.", "missing_required_parameter", param=at)
    return texts, pictures, sounds


def _picture(url: str, at: str) -> bytes:
    start = next((start for start in PICTURES if url.startswith(start)), None)
    if start is None:
        sentence = f"{at}: A picture is a data URL of a JPEG or PNG in base64; nothing is fetched for a client."
        raise ClientError(sentence, param=at)
    try:
        data = base64.b64decode(url[len(start) :], validate=True)
    except (binascii.Error, ValueError):
        raise ClientError(f"{at}: This is no base64.", param=at) from None
    if len(data) > MAX_PICTURE_BYTES:
        raise ClientError(f"{at}: A picture has {MAX_PICTURE_BYTES} bytes at most.", param=at)
    return data


def _shown(part: bodies.ContentPart) -> dict[str, Any]:
    """Without its pixels and samples, which nobody asks for again."""
    return {"type": part.type, **({"text": part.text} if part.type == "input_text" else {})}
