"""The system's espeak-ng: sound that streams, languages, and a process that ends when nobody listens."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from fakes.patience import until
from fakes.speech.context import speech_context
from joyvl_server.core.errors import ConfigError
from joyvl_server.speech.base import SpeechError, Tts
from joyvl_server.speech.tts.espeak import EspeakTts

pytestmark = pytest.mark.processes


@pytest.fixture
def espeak():
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs Debian's espeak-ng")
    return EspeakTts(speech_context(timeout_s=60))


def children():
    return [p for p in psutil.Process().children() if "espeak" in " ".join(p.cmdline())]


async def spoken(tts, text, voice=None, language=None):
    pieces = [pcm async for pcm in tts.speak(text, voice=voice, language=language)]
    assert len({pcm.rate for pcm in pieces}) == 1
    return sum(pcm.seconds for pcm in pieces), pieces


async def test_it_speaks_and_leaves_nothing(espeak):
    assert isinstance(espeak, Tts)
    seconds, pieces = await spoken(espeak, "The dog is sleeping next to the sofa.", language="en")
    assert 1.5 < seconds < 5
    assert max(abs(pcm.samples).max() for pcm in pieces) > 3000
    assert espeak.state.status == "ready"
    assert children() == []


async def test_chinese_is_never_read_by_cmn(espeak):
    for voice, language in ((None, "zh"), (None, "zh-CN"), ("cmn", None), ("zh", "zh")):
        assert await espeak._voice(voice, language) == "cmn-latn-pinyin"
    # "cmn" reads each character by its English name: several seconds longer.
    assert (await spoken(espeak, "我把钥匙放在哪里了？", language="zh"))[0] < 5
    assert not any(voice.id in ("cmn", "yue") and voice.language == "zh" for voice in await espeak.voices())


async def test_voices_have_languages(espeak):
    found = {voice.id: voice.language for voice in await espeak.voices()}
    assert len(found) > 50
    assert (found["cmn-latn-pinyin"], found["de"]) == ("zh", "de")


@pytest.mark.parametrize(
    ("voice", "language"), [("xx-nobody", None), ("en-us+../../x", None), (None, "tlh"), ("-w", None)]
)
async def test_a_voice_that_is_not_there(espeak, voice, language):
    with pytest.raises(SpeechError) as told:
        await spoken(espeak, "Hello.", voice, language)
    assert told.value.code == "no_voice"


@pytest.mark.parametrize(
    "text", ["-w /tmp/x.wav", "<speak>", "[[h@'loU]]", "\"'$(true)`", "ünïcödé 你好 שלום", "a" * 3000]
)
async def test_text_is_never_an_option(espeak, text):
    assert (await spoken(espeak, text, language="en"))[0] > 0
    assert not Path("/tmp/x.wav").exists()  # noqa: ASYNC240


async def test_closed_early_its_process_is_killed_and_the_next_works(espeak):
    async with aclosing(espeak.speak("word " * 2000, voice=None, language="en")) as pieces:
        await anext(pieces)
    assert children() == []
    assert (await spoken(espeak, "Next.", language="en"))[0] > 0


async def test_cancelled_its_process_is_killed(espeak):
    async def listen():
        async for _ in espeak.speak("word " * 2000, voice=None, language="en"):
            await asyncio.sleep(3600)

    listening = asyncio.create_task(listen())
    await until(children)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await until(lambda: children() == [])


def program(tmp_path, body):
    path = tmp_path / "odd-espeak"
    path.write_text(f'#!/bin/sh\n[ "$1" = --voices ] && exec espeak-ng --voices\n{body}\n')
    path.chmod(0o755)
    return EspeakTts(speech_context(program=str(path), timeout_s=1.0))


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("exit 1", "failed", "without a sound"),
        ("echo this is no sound at all", "failed", "no WAV"),
        ("sleep 3600", "timeout", "no sound"),
        ("espeak-ng --stdout hello | head -c 44; cat /dev/zero", "too_long", "does not stop"),
    ],
)
async def test_a_program_that_does_odd_things(espeak, tmp_path, body, code, words):
    odd = program(tmp_path, body)
    with pytest.raises(SpeechError, match=words) as told:
        await spoken(odd, "Hello.", language="en")
    assert told.value.code == code
    assert odd.state.status == "failed"


def test_without_the_program_it_says_what_to_install():
    with pytest.raises(ConfigError, match="apt-get install espeak-ng"):
        EspeakTts(speech_context(program="no-such-program"))


def test_its_options_are_checked():
    with pytest.raises(ConfigError, match=r"speech.options.espeak.speed: there is no such option"):
        EspeakTts(speech_context(speed=3))
    with pytest.raises(ConfigError, match=r"words_per_minute"):
        EspeakTts(speech_context(words_per_minute=3))
