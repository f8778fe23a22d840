"""Piper and Kokoro with real weights in processes of their own: they speak, stop, die, and speak again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import aclosing

import numpy as np
import psutil
import pytest

from fakes.patience import PATIENCE_S, until
from fakes.speech.context import speech_context
from joyvl_server.core.errors import ConfigError
from joyvl_server.speech.base import SpeechError, Tts
from joyvl_server.speech.tts.kokoro import KokoroTts
from joyvl_server.speech.tts.piper import PiperTts, find_voices

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]
SLOW = 110.0
"""seconds for a piece of sound, at most: as long as the options allow"""
LONG = "The cat sat on the mat, and the dog slept on the sofa, while somebody came in, and nobody saw it. " * 6


@pytest.fixture
async def piper(speech_env):
    tts = PiperTts(speech_context(speech_env[1], python=str(speech_env[0]), timeout_s=SLOW))
    yield tts
    await tts.aclose()


@pytest.fixture
async def kokoro(speech_env):
    tts = KokoroTts(speech_context(speech_env[1], python=str(speech_env[0]), timeout_s=SLOW))
    yield tts
    await tts.aclose()


async def spoken(tts, text, voice=None, language="en"):
    pieces = [pcm async for pcm in tts.speak(text, voice=voice, language=language)]
    sound = np.concatenate([pcm.samples for pcm in pieces])
    assert np.abs(sound).max() > 2000
    return len(sound) / pieces[0].rate, len(pieces), pieces[0].rate


def worker_of(tts):
    """The process that computes: it stands below the keeper."""
    return next(p for p in psutil.Process(tts.pid).children(recursive=True) if p.is_running())


async def test_piper_speaks_is_cancelled_killed_and_speaks_again(piper):
    assert isinstance(piper, Tts)
    assert piper.state.status == "stopped"
    assert [(v.id, v.language) for v in await piper.voices()] == [("en_US-joe-medium", "en-US")]
    seconds, _, rate = await spoken(piper, "Tell me when someone comes to the front door.")
    assert 1.5 < seconds < 4
    assert rate == 22_050
    pid = worker_of(piper).pid

    async with aclosing(piper.speak(LONG, voice=None, language="en")) as pieces:
        await anext(pieces)
    assert (await spoken(piper, "Next."))[0] < 2
    assert worker_of(piper).pid == pid

    sound = piper.speak(LONG, voice=None, language="en")
    await anext(sound)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(SpeechError) as told:
        async for _ in sound:
            pass
    assert told.value.code == "unavailable"
    assert (await spoken(piper, "And again."))[0] < 3
    assert worker_of(piper).pid != pid


async def test_piper_cancelled_while_it_computes(piper):
    await piper.start()

    async def listen():
        async for _ in piper.speak(LONG, voice=None, language="en"):
            await asyncio.sleep(0)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.1)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await spoken(piper, "Next.")
    assert piper.state.status == "ready"


async def test_voices_of_piper_that_are_broken_or_gone(speech_env, tmp_path):
    voices = tmp_path / "voices"
    voices.mkdir()
    real = speech_env[1] / "voices/en_US-joe-medium.onnx"
    for name, body in (("en_US-torn-low", real.read_bytes()[:100_000]), ("en_US-empty-low", b"")):
        (voices / f"{name}.onnx").write_bytes(body)
        shutil.copy(f"{real}.json", voices / f"{name}.onnx.json")
    (voices / "en_US-odd-low.onnx").write_bytes(b"x")
    (voices / "en_US-odd-low.onnx.json").write_text("[1, 2")
    (voices / "en_US-alone-low.onnx").write_bytes(b"x")
    assert [voice.id for voice in find_voices(voices)] == ["en_US-empty-low", "en_US-torn-low"]
    tts = PiperTts(speech_context(tmp_path, python=str(speech_env[0]), timeout_s=SLOW))
    try:
        for name in ("en_US-torn-low", "en_US-empty-low", "en_US-odd-low", "en_US-alone-low", "nobody", "../x", None):
            with pytest.raises(SpeechError) as told:
                await spoken(tts, "Hello.", name, "zh" if name is None else "en")
            broken = name in ("en_US-torn-low", "en_US-empty-low", "en_US-odd-low")
            assert told.value.code == ("broken_voice" if broken else "no_voice"), name
        (voices / "en_US-joe-medium.onnx").symlink_to(real)
        (voices / "en_US-joe-medium.onnx.json").symlink_to(f"{real}.json")
        await spoken(tts, "The others do not matter.", "en_US-joe-medium")
        assert tts.state.status == "ready"
    finally:
        await tts.aclose()


async def test_many_utterances_of_piper_leave_memory_and_descriptors_as_they_were(piper):
    """The long form is in scripts/bench/speech/long.py."""
    for _ in range(5):
        await spoken(piper, "Somebody is at the door.")
    child, ours = worker_of(piper), psutil.Process()
    before = child.memory_info().rss, child.num_threads(), ours.num_fds(), ours.num_threads()
    for number in range(25):
        await spoken(piper, f"There are {number} people.")
    assert child.memory_info().rss - before[0] < 40e6
    assert (child.num_threads(), ours.num_fds(), ours.num_threads() <= before[3] + 2) == (before[1], before[2], True)


async def test_kokoro_speaks_english_chinese_and_both(kokoro):
    await kokoro.start()
    assert {v.language for v in await kokoro.voices()} == {"en-US", "en-GB", "zh"}
    english, pieces, rate = await spoken(kokoro, "There is smoke coming from the oven, please come at once.")
    assert 2 < english < 7
    assert (pieces > 1, rate) == (True, 24_000)
    chinese, _, _ = await spoken(kokoro, "有人来到前门的时候告诉我。", None, "zh")
    assert 1.5 < chinese < 6
    mixed, _, _ = await spoken(kokoro, "门口有 two people。", "zf_xiaoxiao", "zh")
    assert mixed > 1
    async with aclosing(kokoro.speak(LONG, voice=None, language="en")) as sound:
        await anext(sound)
    assert (await spoken(kokoro, "Next."))[0] < 3
    pid = worker_of(kokoro).pid
    waiting = asyncio.create_task(spoken(kokoro, LONG))
    await asyncio.sleep(0.5)  # in the midst of its first clause
    waiting.cancel()
    assert (await spoken(kokoro, "Next."))[0] < 3
    assert worker_of(kokoro).pid == pid
    for voice, language in (("nobody", "en"), (None, "de")):
        with pytest.raises(SpeechError) as told:
            await spoken(kokoro, "Hello.", voice, language)
        assert told.value.code == "no_voice"


async def test_a_model_of_kokoro_that_is_broken_or_gone(speech_env, tmp_path):
    tts = KokoroTts(speech_context(tmp_path, python=str(speech_env[0]), timeout_s=SLOW))
    try:
        with pytest.raises(SpeechError, match="joyvl voices get kokoro") as told:
            await tts.start()
        assert told.value.code == "no_voice"
        shutil.copytree(speech_env[1] / "kokoro/voices", tmp_path / "kokoro/voices")
        shutil.copy(speech_env[1] / "kokoro/vocab.json", tmp_path / "kokoro/vocab.json")
        (tmp_path / "kokoro/model.onnx").write_bytes(b"torn")
        with pytest.raises(SpeechError, match="cannot be read") as told:
            await spoken(tts, "Hello.")
        assert told.value.code == "unavailable"
        (tmp_path / "kokoro/model.onnx").unlink()
        (tmp_path / "kokoro/model.onnx").symlink_to(speech_env[1] / "kokoro/model.onnx")
        (tmp_path / "kokoro/voices/af_heart.bin").write_bytes(b"torn")
        await until(lambda: tts.state.status == "ready")
        with pytest.raises(SpeechError, match="af_heart is broken"):
            await spoken(tts, "Hello.", "af_heart")
        await spoken(tts, "Hello.", "am_michael")
    finally:
        await tts.aclose()


def test_without_their_packages_they_say_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install piper-tts"):
        PiperTts(speech_context())
    with pytest.raises(ConfigError, match="onnxruntime"):
        KokoroTts(speech_context())


async def test_an_environment_without_the_package_says_which(tmp_path, speech_env):
    shutil.copytree(speech_env[1] / "voices", tmp_path / "voices", copy_function=os.symlink)
    (tmp_path / "bare").mkdir()
    os.symlink(sys.base_prefix + "/bin/python3", tmp_path / "bare/python")
    tts = PiperTts(speech_context(tmp_path, python=str(tmp_path / "bare/python"), timeout_s=SLOW))
    try:
        with pytest.raises(SpeechError, match=r"package (piper|numpy|onnxruntime) cannot be imported"):
            async with asyncio.timeout(PATIENCE_S):
                await spoken(tts, "Hello.")
    finally:
        await tts.aclose()
