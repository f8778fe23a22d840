"""A voice server over HTTP, and all that such a server may send instead of a voice."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import aclosing, asynccontextmanager

import numpy as np
import pytest

from fakes.patience import until
from fakes.speech.context import speech_context
from joyvl_server.core.errors import ConfigError
from joyvl_server.speech.base import SpeechError
from joyvl_server.speech.tts.openai import OpenAITts

TONE = (np.sin(np.arange(24_000) / 10) * 9000).astype("<i2").tobytes()


class VoiceServer:
    """Answers with `head` and `pieces`, waits after them where `hangs`; `asked` is what it was sent."""

    def __init__(self):
        self.status, self.kind = 200, "audio/pcm"
        self.pieces = [TONE]
        self.hangs = False
        self.endless = False
        self.asked = []
        self.open = 0

    async def handle(self, reader, writer):
        self.open += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(x.split(":")[1]) for x in head.split("\r\n") if x.lower().startswith("content-length")), 0
            )
            body = await reader.readexactly(length)
            self.asked.append((head.split(" ")[1], json.loads(body) if body else None, head))
            writer.write(f"HTTP/1.1 {self.status} x\r\nContent-Type: {self.kind}\r\nConnection: close\r\n\r\n".encode())
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while self.endless:
                writer.write(TONE)
                await writer.drain()
            if self.hangs:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.open -= 1


@asynccontextmanager
async def voice(**options):
    there = VoiceServer()
    server = await asyncio.start_server(there.handle, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        tts = OpenAITts(speech_context(base_url=url, **options))
        try:
            yield there, tts
        finally:
            await tts.aclose()


async def speak(tts, text="There is a cat.", voice=None, language="en"):
    return [pcm async for pcm in tts.speak(text, voice=voice, language=language)]


def seconds(pieces):
    return sum(pcm.seconds for pcm in pieces)


def wav(rate=22_050, channels=1, bits=16, kind=1, extra=b""):
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * 2, channels * 2, bits)
    return b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", len(head)) + head + extra + b"data\xff\xff\xff\xff"


async def test_what_is_asked_and_what_comes():
    async with voice(model="m", voices={"zh": "zf"}, api_key="s3cret", extra_body={"speed": 1.2}) as (server, tts):
        pieces = await speak(tts)
        assert seconds(pieces) == 1.0
        assert {pcm.rate for pcm in pieces} == {24_000}
        await speak(tts, "有人。", language="zh-CN")
        await speak(tts, voice="mine")
    path, body, head = server.asked[0]
    assert path == "/v1/audio/speech"
    assert body == {
        "model": "m", "input": "There is a cat.", "voice": "af_heart", "response_format": "pcm", "speed": 1.2,
    }  # fmt: skip
    assert "authorization: bearer s3cret" in head.lower()
    assert [asked[1]["voice"] for asked in server.asked[1:]] == ["zf", "mine"]


@pytest.mark.parametrize("size", [1, 3, 7, 4096])
async def test_half_samples_wait_for_their_other_half(size):
    data = TONE[:4001] if size == 1 else TONE
    async with voice() as (server, tts):
        server.pieces = [data[i : i + size] for i in range(0, len(data), size)][:5000]
        pieces = await speak(tts)
    sound = b"".join(pcm.samples.astype("<i2").tobytes() for pcm in pieces)
    sent = b"".join(server.pieces)
    assert sound == sent[: len(sent) // 2 * 2]


@pytest.mark.parametrize(
    ("header", "rate"),
    [(wav(), 22_050), (wav(48_000), 48_000), (wav(extra=b"LIST\x04\0\0\0abcd"), 22_050), (wav(16_000, 2), 16_000)],
)
@pytest.mark.parametrize("asked", ["pcm", "wav"])
async def test_a_wav_header_says_its_own_rate(header, rate, asked):
    async with voice(response_format=asked) as (server, tts):
        server.kind = "audio/wav"
        server.pieces = [header[:9], header[9:], TONE]
        pieces = await speak(tts)
    assert {pcm.rate for pcm in pieces} == {rate}
    channels = 2 if rate == 16_000 else 1
    assert sum(len(pcm.samples) for pcm in pieces) == 24_000 // channels


async def test_a_rate_in_the_content_type_counts():
    async with voice() as (server, tts):
        server.kind = "audio/pcm;rate=16000;channels=1"
        assert {pcm.rate for pcm in await speak(tts)} == {16_000}


@pytest.mark.parametrize(
    ("status", "kind", "body", "code", "words"),
    [
        (500, "application/json", b'{"error": {"message": "out of memory"}}', "unavailable", "500.*out of memory"),
        (404, "application/json", b'{"detail": "no model m"}', "unavailable", "404.*no model m"),
        (400, "text/plain", b"unknown voice", "failed", "unknown voice"),
        (429, "text/html", b"<html>slow down</html>", "busy", "429"),
        (200, "application/json", b'{"error": "busy s3cret"}', "failed", r"sends application/json.*busy \*\*\*"),
        (200, "text/html", b"<html>", "failed", "sends text/html"),
        (200, "audio/mpeg", b"ID3" + bytes(99), "failed", "MP3"),
        (200, "audio/mpeg", b"\xff\xfb\x90" + bytes(99), "failed", "MP3"),
        (200, "audio/ogg", b"OggS" + bytes(99), "failed", "Ogg"),
        (200, "audio/wav", wav(bits=24) + bytes(99), "failed", "16-bit"),
        (200, "audio/wav", wav(kind=3, bits=32) + bytes(99), "failed", "16-bit"),
        (200, "audio/wav", b"RIFF\0\0\0\0WAVEdata" + bytes(99), "failed", "does not say"),
        (200, "audio/wav", b"RIFF\0\0\0\0WAVEJUNK\xff\xff\xff\x7f" + bytes(99), "failed", "no sound"),
        (200, "audio/pcm", b"", "failed", "no sound"),
        (200, "audio/pcm", b"\0" * 7, "failed", "no sound"),
    ],
)
async def test_what_is_no_voice_is_told_in_words(status, kind, body, code, words):
    async with voice(api_key="s3cret") as (server, tts):
        server.status, server.kind, server.pieces = status, kind, [body]
        with pytest.raises(SpeechError, match=words) as told:
            await speak(tts)
        assert told.value.code == code
        assert tts.state.status == "failed"
        server.status, server.kind, server.pieces = 200, "audio/pcm", [TONE]
        assert seconds(await speak(tts)) == 1.0
        assert tts.state.status == "ready"


@pytest.mark.parametrize("pieces", [[], [TONE[:1000]]])
async def test_a_server_that_hangs_is_given_up(pieces):
    async with voice(timeout_s=0.3) as (server, tts):
        server.pieces, server.hangs = pieces, True
        with pytest.raises(SpeechError) as told:
            await speak(tts)
        assert told.value.code == "timeout"
        await until(lambda: server.open == 0)


async def test_endless_sound_is_cut_off():
    async with voice() as (server, tts):
        server.endless = True
        with pytest.raises(SpeechError, match="does not stop") as told:
            await speak(tts)
        assert told.value.code == "too_long"
        await until(lambda: server.open == 0)


async def test_closed_early_the_connection_ends():
    async with voice() as (server, tts):
        server.endless = True
        async with aclosing(tts.speak("Hi.", voice=None, language="en")) as pieces:
            await anext(pieces)
        await until(lambda: server.open == 0)
        server.endless = False
        assert seconds(await speak(tts)) == 1.0


async def test_no_server_at_all():
    tts = OpenAITts(speech_context(base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(SpeechError, match="cannot be reached") as told:
        await speak(tts)
    assert told.value.code == "unavailable"
    with pytest.raises(SpeechError, match="does not answer"):
        await tts.voices()
    await tts.aclose()


async def test_a_server_that_lists_no_voices_has_those_of_the_options():
    async with voice(voices={"zh": "zf"}) as (server, tts):
        server.status = 404
        assert [(v.id, v.language) for v in await tts.voices()] == [("af_heart", "und"), ("zf", "zh")]


@pytest.mark.parametrize(
    "listed", [b'{"voices": ["x", "y"]}', b'{"voices": [{"id": "x"}, {"name": "y"}]}', b'["x", "y"]']
)
async def test_voices_as_the_server_lists_them(listed):
    async with voice(voices={"zh": "zf"}) as (server, tts):
        server.kind, server.pieces = "application/json", [listed]
        assert [(v.id, v.language) for v in await tts.voices()] == [
            ("af_heart", "und"), ("zf", "zh"), ("x", "und"), ("y", "und"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "http://a:b@x/v1"}, "user or password"),
        ({"extra_body": {"voice": "x"}}, "voice"),
        ({"api_key": "a", "api_key_file": "/x"}, "not both"),
        ({"api_key_file": "/nowhere/key"}, "cannot be read"),
        ({"modell": "x"}, "Did you mean model"),
        ({"response_format": "mp3"}, "response_format"),
    ],
)
def test_its_options_are_checked(options, words):
    with pytest.raises(ConfigError, match=words):
        OpenAITts(speech_context(**options))
