"""Engine `whisper` with real weights: what real voices say, what noise does not say, and a process that dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from bench.speech.mistakes import error_rate
from bench.speech.sentences import CHINESE, ENGLISH

from fakes.patience import PATIENCE_S, until
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.speech.asr.queue import HearingLimits, HearingQueue
from joyvl_server.speech.asr.transcriber import SpeechTranscriber
from joyvl_server.speech.asr.whisper.engine import WhisperAsr
from joyvl_server.speech.base import SpeechContext, SpeechError

RATE = 16_000
SENTENCES = int(os.environ.get("JOYVL_SPOKEN", "6"))
"""of each language; 20 for the figures of docs/speech.md"""
SAY = Path(__file__).parents[2] / "fakes/speech/say.py"
NOISE = np.random.default_rng(7)
SECONDS = np.arange(4 * RATE) / RATE
NO_SPEECH = {
    "silence": np.zeros(4 * RATE),
    "hiss": NOISE.standard_normal(4 * RATE) * 0.05,
    "loud hiss": NOISE.standard_normal(4 * RATE) * 0.3,
    "hum": np.sin(2 * np.pi * 50 * SECONDS) * 0.2,
    "alarm": np.sin(2 * np.pi * 3100 * SECONDS) * 0.3 * (SECONDS % 1 < 0.5),
    "clicks": (np.arange(4 * RATE) % 8000 < 20) * 0.8,
    "rumble": np.cumsum(NOISE.standard_normal(4 * RATE)) / 400,
}


def spoken(speech_env, folder, language, sentences):
    python, models = speech_env
    out = folder / f"{language}.npz"
    subprocess.run([python, SAY, models, language, out], input=json.dumps(sentences), text=True, check=True)
    sounds = np.load(out)
    return [Pcm(sounds[name], RATE) for name in sounds.files]


@pytest.fixture(scope="module")
def english(speech_env, tmp_path_factory):
    return spoken(speech_env, tmp_path_factory.mktemp("spoken"), "en", ENGLISH[:SENTENCES])


@pytest.fixture(scope="module")
def chinese(speech_env, tmp_path_factory):
    return spoken(speech_env, tmp_path_factory.mktemp("spoken"), "zh", CHINESE[:SENTENCES])


@asynccontextmanager
async def whisper(speech_env, model="base", **options):
    python, models = speech_env
    told = {"timeout_s": PATIENCE_S, "start_timeout_s": PATIENCE_S, "python": python, "model": model, **options}
    asr = WhisperAsr(SpeechContext(told, models, SystemClock(), NetPolicy()))
    try:
        yield asr
    finally:
        await asr.aclose()


async def heard(asr, speaker, sound):
    """Through the whole way of a speech, in pieces of 100 ms."""
    segment = speaker.begin(RATE)
    for begin in range(0, len(sound.samples), RATE // 10):
        segment.add(Pcm(sound.samples[begin : begin + RATE // 10], RATE))
    segment.end()
    return [words async for words in segment.words()][-1]


def listening(asr, **limits):
    limits = {"timeout_s": PATIENCE_S, "partial_share": 0.0, **limits}
    return SpeechTranscriber(HearingQueue(asr, SystemClock(), HearingLimits(**limits)))


@pytest.mark.slow
async def test_english_sentences_are_understood(speech_env, english):
    async with whisper(speech_env) as asr:
        speaker = listening(asr)
        pairs = [(said, (await heard(asr, speaker, sound)).text) for said, sound in zip(ENGLISH, english, strict=False)]
        assert speaker.language == "en"
    rate = error_rate(pairs, "en")
    print(f"WER {rate:.1%}")
    assert rate <= 0.06, pairs


@pytest.mark.slow
async def test_chinese_sentences_are_understood(speech_env, chinese):
    async with whisper(speech_env) as asr:
        speaker = listening(asr)
        pairs = [(said, (await heard(asr, speaker, sound)).text) for said, sound in zip(CHINESE, chinese, strict=False)]
        assert speaker.language == "zh"
    rate = error_rate(pairs, "zh")
    print(f"CER {rate:.1%}")
    assert rate <= 0.12, pairs


@pytest.mark.slow
@pytest.mark.parametrize("model", ["base", "tiny.en"])
async def test_where_nobody_speaks_nothing_is_understood(speech_env, model):
    async with whisper(speech_env, model) as asr:
        for name, sound in NO_SPEECH.items():
            pcm = Pcm((np.clip(sound, -1, 1) * 32767).astype(np.int16), RATE)
            for language in ("en", "zh", None) if model == "base" else ("en",):
                assert (await asr.hear(pcm, language=language)).text == "", (name, language)


async def test_words_come_while_somebody_speaks(speech_env, english):
    async with whisper(speech_env, "tiny.en") as asr:
        segment = listening(asr, partial_share=1.0, partial_timeout_s=PATIENCE_S).begin(RATE)

        async def take():
            return [words async for words in segment.words()]

        taking = asyncio.create_task(take())
        sound = english[0].samples
        for part in (0.6, 0.8, 1.0):
            length = int(len(sound) * part)
            segment.add(Pcm(sound[int(len(sound) * (part - 0.2)) if part > 0.6 else 0 : length], RATE))
            await until(lambda: segment.idle)
        segment.end()
        told = await taking
        assert [words.final for words in told] == [False] * (len(told) - 1) + [True]
        assert len(told) >= 2
        assert "somebody" in told[-1].text


async def test_killed_in_mid_sentence_it_fails_in_words_and_comes_back(speech_env, english):
    async with whisper(speech_env, "tiny.en") as asr:
        await asr.start()
        first = asyncio.create_task(asr.hear(english[0], language="en"))
        await asyncio.sleep(0.05)
        child = asr.process.pid
        for process in psutil.Process(child).children(recursive=True):
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(SpeechError) as raised:
            await first
        assert raised.value.code == "unavailable"
        assert "somebody" in (await asr.hear(english[0], language="en")).text.lower()
        assert asr.process.restarts == 1


@pytest.mark.slow
async def test_after_many_segments_memory_is_what_it_was(speech_env, english):
    """The short form; more segments: JOYVL_SEGMENTS=500."""
    count = int(os.environ.get("JOYVL_SEGMENTS", "40"))
    async with whisper(speech_env, "tiny.en", max_tokens=32) as asr:
        speaker = listening(asr)
        await heard(asr, speaker, english[0])
        for _ in range(count // 4):
            await heard(asr, speaker, english[1])
        before = memory(asr)
        for number in range(count):
            await heard(asr, speaker, english[number % len(english)])
        after = memory(asr)
    print(f"RSS of both: {before >> 20} MB, after {count} segments {after >> 20} MB")
    assert after - before < 40 << 20


def memory(asr):
    processes = [psutil.Process(), *psutil.Process(asr.process.pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in processes)


async def test_the_end_of_a_turn_is_heard_in_the_voice(speech_env, english):
    async with whisper(speech_env, "tiny.en", smart_turn=True) as asr:
        ended, cut = [], []
        for sound in english[:8]:
            ended.append(await asr.finished(Pcm(sound.samples[: -8000 + 3200], RATE)))
            cut.append(await asr.finished(Pcm(sound.samples[: len(sound.samples) * 45 // 100], RATE)))
        assert np.mean(ended) > np.mean(cut), (ended, cut)


async def test_a_language_that_the_model_does_not_know_is_found_out(speech_env, english):
    async with whisper(speech_env) as asr:
        heard_as = await asr.hear(english[0], language="tlh")
        assert ("somebody" in heard_as.text, heard_as.language) == (True, "en")
