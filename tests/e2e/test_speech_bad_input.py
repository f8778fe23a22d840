"""Odd sound and odd texts through a real server, a real call, the real VAD and a real voice: nothing is stuck.

What needs no call is tested where it lives: formats of files and cameras, noise and silence, loss and endless speech in
`test_ingest_hears.py`, `tests/ingest/audio` and `tests/speech/asr`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import numpy as np
import pytest

from fakes.media.hearing_caller import HearingCaller
from fakes.media.live_caller import HEARD, STOPPED, LiveCaller, calling
from fakes.media.microphone import FedMicrophone
from fakes.media.speech import need_speech, spoken
from fakes.patience import until
from fakes.server.house import KEY
from fakes.server.live_server import LiveServer, live_server
from fakes.speech.asr import ToldAsr
from fakes.speech.plain_voice import PlainVoice
from joyvl_server.kit.clock import SystemClock
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.speech.hearing import SpeechHearing

pytestmark = pytest.mark.slow

WORDS = "Is anybody there?"
BEGAN, ENDED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"


@pytest.fixture(autouse=True)
def _speech() -> None:
    need_speech()


@pytest.fixture
async def speaking(tmp_path: Path) -> AsyncIterator[LiveCaller]:
    """A call that hears espeak-ng."""
    async with live_server(tmp_path, speech={"tts": "espeak", "asr": "off"}) as server, calling(server) as caller:
        yield caller


@pytest.fixture
async def hearing(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """A server that understands every sentence as the same one."""
    ears = SpeechHearing(ToldAsr(WORDS), SystemClock())
    async with live_server(tmp_path, SpeechServices(PlainVoice(), ears)) as server:
        yield server


# ----------------------------------------------------------------------------------------------------------- said aloud

SSML = '<speak>One thing. <break time="60s"/><prosody rate="x-slow">Another thing.</prosody></speak>'
TEXTS = {
    "arabic": "هناك شخص عند الباب. السيارة حمراء.",
    "hebrew": "מישהו עומד ליד הדלת.",
    "mixed": "He said שלום to 王先生, and Здравствуйте to the woman behind the car.",
    "marks of direction": "The sign says \u202eTIXE\u202c, \u2066and\u2069 nothing else.",
    "ssml": SSML,
    "espeak's own markup": "[[h@l'oU]] is how it is written. -v fr --stdin /etc/passwd",
    "controls": "A \x1b[31mred\x1b[0m car\x00 is\x07 there.\u2028It is gone.\ufeff",
    "no words": "🙂🙂 … !!! ---",
    "half a pair": "A broken letter \ud83d stands here.",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_whatever_is_written_is_said_and_the_next_sentence_too(speaking: LiveCaller, text: str) -> None:
    written = await speaking.says(text)
    assert (await speaking.until(STOPPED))["heard"] == len(written)
    assert len(speaking.ears.sound) < 15 * 48_000  # nobody obeys a pause of a minute
    await speaking.says("That was all.")
    assert (await speaking.until(STOPPED, 2))["heard"] == len("That was all.")
    assert np.abs(speaking.ears.sound).max() > 1000
    assert speaking.failures == []


async def test_of_ten_thousand_characters_2000_are_written_begun_at_once_and_stopped(speaking: LiveCaller) -> None:
    text = " ".join(f"Car number {number} is red, and it goes to the left." for number in range(200))[:10_000]
    assert len(text) > 9000
    written = await speaking.says(text)
    assert 1500 < len(written) <= 2000
    assert text.startswith(written.strip())
    await until(lambda: np.abs(speaking.ears.sound).max(initial=0) > 1000)
    ticks = len(speaking.of("response.listen"))
    await until(lambda: len(speaking.of("response.listen")) > ticks)  # it looks on while it speaks
    speaking.session.speech.be_silent()
    cut = await speaking.until(STOPPED)
    assert 0 < cut["heard"] < 1000
    await speaking.says("That was enough.")
    assert (await speaking.until(STOPPED, 2))["heard"] == len("That was enough.")
    assert speaking.failures == []


# ---------------------------------------------------------------------------------------------------------- heard badly


async def test_a_clipped_voice_is_heard(hearing: LiveServer) -> None:
    microphone = FedMicrophone()
    async with calling(hearing, microphone=microphone) as caller:
        loud = np.clip(spoken(WORDS).astype(int) * 20, -32768, 32767).astype(np.int16)
        microphone.say(loud)
        assert (await caller.until(HEARD))["transcript"] == WORDS
        assert caller.failures == []


async def test_a_telephones_8_khz_are_heard(hearing: LiveServer) -> None:
    microphone, ears = FedMicrophone(), HearingCaller("sendrecv", codec="PCMU")
    ears.peer.getTransceivers()[1].sender.replaceTrack(microphone)
    async with calling(hearing, ears=ears) as caller:
        microphone.say(spoken(WORDS))
        assert (await caller.until(HEARD))["transcript"] == WORDS
        assert caller.failures == []


async def test_a_microphone_that_comes_late_and_goes_in_mid_sentence_and_comes_back(hearing: LiveServer) -> None:
    ears = HearingCaller("sendrecv")
    sender = ears.peer.getTransceivers()[1].sender
    async with calling(hearing, ears=ears) as caller:
        assert caller.of(BEGAN) == []
        microphone = FedMicrophone()
        sender.replaceTrack(microphone)
        await until(lambda: caller.session.speech.presence.hears)
        microphone.say(np.concatenate([spoken(WORDS)] * 8))
        await caller.until(BEGAN)
        await asyncio.sleep(1.5)  # in the middle of it
        sender.replaceTrack(None)
        await caller.until(ENDED)
        assert (await caller.until(HEARD))["transcript"] == WORDS
        assert caller.session.source.state.status == "online"
        again = FedMicrophone()
        sender.replaceTrack(again)
        again.say(spoken(WORDS))
        await caller.until(HEARD, 2)
        assert caller.failures == []


async def test_a_call_is_not_renegotiated_but_called_again(hearing: LiveServer) -> None:
    microphone = FedMicrophone()
    async with calling(hearing, microphone=microphone) as caller:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client:
            calls = (await client.get(f"{hearing.url}/v1/realtime/calls")).json()["data"]
            address = f"{hearing.url}/v1/realtime/calls/{calls[0]['id']}"
            offer = await caller.ears.offer()
            refused = await client.patch(address, content=offer, headers={"Content-Type": "application/sdp"})
            assert refused.status_code in (405, 415)
            assert refused.headers["content-type"] == "application/problem+json"
        async with calling(hearing, microphone=FedMicrophone()) as second:
            assert len(hearing.registry.calls()) == 2
            microphone.say(spoken(WORDS))
            await caller.until(HEARD)
            await asyncio.sleep(0)
            assert second.of(HEARD) == []
