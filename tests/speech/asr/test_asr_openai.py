"""Engine `openai` against servers that answer well, badly, late and never, over real connections."""

from __future__ import annotations

import asyncio
import email
import io
import json
import wave
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fakes.clock import ManualClock
from fakes.patience import PATIENCE_S
from fakes.speech.asr import voice
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.speech.asr.openai import OpenAIAsr
from joyvl_server.speech.base import Heard, SpeechContext, SpeechError


def engine(**options):
    options = {"timeout_s": PATIENCE_S, **options}
    return OpenAIAsr(SpeechContext(options, Path("models"), ManualClock(), NetPolicy()))


@asynccontextmanager
async def server(*answers, stays=False):
    """Gives one answer after the other, the last one again and again; yields its address and the requests."""
    seen = []

    async def handle(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:")
            seen.append((head, await reader.readexactly(length)))
            writer.write(answers[min(len(seen), len(answers)) - 1])
            await writer.drain()
            if stays:
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", seen


def http(body, status=200, kind="application/json", length=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length or len(data)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + data


def form(request):
    head, body = request
    kind = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type:"))
    message = email.message_from_bytes(kind + b"\r\n\r\n" + body)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in message.get_payload()
    }


async def test_it_sends_a_wav_file_and_takes_text_and_language():
    async with server(http({"text": " Who is there?", "language": "english"})) as (url, seen):
        asr = engine(base_url=url, model="base", api_key="geheim")
        assert await asr.hear(voice(1.0), language=None) == Heard("Who is there?", "en")
        fields = form(seen[0])
        assert (fields["model"], fields["response_format"]) == (b"base", b"verbose_json")
        assert "language" not in fields
        assert b"POST /v1/audio/transcriptions" in seen[0][0]
        assert b"Bearer geheim" in seen[0][0]
        with wave.open(io.BytesIO(fields["file"])) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (16000, 1, 16000)
        await asr.hear(voice(1.0), language="zh-CN")
        assert form(seen[1])["language"] == b"zh"
        assert asr.state.status == "ready"
        await asr.aclose()


async def test_a_server_that_writes_plain_json_alone_is_asked_for_that():
    refusal = http({"error": {"message": "response_format 'verbose_json' is not compatible"}}, 400)
    async with server(refusal, http({"text": "Yes."})) as (url, seen):
        asr = engine(base_url=url)
        for _ in range(2):
            assert await asr.hear(voice(1.0), language="en") == Heard("Yes.", "en")
        formats = [form(request)["response_format"] for request in seen]
        assert formats == [b"verbose_json", b"json", b"json"]
        await asr.aclose()


async def test_a_stream_of_events_is_read_to_its_end_and_no_further():
    events = [{"type": "transcript.text.delta", "delta": "Who"}, {"type": "transcript.text.done", "text": "Who is it?"}]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    async with server(http(body, kind="text/event-stream; charset=utf-8", length=10_000), stays=True) as (url, _):
        asr = engine(base_url=url)
        assert (await asr.hear(voice(1.0), language="en")).text == "Who is it?"
        await asr.aclose()


async def test_what_the_server_is_not_sure_of_is_filtered():
    doubtful = {"text": "Thanks for watching!", "segments": [{"avg_logprob": -0.4, "no_speech_prob": 0.5}]}
    async with server(http(doubtful), http({"text": "Where is it? " * 9})) as (url, _):
        asr = engine(base_url=url)
        assert (await asr.hear(voice(3.0), language="en")).text == ""
        assert (await asr.hear(voice(2.0), language="en")).text == ""
        await asr.aclose()


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (http({"error": {"message": "bad key geheim"}}, 401), "unavailable", "another API key"),
        (http({"error": {"message": "no model geheim"}}, 404), "failed", r"no such model \(404\): no model \*\*\*"),
        (http({}, 413), "too_long", "length"),
        (http({"detail": "slow down"}, 429), "busy", "slow down"),
        (http(b"<html>oops</html>", 500, "text/html"), "unavailable", r"right now \(500\)\.$"),
        (http({"detail": "wrong"}, 400), "failed", r"refused it \(400\): wrong"),
        (http(b"", 302), "failed", "302"),
        (http(b"<html>hello</html>", kind="text/html"), "failed", "no transcription"),
        (http(b"\xff\xfe\x00garbage"), "failed", "no transcription"),
        (http({"text": 5}), "failed", "no transcription"),
        (http([1]), "failed", "no transcription"),
        (http(b"[" * 100_000), "failed", "no transcription"),
        (http(b'{"text": "cut', length=500), "unavailable", "broke off"),
        (http(b"x" * 1_200_000), "failed", "without an end"),
        (http(b"data: {}\n\n", kind="text/event-stream"), "failed", "no transcription"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "unavailable", "broke off"),
    ],
)
async def test_what_is_no_answer_is_a_sentence_with_a_code(answer, code, words):
    async with server(answer) as (url, _):
        asr = engine(base_url=url, api_key="geheim")
        with pytest.raises(SpeechError, match=words) as raised:
            await asr.hear(voice(1.0), language="en")
        assert raised.value.code == code
        assert "geheim" not in str(raised.value)
        assert asr.state.status == "failed"
        await asr.aclose()


async def test_a_server_that_hangs_or_drips_is_given_up():
    async def drip(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    listening = await asyncio.start_server(drip, "127.0.0.1", 0)
    asr = engine(base_url=f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", timeout_s=0.3)
    with pytest.raises(SpeechError, match=r"more than 0\.3 s") as raised:
        await asr.hear(voice(1.0), language="en")
    assert raised.value.code == "timeout"
    listening.close()
    await asr.aclose()


async def test_where_nothing_listens_it_says_so_and_the_next_sentence_works():
    async with server(http({"text": "Yes."})) as (url, _):
        pass
    asr = engine(base_url=url)
    with pytest.raises(SpeechError, match="cannot be reached"):
        await asr.hear(voice(1.0), language="en")
    await asr.aclose()


@pytest.mark.parametrize("options", [{"base_url": "ftp://x"}, {"base_url": "http://a:b@c"}, {"nonsense": 1}])
def test_wrong_options_are_told_without_their_values(options):
    with pytest.raises(ConfigError, match=r"speech\.asr_options\.openai") as raised:
        engine(**options)
    assert "a:b" not in str(raised.value)


def test_a_key_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ConfigError, match="api_key_file"):
        engine(api_key_file=tmp_path / "none")
