"""The unmodified `openai` package against a real server with real media workers: a WebSocket and a call."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import openai
import pytest
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from websockets.exceptions import ConnectionClosedError

from fakes.patience import PATIENCE_S, until
from fakes.realtime import checked, types
from fakes.server.house import KEY, OneEngine
from fakes.server.live_server import live_server
from fakes.speech.asr import ToldAsr
from fakes.speech.plain_voice import PlainVoice
from joyvl_server.kit.audio.pcm import Pcm, Samples
from joyvl_server.kit.audio.resampler import resample
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.jpeg import encode
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.speech.hearing import SpeechHearing

PICTURE = "data:image/jpeg;base64," + base64.b64encode(encode(np.full((180, 320, 3), 200, np.uint8)).jpeg).decode()
WORDS = " Someone is at the door, and somebody else is at the window of the house next to it."


@asynccontextmanager
async def server(folder: Any, asr: ToldAsr | None = None) -> AsyncIterator[tuple[str, OneEngine, Registry]]:
    """(its address, its engine, its registry): all real but the engine and the voice."""
    hearing = None if asr is None else SpeechHearing(asr, SystemClock())
    async with live_server(folder, SpeechServices(PlainVoice(), hearing)) as opened:
        opened.engines.quiet.words = WORDS
        yield opened.url, opened.engines, opened.registry


class Events:
    """What a connection of the package got, until it is closed."""

    def __init__(self, connection: Any) -> None:
        self.seen: list[dict[str, Any]] = []
        self._connection = connection
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self._connection:
            self.seen.append(checked(event.to_dict()))

    async def get(self, type: str, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            await until(lambda: types(self.seen).count(type) >= count)
        return [event for event in self.seen if event["type"] == type][count - 1]

    def close(self) -> None:
        self._task.cancel()


@pytest.fixture
async def serving(tmp_path) -> AsyncIterator[tuple[str, OneEngine, Registry]]:
    async with server(tmp_path) as opened:
        yield opened


async def test_websocket(serving):
    url, engines, registry = serving
    client = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
    async with client.realtime.connect(model="gpt-realtime") as connection:
        events = Events(connection)
        assert (await events.get("session.created"))["session"]["model"] == "quiet"
        await connection.session.update(session={"type": "realtime", "instructions": "Tell me when someone comes."})
        await events.get("session.updated")
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": PICTURE}]}
        )
        await events.get("conversation.item.done")
        (session,) = registry.sessions()
        assert (await session.snapshot()).image.width == 320
        await connection.input_audio_buffer.append(audio=base64.b64encode(bytes(2 * 24_000)).decode())
        await until(lambda: session.source.audio.hears)

        engines.quiet.value = 1.0
        await connection.response.create()
        first = await events.get("response.output_audio.delta")
        engines.quiet.value = 0.0
        # A whole second and more: it comes at the pace of speech.
        await events.get("response.output_audio.delta", 10)
        await connection.conversation.item.truncate(item_id=first["item_id"], content_index=0, audio_end_ms=700)
        assert (await events.get("conversation.item.truncated"))["audio_end_ms"] == 700
        assert (await events.get("response.done"))["response"]["status"] == "cancelled"

        await asyncio.sleep(0)
        engines.quiet.words = WORDS.replace("door", "gate")
        session.change(session.spec.changed({"cooldown_s": 0.0}))
        engines.quiet.value = 1.0
        await connection.response.create()
        await events.get("response.created", 2)
        engines.quiet.value = 0.0
        await connection.response.cancel()
        done = (await events.get("response.done", 2))["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        await connection.send({"type": "input_audio_buffer.append", "audio": "A" * 100_001})  # type: ignore[typeddict-item]
        assert (await events.get("error"))["error"]["code"] == "invalid_value"
        events.close()
    await until(lambda: registry.sessions() == [])
    with pytest.raises(Exception, match="422"):
        async with client.realtime.connect(model="nothing"):
            pass


async def test_a_message_that_is_far_too_large_ends_only_its_connection(serving):
    url, _, registry = serving
    client = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
    with suppress(OSError, ConnectionClosedError):
        async with client.realtime.connect(model="joyvl") as connection:
            assert (await connection.recv()).type == "session.created"
            await connection.send({"type": "input_audio_buffer.append", "audio": "A" * 5_000_000})  # type: ignore[typeddict-item]
            await until(lambda: registry.sessions() == [])
    assert (await client.models.list()).data[0].id == "joyvl"


async def test_a_call_of_a_browser_with_a_client_secret(serving):
    url, engines, registry = serving
    server_side = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
    secret = await server_side.realtime.client_secrets.create(session={"type": "realtime", "instructions": "Watch."})
    browser = openai.AsyncOpenAI(api_key=secret.value, base_url=f"{url}/v1", max_retries=0)

    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(AudioStreamTrack())
    channel = peer.createDataChannel("oai-events")
    seen: list[dict[str, Any]] = []
    channel.on("message", lambda text: seen.append(checked(json.loads(text))))
    tracks: list[Any] = []
    peer.on("track", tracks.append)
    await peer.setLocalDescription(await peer.createOffer())
    answer = await browser.realtime.calls.with_raw_response.create(sdp=peer.localDescription.sdp)
    await peer.setRemoteDescription(RTCSessionDescription(answer.content.decode(), "answer"))
    await until(lambda: "session.created" in types(seen))
    assert seen[0]["session"]["instructions"] == "Watch."
    (session,) = registry.sessions()
    assert (await session.snapshot()).image.width == 320  # that there is no picture yet

    content = [{"type": "input_image", "image_url": PICTURE}]
    channel.send(
        json.dumps(
            {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}
        )
    )
    await until(lambda: "conversation.item.done" in types(seen))
    engines.quiet.value = 1.0
    channel.send(json.dumps({"type": "response.create"}))
    await until(lambda: "output_audio_buffer.started" in types(seen))
    engines.quiet.value = 0.0
    await _hears(tracks[0])
    channel.send(json.dumps({"type": "output_audio_buffer.clear"}))
    await until(lambda: "output_audio_buffer.cleared" in types(seen))
    await server_side.realtime.calls.hangup(answer.headers["location"].rpartition("/")[2])
    await until(lambda: registry.sessions() == [])
    await peer.close()


def said(text: str) -> Samples:
    """By the system's voice, at 24 kHz."""
    wav = subprocess.run(["espeak-ng", "--stdout", text], capture_output=True, check=True).stdout
    return resample(Pcm.from_bytes(wav[44 : len(wav) // 2 * 2], 22_050), 24_000).samples


async def test_what_is_said_into_the_websocket_is_found_by_the_vad(tmp_path):
    """Sound at the pace of speech, as clients send it, with a system voice in it."""
    pytest.importorskip("onnxruntime", reason="the VAD needs onnxruntime")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is missing")
    spoken = said("Who is at the door?")
    samples = np.concatenate([np.zeros(12_000, np.int16), spoken, np.zeros(48_000, np.int16)])
    async with server(tmp_path, ToldAsr("Who is at the door?")) as (url, _, registry):
        client = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
        async with client.realtime.connect(model="gpt-realtime") as connection:
            events = Events(connection)
            await events.get("session.created")
            for start in range(0, len(samples), 2400):
                piece = Pcm(samples[start : start + 2400], 24_000)
                await connection.input_audio_buffer.append(audio=piece.to_base64())
                await asyncio.sleep(0.1)
            completed = await events.get("conversation.item.input_audio_transcription.completed")
            assert completed["transcript"] == "Who is at the door?"
            order = [type for type in types(events.seen) if type.startswith("input_audio_buffer.")]
            assert order[:3] == [
                f"input_audio_buffer.{what}" for what in ("speech_started", "speech_stopped", "committed")
            ]
            assert registry.sessions()[0].queries.all()[0].text == "Who is at the door?"
            events.close()


async def _hears(track: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            frame = await track.recv()
            if np.abs(frame.to_ndarray()).max() > 300:
                return
