"""From a session's updates and its sound to the events of OpenAI's Realtime API: pure, one for each client.

An utterance is a response with one item. Updates that mean nothing to such a client are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from joyvl_server.api.realtime import events
from joyvl_server.api.realtime.conversation_items import Answer, ConversationItems, user_item
from joyvl_server.api.realtime.events import Event

HEARING = "conversation.item.input_audio_transcription."
MAX_HEARING = 16
WIDE_S, NARROW_S = 0.22, 0.065
"""about how long a character of speech is, of Chinese and of an alphabet"""

Data = Mapping[str, Any]


class Translator:
    """`take` each update in order, `sound` each piece of what is played. `streams_sound`: the client gets the sound as
    events, and a response is over when all of it was sent; else it has a track, and hears when that plays."""

    def __init__(self, conversation: ConversationItems, *, streams_sound: bool) -> None:
        self.modality = "audio"
        self.voice = "auto"
        self.audible = False
        """does somebody hear what is said now? Then the end of an utterance is the end of its sound"""
        self.items = conversation
        self._streams = streams_sound
        self._hearing: dict[str, dict[str, Any]] = {}
        """sentences that are being understood: what was told of them so far"""
        self._by_type: dict[str, Callable[[Data], list[Event]]] = {
            "response.created": self._created,
            "response.output_text.delta": self._delta,
            "response.output_text.done": self._written,
            "output_audio_buffer.started": self._started,
            "output_audio_buffer.stopped": self._stopped,
            "output_audio_buffer.cleared": self._cleared,
            "conversation.item.truncated": self._truncated,
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.speech_stopped": self._speech_stopped,
            HEARING + "delta": self._heard_partly,
            HEARING + "completed": self._heard,
            "error": self._error,
            "session.ended": self._ended,
        }

    def take(self, type: str, data: Data) -> list[Event]:
        """The events of one update of the session."""
        found = self._by_type.get(type)
        return [] if found is None else found(data)

    # -------------------------------------------------------------------------------------------------- what it says

    def _created(self, data: Data) -> list[Event]:
        answer = self.items.begin(data["epoch"], self.modality)
        item = answer.item("in_progress")
        before = self.items.add(item)
        part = {"type": "audio", "transcript": ""} if answer.modality == "audio" else {"type": "text", "text": ""}
        return [
            {"type": "response.created", "response": events.response(answer, "in_progress", voice=self.voice)},
            {
                "type": "response.output_item.added", "response_id": answer.response_id, "output_index": 0,
                "item": item,
            },
            events.of_item("conversation.item.added", item, before),
            events.of_part("response.content_part.added", answer, part=part),
        ]  # fmt: skip

    def _delta(self, data: Data) -> list[Event]:
        answer = self._open(data["epoch"])
        if answer is None:
            return []
        # The space between words of two deltas is the client's; before the first word there is none.
        delta = data["delta"] if answer.text else data["delta"].lstrip()
        answer.text += delta
        return [events.of_part(f"response.{_text_of(answer)}.delta", answer, delta=delta)] if delta else []

    def _written(self, data: Data) -> list[Event]:
        answer = self._open(data["epoch"])
        if answer is None:
            return []
        answer.written = True
        if data["interrupted"]:
            answer.cut = answer.cut or "turn_detected"
        words = {"transcript": answer.text} if answer.modality == "audio" else {"text": answer.text}
        found = [events.of_part(f"response.{_text_of(answer)}.done", answer, **words)]
        return found + self._finish_if_over(answer)

    def sound(self, epoch: int, delta: str, seconds: float) -> list[Event]:
        """A piece of an utterance's sound, as base64."""
        answer = self._open(epoch)
        if answer is None or answer.modality != "audio" or answer.cut is not None:
            return []
        answer.sounded = True
        answer.sent_s += seconds
        return [events.of_part("response.output_audio.delta", answer, delta=delta)]

    def _started(self, data: Data) -> list[Event]:
        answer = self.items.answers.get(data["epoch"])
        if answer is None or self._streams or data.get("by_client"):
            return []
        return [{"type": "output_audio_buffer.started", "response_id": answer.response_id}]

    def _stopped(self, data: Data) -> list[Event]:
        return self._play_over(data["epoch"], "stopped")

    def _cleared(self, data: Data) -> list[Event]:
        answer = self.items.answers.get(data["epoch"])
        if answer is not None and not answer.played:
            answer.cut = answer.cut or "turn_detected"
        return self._play_over(data["epoch"], "cleared")

    def _play_over(self, epoch: int, how: str) -> list[Event]:
        answer = self.items.answers.get(epoch)
        if answer is None or answer.played:
            return []
        answer.played = True
        found: list[Event] = []
        if not self._streams:
            found.append({"type": f"output_audio_buffer.{how}", "response_id": answer.response_id})
        return found + self._finish_if_over(answer)

    def _truncated(self, data: Data) -> list[Event]:
        answer = self.items.answers.get(data["epoch"])
        if answer is None:
            return []
        answer.played = True
        answer.cut = answer.cut or "turn_detected"
        found = self._finish_if_over(answer)
        return found if answer.truncated else [*found, truncated(answer, _milliseconds(data["heard"], answer))]

    # ------------------------------------------------------------------------------------------- the end of a response

    def _finish_if_over(self, answer: Answer) -> list[Event]:
        waits = self._streams and answer.modality == "audio" and self.audible and not answer.played
        return [] if answer.done or not answer.written or waits else self.finish(answer)

    def finish(self, answer: Answer) -> list[Event]:
        """Nothing of it follows any more."""
        if answer.done:
            return []
        answer.done = True
        status = "completed" if answer.cut is None else "cancelled"
        item = answer.item("completed" if answer.cut is None else "incomplete")
        self.items.keep(item)
        found: list[Event] = []
        if not answer.written:
            words = {"transcript": answer.text} if answer.modality == "audio" else {"text": answer.text}
            found.append(events.of_part(f"response.{_text_of(answer)}.done", answer, **words))
        if answer.sounded:
            found.append(events.of_part("response.output_audio.done", answer))
        kind = {"type": "audio", "transcript": answer.text}
        part = kind if answer.modality == "audio" else {"type": "text", "text": answer.text}
        ids = list(self.items.items)
        at = ids.index(answer.item_id) if answer.item_id in ids else 0
        return [
            *found,
            events.of_part("response.content_part.done", answer, part=part),
            events.of_item("conversation.item.done", item, ids[at - 1] if at else None),
            {
                "type": "response.output_item.done", "response_id": answer.response_id, "output_index": 0,
                "item": item,
            },
            {"type": "response.done", "response": events.response(answer, status, voice=self.voice)},
        ]  # fmt: skip

    def cancel(self, answer: Answer) -> list[Event]:
        """The client wants no more of it."""
        answer.cut = answer.cut or "client_cancelled"
        return self.finish(answer)

    def _open(self, epoch: int) -> Answer | None:
        answer = self.items.answers.get(epoch)
        return None if answer is None or answer.done else answer

    # -------------------------------------------------------------------------------------------------- what it hears

    def _speech_started(self, data: Data) -> list[Event]:
        while len(self._hearing) >= MAX_HEARING:  # nothing was heard of it again
            del self._hearing[next(iter(self._hearing))]
        self._hearing[data["item_id"]] = {"since": data["t"], "until": data["t"], "told": ""}
        start = _whole_ms(data["t"])
        return [{"type": "input_audio_buffer.speech_started", "item_id": data["item_id"], "audio_start_ms": start}]

    def _speech_stopped(self, data: Data) -> list[Event]:
        item_id = data["item_id"]
        if item_id in self._hearing:
            self._hearing[item_id]["until"] = data["t"]
        stopped = {
            "type": "input_audio_buffer.speech_stopped", "item_id": item_id, "audio_end_ms": _whole_ms(data["t"])
        }  # fmt: skip
        return [stopped, *self.committed(item_id)]

    def committed(self, item_id: str) -> list[Event]:
        """The sound of somebody's sentence is whole: it is an item now."""
        item = user_item(item_id, [{"type": "input_audio", "transcript": None}])
        before = self.items.add(item)
        return [
            {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": before},
            events.of_item("conversation.item.added", item, before),
            events.of_item("conversation.item.done", item, before),
        ]

    def _heard_partly(self, data: Data) -> list[Event]:
        hearing = self._hearing.get(data["item_id"])
        if hearing is None or not data["transcript"].startswith(hearing["told"]):
            return []
        delta, hearing["told"] = data["transcript"][len(hearing["told"]) :], data["transcript"]
        return [_of_hearing("delta", data["item_id"], delta=delta)] if delta else []

    def _heard(self, data: Data) -> list[Event]:
        item_id, words = data["item_id"], data["transcript"]
        hearing = self._hearing.pop(item_id, {"since": 0.0, "until": 0.0, "told": ""})
        self.items.keep(user_item(item_id, [{"type": "input_audio", "transcript": words}]))
        found = []
        if words.startswith(hearing["told"]) and len(words) > len(hearing["told"]):
            found.append(_of_hearing("delta", item_id, delta=words[len(hearing["told"]) :]))
        seconds = max(0.0, round(hearing["until"] - hearing["since"], 3))
        usage = {"type": "duration", "seconds": seconds}
        return [*found, _of_hearing("completed", item_id, transcript=words, usage=usage)]

    def _error(self, data: Data) -> list[Event]:
        code, message = data["error"]["code"], data["error"]["message"]
        if code == "speech_not_heard" and self._hearing:
            item_id = next(iter(self._hearing))
            del self._hearing[item_id]
            error = {"type": "server_error", "code": code, "message": message, "param": None}
            return [_of_hearing("failed", item_id, error=error)]
        return [events.failure(message, code, kind="server_error")]

    def _ended(self, data: Data) -> list[Event]:
        found: list[Event] = []
        for answer in self.items.open:
            found += self.cancel(answer)
        return found


def truncated(answer: Answer, milliseconds: int) -> Event:
    return {
        "type": "conversation.item.truncated", "item_id": answer.item_id, "content_index": 0,
        "audio_end_ms": milliseconds,
    }  # fmt: skip


def _text_of(answer: Answer) -> str:
    return "output_audio_transcript" if answer.modality == "audio" else "output_text"


def _of_hearing(what: str, item_id: str, **more: Any) -> Event:
    return {"type": HEARING + what, "item_id": item_id, "content_index": 0, **more}


def _whole_ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _milliseconds(heard: str, answer: Answer) -> int:
    """How long these words are: nobody has measured it, so as words mostly are, and no longer than what was sent."""
    wide = sum("\u2e80" <= character <= "\ud7af" for character in heard)
    seconds = wide * WIDE_S + (len(heard) - wide) * NARROW_S
    return _whole_ms(min(seconds, answer.sent_s) if answer.sounded else seconds)
