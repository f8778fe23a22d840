"""What speaks or understands speech breaks in mid-sentence, on a real server with a real call: the text still arrives,
one clear update says what is wrong, and the next utterance works."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from fakes.media.live_caller import HEARD, STOPPED, calling
from fakes.media.microphone import FedMicrophone
from fakes.media.speech import need_speech, spoken
from fakes.patience import until
from fakes.server.live_server import live_server

pytestmark = pytest.mark.slow

SECOND = "And this is the next one."
LONG = " ".join(
    f"This is sentence number {number} of a long remark, which takes a voice quite some time." for number in range(16)
)
TONE = (np.sin(np.arange(24_000) / 10) * 9000).astype("<i2").tobytes()


def workers(name: str) -> list[psutil.Process]:
    """The processes below us that compute for this engine."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if one.is_running() and any(name in part for part in one.cmdline())]


async def test_the_voice_is_killed_in_mid_sentence(speech_env: tuple[Path, Path], tmp_path: Path) -> None:
    python, models = speech_env
    options = {"piper": {"python": str(python)}}
    speech = {"tts": "piper", "models_dir": models, "options": options, "asr": "off"}
    async with live_server(tmp_path, speech=speech) as server, calling(server) as caller:
        await caller.says(LONG)
        await until(lambda: np.abs(caller.ears.sound).max(initial=0) > 1000)
        for process in workers("piper_worker"):
            process.send_signal(signal.SIGKILL)
        await caller.until("error")
        stopped = await caller.until(STOPPED)
        assert 0 < stopped["heard"] <= len(LONG)
        await caller.says(SECOND)
        assert (await caller.until(STOPPED, 2))["heard"] == len(SECOND)
        assert caller.failures == ["speech_failed"]


async def test_a_voice_that_is_broken_is_told_and_another_one_speaks(
    speech_env: tuple[Path, Path], tmp_path: Path
) -> None:
    python, models = speech_env
    voices = tmp_path / "models" / "voices"
    voices.mkdir(parents=True)
    real = models / "voices" / "en_US-joe-medium.onnx"
    (voices / real.name).write_bytes(real.read_bytes()[:100_000])
    shutil.copy(f"{real}.json", voices)
    speech = {
        "tts": "piper", "models_dir": tmp_path / "models", "options": {"piper": {"python": str(python)}}, "asr": "off",
    }  # fmt: skip
    async with live_server(tmp_path / "data", speech=speech) as server, calling(server) as caller:
        await caller.says(SECOND)
        assert (await caller.until(STOPPED))["heard"] == len(SECOND)
        assert np.abs(caller.ears.sound).max() > 1000
        assert caller.failures == ["speech_failed"]
        (voices / real.name).unlink()
        (voices / real.name).symlink_to(real)
        await caller.says("It is mended.")
        await caller.until(STOPPED, 2)
        assert caller.failures == ["speech_failed"]
        assert server.registry.speech.voice is not None
        assert server.registry.speech.voice.fault(None) == ""


class OddServer:
    """An HTTP server that answers with `head` and `body`, and then as it is told: `ends`, `hangs` or `breaks`."""

    def __init__(self) -> None:
        self.head, self.body, self.then = "200 OK", TONE, "ends"
        self.kind = "audio/pcm"
        self.asked = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
            await reader.readexactly(length)
            self.asked += 1
            size = len(self.body) * (2 if self.then == "breaks" else 1)
            promised = "" if self.then == "hangs" else f"Content-Length: {size}\r\n"
            writer.write(f"HTTP/1.1 {self.head}\r\nContent-Type: {self.kind}\r\n{promised}\r\n".encode() + self.body)
            await writer.drain()
            if self.then == "hangs":
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def well(self, body: bytes, kind: str) -> None:
        self.head, self.body, self.kind, self.then = "200 OK", body, kind, "ends"


@asynccontextmanager
async def odd_server() -> AsyncIterator[tuple[OddServer, str]]:
    there = OddServer()
    async with await asyncio.start_server(there.handle, "127.0.0.1", 0) as listening:
        yield there, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("head", "body", "kind", "then"),
    [
        ("200 OK", b"", "audio/pcm", "hangs"),
        ("200 OK", TONE[:24_000], "audio/pcm", "hangs"),
        ("200 OK", b"\xff\xfb\x90" + os.urandom(3000), "audio/mpeg", "ends"),
        ("200 OK", b"<html>hello</html>", "text/html", "ends"),
        ("500 Oops", b'{"error": {"message": "out of memory"}}', "application/json", "ends"),
        ("200 OK", TONE[:24_000], "audio/pcm", "breaks"),
    ],
    ids=["hangs", "hangs-midway", "mp3", "html", "500", "breaks"],
)
async def test_a_voice_server_of_others(
    head: str, body: bytes, kind: str, then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_speech()
    monkeypatch.setattr("joyvl_server.speech.voices.LAST_RESORT", "none")  # else espeak speaks instead
    async with odd_server() as (voice, url):
        voice.head, voice.body, voice.kind, voice.then = head, body, kind, then
        options = {"openai": {"base_url": url, "timeout_s": 1.0}}
        speech = {"tts": "openai", "options": options, "asr": "off"}
        async with live_server(tmp_path, speech=speech) as server, calling(server) as caller:
            await caller.says("There is somebody at the door.")
            await caller.until(STOPPED)
            assert voice.asked > 0
            assert caller.failures == ["speech_failed"]
            voice.well(TONE, "audio/pcm")
            await caller.says(SECOND)
            assert (await caller.until(STOPPED, 2))["heard"] == len(SECOND)
            assert caller.failures == ["speech_failed"]


@pytest.mark.parametrize(
    ("head", "body", "then"),
    [
        ("200 OK", b"", "hangs"),
        ("200 OK", os.urandom(500), "ends"),
        ("500 Oops", b"{}", "ends"),
        ("200 OK", b'{"text": "Is', "breaks"),
    ],
    ids=["hangs", "garbage", "500", "breaks"],
)
async def test_a_server_of_others_that_understands(head: str, body: bytes, then: str, tmp_path: Path) -> None:
    need_speech()
    async with odd_server() as (ears, url):
        ears.head, ears.body, ears.kind, ears.then = head, body, "application/json", then
        speech = {"tts": "off", "asr": "openai", "asr_options": {"openai": {"base_url": url, "timeout_s": 1.0}}}
        microphone = FedMicrophone()
        async with live_server(tmp_path, speech=speech) as server, calling(server, microphone=microphone) as caller:
            microphone.say(spoken("Where did I leave my keys?"))
            await caller.until("error")
            assert caller.failures == ["speech_not_heard"]
            ears.well(json.dumps({"text": "Is anybody there?"}).encode(), "application/json")
            microphone.say(spoken("Is anybody there?"))
            assert (await caller.until(HEARD))["transcript"] == "Is anybody there?"
            assert caller.failures == ["speech_not_heard"]
