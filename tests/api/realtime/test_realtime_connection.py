"""A Realtime client over the WebSocket and over a data channel: what it asks for, what it gets wrong, how it leaves."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from fakes.media.wire import Wire
from fakes.patience import until
from fakes.realtime import checked, types
from fakes.server.house import House, house
from fakes.server.realtime_client import Client, connect
from fakes.speech.asr import ToldAsr
from fakes.speech.plain_voice import CHARACTER_S, PlainVoice
from joyvl_server.api.realtime.input_audio import MAX_KEPT_S
from joyvl_server.core.errors import SourceError
from joyvl_server.engines.base import Capabilities
from joyvl_server.ingest.base import MAX_PICTURE_BYTES
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.jpeg import encode
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.speech.hearing import SpeechHearing

JPEG = encode(np.full((90, 160, 3), 200, np.uint8)).jpeg
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"


def data_url(data: bytes, kind: str = "jpeg") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def sound(seconds: float) -> str:
    return base64.b64encode(bytes(2 * round(seconds * 24_000))).decode()


def message(*content: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": list(content), **more}
    return {"type": "conversation.item.create", "item": item}


def words(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


@pytest.fixture
async def h(tmp_path) -> AsyncIterator[House]:
    async with house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(h: House) -> AsyncIterator[Client]:
    client = await connect(h)
    await client.get("conversation.created")
    yield client
    await client.leave()


# -------------------------------------------------------------------------------------------------- session and items


async def test_a_connection_is_a_session_as_long_as_it_lasts(h: House):
    client = await connect(h)
    created = await client.get("session.created")
    assert created["session"]["model"] == "quiet"
    assert (created["session"]["id"], created["session"]["object"]) == (client.session.id, "realtime.session")
    assert created["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert len(h.registry.sessions()) == 1
    assert h.registry.calls() == []
    await client.leave()


@pytest.mark.parametrize("query", ["?model=nothing", "?model=" + "x" * 101])
async def test_a_model_that_is_not_there_refuses_the_connection(h: House, query: str):
    wire = Wire(h.app, "/v1/realtime" + query, kind="websocket")
    first = await wire.open()
    assert first["status"] == 422
    assert h.registry.sessions() == []
    assert h.api.streams == 0


async def test_update_of_the_session(client: Client):
    client.ask("session.update", session={"type": "realtime", "instructions": "Watch the door."})
    updated = await client.get("session.updated")
    assert updated["session"]["instructions"] == "Watch the door."
    assert updated["session"]["id"] == client.session.id
    assert [watch.text for watch in client.session.watches.all()] == ["Watch the door."]
    audio = {"output": {"voice": "piper:joe"}, "input": {"transcription": {"language": "de"}}}
    client.ask("session.update", session={"audio": audio, "instructions": "Watch the cat."})
    updated = await client.get("session.updated", 2)
    assert updated["session"]["audio"]["output"]["voice"] == "piper:joe"
    assert (client.session.spec.voice, client.session.spec.speech_language) == ("piper:joe", "de")
    assert [watch.text for watch in client.session.watches.all()] == ["Watch the cat."]
    client.ask("session.update", session={"output_modalities": ["text"], "instructions": "", "threshold": 0.7})
    updated = await client.get("session.updated", 3)
    assert updated["session"]["audio"]["input"]["transcription"] == {"language": "de"}
    assert (client.session.spec.voice, client.session.settings.threshold) == ("off", 0.7)
    assert client.session.watches.all() == []


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"model": "broken"}, "session.model"),
        ({"tools": [{"type": "function"}]}, "session.tools"),
        ({"watches": []}, "session.watches"),
        ({"engine": "quiet"}, "session.engine"),
        ({"audio": {"input": {"format": {"type": "audio/pcma"}}}}, "session.audio.input.format"),
        ({"type": "transcription"}, "session.type"),
        ({"colour": 1}, "session.colour"),
        ({"threshold": 2}, "session.threshold"),
    ],
)
async def test_what_an_update_may_not_change(client: Client, session: dict, param: str):
    before = client.session.spec
    client.ask("session.update", session=session, event_id="mine")
    error = await client.error()
    assert (error["param"], error["event_id"]) == (param, "mine")
    assert client.session.spec == before


BAD: list[dict[str, Any] | str] = [
    "no json", "[]", "[" * 100_000, "{}", '{"type": 7}', '{"type": "session.dance"}', '{"type": "session.update"}',
    '{"type": "session.update", "session": []}', '{"type": "conversation.item.create"}',
    '{"type": "conversation.item.create", "item": {"type": "function_call_output"}}',
    '{"type": "conversation.item.create", "item": {"type": "message", "role": "assistant", "content": []}}',
    message(), message({"type": "input_text"}), message({"type": "input_text", "text": "x" * 2001}),
    message({"type": "input_text", "text": "x"}, colour="red"), message({"type": "input_video"}),
    message({"type": "input_image", "image_url": "https://example.com/a.jpg"}),
    message({"type": "input_image", "image_url": "data:image/jpeg;base64,!!!"}),
    message({"type": "input_image", "image_url": "data:image/gif;base64,AAAA"}),
    message({"type": "input_image", "image_url": data_url(bytes(MAX_PICTURE_BYTES + 1))}),
    message({"type": "input_audio", "audio": "A"}), message({"type": "input_audio", "audio": ""}),
    message(*[words("x")] * 17), message(words("x"), id="x" * 65),
    {"type": "conversation.item.truncate", "item_id": "no", "content_index": 0, "audio_end_ms": 10},
    {"type": "conversation.item.truncate", "item_id": "no", "content_index": 1, "audio_end_ms": 10},
    {"type": "conversation.item.truncate", "item_id": "no", "content_index": 0, "audio_end_ms": -1},
    {"type": "conversation.item.truncate", "item_id": "no", "content_index": 0, "audio_end_ms": 10**12},
    {"type": "conversation.item.delete", "item_id": "no"}, {"type": "conversation.item.retrieve", "item_id": "no"},
    {"type": "conversation.item.retrieve"}, {"type": "response.create", "response": {"conversation": "none"}},
    {"type": "response.create", "response": {"tools": [{}]}}, {"type": "response.create", "response": 1},
    {"type": "response.create", "response": {"input": [{}]}}, {"type": "response.cancel"},
    {"type": "response.cancel", "response_id": 3}, {"type": "input_audio_buffer.append"},
    {"type": "input_audio_buffer.append", "audio": "AAA"}, {"type": "input_audio_buffer.append", "audio": "AA=="},
    {"type": "input_audio_buffer.append", "audio": 7}, {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.commit", "more": 1}, {"type": "input_audio_buffer.clear", "more": 1},
    {"type": "output_audio_buffer.clear"},
]  # fmt: skip


async def test_each_event_that_is_wrong_gets_one_error_and_the_connection_goes_on(client: Client):
    for count, event in enumerate(BAD, 1):
        client.say(event)
        error = await client.error(count)
        assert error["message"], event
        assert len(error["message"]) < 400
    client.wire.say({"type": "websocket.receive", "bytes": b"\x00\x01"})
    assert "binary" in (await client.error(len(BAD) + 1))["message"]
    assert client.source.client.pictures == client.source.client.sounds == []
    client.ask("session.update", session={})
    await client.get("session.updated")
    assert len(client.of("error")) == len(BAD) + 1


async def test_pictures_are_what_the_session_sees(client: Client):
    client.say(message({"type": "input_image", "image_url": data_url(JPEG)}, words("What is this?"), id="mine"))
    added = await client.get("conversation.item.added")
    assert added["item"]["content"] == [{"type": "input_image"}, {"type": "input_text", "text": "What is this?"}]
    assert client.source.client.pictures == [JPEG]
    client.source.client.error = SourceError("The picture cannot be used.", code="bad_picture")
    client.say(message({"type": "input_image", "image_url": data_url(b"x", "png")}))
    assert (await client.error())["code"] == "bad_picture"
    client.say(message(words("again"), id="mine"))
    assert (await client.error(2))["code"] == "item_exists"


async def test_items_are_retrieved_and_taken_back_until_they_are_asked(client: Client):
    client.say(message(words("First."), id="a"))
    client.say(message(words("Second."), id="b"))
    assert (await client.get("conversation.item.added", 2))["previous_item_id"] == "a"
    client.ask("conversation.item.retrieve", item_id="a")
    assert (await client.get("conversation.item.retrieved"))["item"]["content"] == [words("First.")]
    client.ask("conversation.item.delete", item_id="a")
    await client.get("conversation.item.deleted")
    client.ask("response.create", response={"instructions": "Be short."})
    await until(lambda: client.session.queries.all())
    assert client.session.queries.all()[0].text == "Second.\nBe short."
    client.ask("conversation.item.delete", item_id="b")
    assert (await client.error())["code"] == "item_not_deletable"


async def test_texts_that_wait_are_bounded(client: Client):
    for _ in range(17):
        client.say(message(words("More.")))
    assert (await client.error())["code"] == "too_many_items"


# ------------------------------------------------------------------------------------------------------------- answers


async def test_a_question_is_answered(client: Client):
    client.h.engines.quiet.value = 1.0
    client.say(message(words("Who is there?")))
    client.ask("response.create")
    await client.seconds(lambda: client.of("response.done"))
    done = client.of("response.done")[0]  # the engine speaks every second: others may follow
    assert done["response"]["status"] == "completed"
    assert done["response"]["output"][0]["content"][0]["transcript"]


async def test_a_decision_without_words_may_be_silence(client: Client):
    client.ask("response.create")
    await client.seconds(lambda: client.of("response.done"))
    assert client.of("response.done")[0]["response"]["output"] == []
    assert len(client.of("response.created")) == 1


async def test_responses_that_wait_are_bounded_and_cancelled(client: Client):
    for _ in range(17):
        client.ask("response.create")
    assert (await client.error())["code"] == "too_many_responses"


async def test_a_question_is_withdrawn_by_cancel(h: House):
    h.engines.quiet.capabilities = Capabilities(follows_instructions=True, scores=True)
    client = await connect(h)
    client.say(message(words("Who is there?")))
    client.ask("response.create")
    await until(lambda: client.session.queries.all())
    client.ask("response.cancel")
    await until(lambda: client.session.queries.all()[0].status == "withdrawn")
    client.ask("response.cancel")
    assert (await client.error())["code"] == "response_cancel_not_active"
    await client.leave()


# --------------------------------------------------------------------------------------------------------------- sound


async def test_sound_goes_into_the_source(client: Client):
    client.ask("input_audio_buffer.append", audio=sound(0.5))
    await until(lambda: client.source.client.sounds)
    assert client.source.client.sounds[0].seconds == 0.5
    client.ask("input_audio_buffer.commit")
    assert (await client.error())["code"] == "speech_not_understood"


async def test_sound_that_waits_for_a_commit_is_bounded(client: Client):
    client.ask("session.update", session={"audio": {"input": {"turn_detection": None}}})
    assert (await client.get("session.updated"))["session"]["audio"]["input"]["turn_detection"] is None
    for _ in range(round(MAX_KEPT_S / 10) + 1):
        client.ask("input_audio_buffer.append", audio=sound(10.0))
    assert (await client.error())["code"] == "input_audio_buffer_full"
    client.ask("input_audio_buffer.clear")
    await client.get("input_audio_buffer.cleared")
    assert client.source.client.sounds == []


async def test_what_is_committed_is_understood_and_answered(tmp_path):
    asr = ToldAsr("Who is there?")
    async with house(tmp_path, speech=SpeechServices(hearing=SpeechHearing(asr, SystemClock()))) as h:
        client = await connect(h)
        client.ask("session.update", session={"audio": {"input": {"turn_detection": None}}})
        client.ask("input_audio_buffer.commit")
        assert (await client.error())["code"] == "input_audio_buffer_commit_empty"
        client.ask("input_audio_buffer.append", audio=sound(0.6))
        client.ask("input_audio_buffer.append", audio=sound(0.4))
        client.ask("input_audio_buffer.commit")
        committed = await client.get("input_audio_buffer.committed")
        client.ask("response.create")  # as clients do: the sentence is answered anyway
        completed = await client.get("conversation.item.input_audio_transcription.completed")
        assert (completed["item_id"], completed["transcript"]) == (committed["item_id"], "Who is there?")
        assert [query.text for query in client.session.queries.all()] == ["Who is there?"]
        assert asr.calls[-1].audio.seconds == pytest.approx(1.0, abs=0.02)
        await client.seconds(lambda: client.of("response.done"))
        client.say(message({"type": "input_audio", "audio": sound(1.0)}))
        await client.get("conversation.item.input_audio_transcription.completed", 2)
        await client.leave()


async def speaking(tmp_path) -> AsyncIterator[Client]:
    voice = PlainVoice(rate=16_000)
    async with house(tmp_path, speech=SpeechServices(voice=voice)) as h:
        h.engines.quiet.value = 1.0
        h.engines.quiet.words = " Someone is at the door, and somebody else is at the window of the house next to it."
        client = await connect(h)
        await client.get("conversation.created")
        yield client
        await client.leave()


@pytest.fixture
async def speaker(tmp_path) -> AsyncIterator[Client]:
    async for client in speaking(tmp_path):
        yield client


def sounded(client: Client) -> float:
    return sum(len(base64.b64decode(event["delta"])) for event in client.of("response.output_audio.delta")) / 48_000


async def test_what_it_says_is_heard_at_24_khz(speaker: Client):
    await speaker.seconds(lambda: speaker.of("response.done"))
    (done,) = speaker.of("response.done")
    assert done["response"]["status"] == "completed"
    transcript = done["response"]["output"][0]["content"][0]["transcript"]
    assert sounded(speaker) == pytest.approx(len(transcript) * CHARACTER_S, abs=0.1)
    order = types(speaker.seen)
    assert order.index("response.output_audio.done") > max(
        index for index, type in enumerate(order) if type == "response.output_audio.delta"
    )


async def test_cancel_in_the_middle(speaker: Client):
    await speaker.seconds(lambda: speaker.of("response.output_audio.delta"))
    speaker.ask("response.cancel")
    done = await speaker.get("response.done")
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    count = len(speaker.of("response.output_audio.delta"))
    speaker.h.engines.quiet.value = 0.0
    for _ in range(10):
        await speaker.h.clock.advance(0.1)
    assert len(speaker.of("response.output_audio.delta")) == count


async def test_truncate_in_the_middle(speaker: Client):
    await speaker.seconds(lambda: sounded(speaker) > 0.7)
    item_id = speaker.of("response.output_audio.delta")[0]["item_id"]
    speaker.ask("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=60_000)
    assert (await speaker.error())["code"] == "audio_end_too_late"
    speaker.ask("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
    truncated = await speaker.get("conversation.item.truncated")
    assert truncated["audio_end_ms"] == 500
    assert (await speaker.get("response.done"))["response"]["status"] == "cancelled"
    assert not speaker.session.speech.speaker._playing


async def test_text_only_says_nothing_aloud(tmp_path):
    async with house(tmp_path, speech=SpeechServices(voice=PlainVoice())) as h:
        h.engines.quiet.value = 1.0
        client = await connect(h)
        client.ask("session.update", session={"output_modalities": ["text"]})
        await client.get("session.updated")
        client.say(message(words("Who is there?")))
        client.ask("response.create")
        await client.seconds(lambda: client.of("response.done"))
        assert client.of("response.output_text.done")[0]["text"]
        assert client.of("response.output_audio.delta") == []
        await client.leave()


# ------------------------------------------------------------------------------------------------------------ the end


@pytest.mark.parametrize("stage", range(4))
async def test_leaving_at_any_moment_leaves_nothing_behind(tmp_path, stage: int):
    tasks = asyncio.all_tasks()
    async with house(tmp_path, speech=SpeechServices(voice=PlainVoice())) as h:
        h.engines.quiet.value = 1.0
        client = await connect(h)
        if stage > 0:
            client.say(message(words("Who is there?")))
            client.ask("response.create")
        if stage > 1:
            await client.seconds(lambda: client.of("response.created"))
        if stage > 2:
            await client.seconds(lambda: client.of("response.output_audio.delta"))
        await client.leave()
    await until(lambda: asyncio.all_tasks() <= tasks | {asyncio.current_task()})


async def test_the_end_of_its_session_ends_the_connection(h: House):
    client = await connect(h)
    await client.get("session.created")
    client.source.end("worker_died", "The media worker died.")
    await client.seconds(lambda: client.closed)
    assert client.closed["code"] == 1000
    await client.wire.done()


async def test_the_end_of_the_server_ends_the_connection(h: House):
    client = await connect(h)
    await client.get("session.created")
    h.api.stopping.set()
    await until(lambda: client.closed is not None)
    assert client.closed["code"] == 1012
    await client.wire.done()


# ------------------------------------------------------------------------------------------------------- data channel


async def test_a_call_has_its_events_on_its_data_channel(h: House):
    session = {"type": "realtime", "instructions": "Watch the door."}
    answer = await h.client.post("/v1/realtime/calls", json={"sdp": SDP, "session": session})
    assert answer.status_code == 201
    channel = next(iter(h.media.sources.values())).client
    assert len(h.api.data_channels) == 0

    def seen() -> list[dict[str, Any]]:
        return [checked(json.loads(text)) for text in channel.sent]

    channel.says("too early")
    channel.says(None)
    await until(lambda: types(seen()) == ["session.created", "conversation.created"])
    assert seen()[0]["session"]["instructions"] == "Watch the door."
    channel.says(json.dumps({"type": "input_audio_buffer.append", "audio": sound(0.1)}))
    await until(lambda: seen()[-1]["type"] == "error")
    channel.says(json.dumps({"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}}))
    await until(lambda: seen()[-1]["type"] == "session.updated")
    assert h.registry.sessions()[0].settings.listen == "push_to_talk"
    assert len(h.api.data_channels) == 1
    channel.says(None)  # it was opened once more
    await until(lambda: types(seen()).count("session.created") == 2)
    await h.client.post(answer.headers["location"] + "/hangup")
    await until(lambda: len(h.api.data_channels) == 0)
