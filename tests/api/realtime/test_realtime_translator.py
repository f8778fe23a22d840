"""Updates of a session as OpenAI's events: the right ones, in order, each as the `openai` package types it."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.realtime import checked, types
from joyvl_server.api.realtime.conversation_items import MAX_ITEMS, ConversationItems
from joyvl_server.api.realtime.translator import Translator


class Client:
    """Feeds a translator with the updates of a session."""

    def __init__(self, *, streams: bool, modality: str = "audio", audible: bool = True) -> None:
        self.items = ConversationItems()
        self.translator = Translator(self.items, streams_sound=streams)
        self.translator.modality, self.translator.audible = modality, audible
        self.events: list[dict[str, Any]] = []

    def take(self, type: str, **data: Any) -> list[dict[str, Any]]:
        return self.keep(self.translator.take(type, data))

    def keep(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.events += [checked(event) for event in events]
        return events

    def says(self, epoch: int, *words: str, interrupted: bool = False) -> None:
        self.take("response.created", epoch=epoch)
        for word in words:
            self.take("response.output_text.delta", epoch=epoch, delta=word)
        text = "".join(words)
        self.take(
            "response.output_text.done", epoch=epoch, t=1.0, wall=1.0, text=text, urgency="remark",
            interrupted=interrupted,
        )  # fmt: skip

    @property
    def done(self) -> list[dict[str, Any]]:
        return [event["response"] for event in self.events if event["type"] == "response.done"]


BEGIN = [
    "response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added",
]  # fmt: skip
END = ["response.content_part.done", "conversation.item.done", "response.output_item.done", "response.done"]


def test_an_utterance_as_text():
    client = Client(streams=True, modality="text")
    client.says(7, " Someone", " came.")
    delta = "response.output_text.delta"
    assert types(client.events) == [*BEGIN, delta, delta, "response.output_text.done", *END]
    (response,) = client.done
    assert (response["id"], response["status"]) == ("resp_7", "completed")
    assert response["output"][0]["content"] == [{"type": "output_text", "text": "Someone came."}]
    assert client.items.items["item_7"]["status"] == "completed"


def test_over_a_websocket_a_response_ends_with_its_sound():
    client = Client(streams=True)
    client.says(7, "Someone came.")
    assert client.done == []
    assert client.take("output_audio_buffer.started", epoch=7, by_client=False) == []
    client.keep(client.translator.sound(7, "AAAA", 0.5))
    client.take("output_audio_buffer.stopped", epoch=7, heard=13)
    assert types(client.events)[len(BEGIN) + 2 :] == [
        "response.output_audio.delta",
        "response.output_audio.done",
        *END,
    ]
    assert client.done[0]["output"][0]["content"] == [{"type": "output_audio", "transcript": "Someone came."}]
    assert client.translator.sound(7, "AAAA", 0.5) == []


def test_where_nobody_hears_it_a_response_ends_with_its_text():
    client = Client(streams=True, audible=False)
    client.says(7, "Someone came.")
    assert len(client.done) == 1


def test_a_call_is_told_of_its_track():
    client = Client(streams=False)
    client.says(7, "Someone came.")
    assert len(client.done) == 1
    client.take("output_audio_buffer.started", epoch=7, by_client=False)
    client.take("output_audio_buffer.stopped", epoch=7, heard=13)
    assert types(client.events)[-2:] == ["output_audio_buffer.started", "output_audio_buffer.stopped"]


@pytest.mark.parametrize("streams", [True, False])
def test_what_somebody_speaks_over_is_cancelled(streams: bool):
    client = Client(streams=streams)
    client.take("response.created", epoch=7)
    client.take("response.output_text.delta", epoch=7, delta="Someone came to the ")
    client.take("output_audio_buffer.started", epoch=7, by_client=False)
    client.take("output_audio_buffer.cleared", epoch=7)
    client.take("output_audio_buffer.stopped", epoch=7, heard=7)
    client.take(
        "response.output_text.done", epoch=7, t=1.0, wall=1.0, text="Someone came to the ", urgency="answer",
        interrupted=True,
    )  # fmt: skip
    client.take("conversation.item.truncated", epoch=7, t=1.0, heard="Someone")
    (response,) = client.done
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert client.events[-1] == {
        "type": "conversation.item.truncated", "item_id": "item_7", "content_index": 0, "audio_end_ms": 455,
    }  # fmt: skip
    assert types(client.events).count("output_audio_buffer.cleared") == (0 if streams else 1)
    assert "output_audio_buffer.stopped" not in types(client.events)


def test_what_is_dropped_before_it_is_played_is_told():
    client = Client(streams=True)
    client.says(7, "Someone came.")
    client.take("conversation.item.truncated", epoch=7, t=1.0, heard="")
    assert client.done[0]["status"] == "cancelled"
    assert client.events[-1]["audio_end_ms"] == 0


def test_a_cancelled_response_says_nothing_more():
    client = Client(streams=True)
    client.take("response.created", epoch=7)
    client.take("response.output_text.delta", epoch=7, delta="Some")
    client.keep(client.translator.cancel(client.items.open[0]))
    assert client.done[0]["status_details"]["reason"] == "client_cancelled"
    assert client.take("response.output_text.delta", epoch=7, delta="one") == []
    assert client.translator.sound(7, "AAAA", 0.5) == []
    assert client.items.open == []


def test_two_utterances_may_overlap():
    client = Client(streams=True)
    client.says(7, "First.")
    client.says(8, "Second.")
    client.keep(client.translator.sound(7, "AAAA", 0.5))
    client.take("output_audio_buffer.stopped", epoch=7, heard=6)
    client.keep(client.translator.sound(8, "AAAA", 0.5))
    client.take("output_audio_buffer.stopped", epoch=8, heard=7)
    assert [response["id"] for response in client.done] == ["resp_7", "resp_8"]


def test_a_spoken_sentence():
    client = Client(streams=True)
    client.take("input_audio_buffer.speech_started", item_id="1.1", t=2.5)
    hearing = "conversation.item.input_audio_transcription."
    client.take(hearing + "delta", item_id="1.1", transcript="Who")
    client.take(hearing + "delta", item_id="1.1", transcript="Who is")
    client.take("input_audio_buffer.speech_stopped", item_id="1.1", t=3.75)
    client.take(hearing + "completed", item_id="1.1", transcript="Who is there?", addressed=True)
    assert types(client.events) == [
        "input_audio_buffer.speech_started",
        hearing + "delta",
        hearing + "delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        hearing + "delta",
        hearing + "completed",
    ]
    assert client.events[0]["audio_start_ms"] == 2500
    deltas = [event["delta"] for event in client.events if event["type"] == hearing + "delta"]
    assert "".join(deltas) == "Who is there?"
    assert client.events[-1]["usage"] == {"type": "duration", "seconds": 1.25}
    assert client.items.items["1.1"]["content"][0]["transcript"] == "Who is there?"


def test_a_sentence_that_could_not_be_understood_and_other_errors():
    client = Client(streams=True)
    client.take("input_audio_buffer.speech_started", item_id="1.1", t=2.5)
    client.take("input_audio_buffer.speech_stopped", item_id="1.1", t=3.0)
    client.take("error", error={"code": "speech_not_heard", "message": "It took too long."})
    assert client.events[-1]["type"] == "conversation.item.input_audio_transcription.failed"
    client.take("error", error={"code": "speech_not_heard", "message": "It took too long."})
    assert client.events[-1]["error"]["type"] == "server_error"


def test_the_end_of_the_session_ends_what_is_being_said():
    client = Client(streams=True)
    client.take("response.created", epoch=7)
    client.take("session.ended", reason="over", code="ended")
    assert client.done[0]["status"] == "cancelled"


def test_only_some_items_are_kept_and_other_updates_mean_nothing():
    client = Client(streams=True, modality="text")
    for epoch in range(MAX_ITEMS + 50):
        client.says(epoch, "Word.")
    assert len(client.items.items) == len(client.items.answers) == MAX_ITEMS
    for kind in ("session.updated", "watch.created", "response.listen", "output_audio_buffer.held"):
        assert client.take(kind, epoch=1) == []
    for kind in ("output_audio_buffer.started", "output_audio_buffer.stopped", "conversation.item.truncated"):
        assert client.take(kind, epoch=999, heard="", t=0.0) == []
