"""What the fake microphone hears: sentences of the real voices, with silence between, as a WAV file."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.audio.resampler import resample
from joyvl_server.kit.clock import SystemClock
from joyvl_server.settings import Settings
from joyvl_server.speech.voices import SpeechEngines

LOUD = 12_000.0
"""peak of each sentence"""
SLOWEST_S = 120


def speech_settings(environment: Path | None) -> dict[str, Any]:
    """`speech` of the settings for real engines: Piper for English, Kokoro for Chinese, from the folder of
    scripts/speech-test-env. None: espeak, of the system."""
    if environment is None:
        return {"tts": "espeak"}
    process = {"python": str(environment / "bin/python"), "timeout_s": SLOWEST_S}
    return {
        "tts": "piper",
        "voices": {"en": "piper", "zh": "kokoro"},
        "options": {"piper": process, "kokoro": process},
        "models_dir": str(environment / "models"),
    }


def synthesise(environment: Path | None, texts: Sequence[str], language: str, voice: str | None = None) -> list[Pcm]:
    """One sound for each text. `voice`: as in the settings, like `espeak`; None: Piper, for Chinese Kokoro.

    Blocks for up to 6 s a sentence. Raises `SpeechError`.
    """
    with ThreadPoolExecutor(1) as other:  # this thread may have a loop already: Playwright's
        return other.submit(asyncio.run, _synthesise(environment, texts, language, voice)).result()


async def _synthesise(environment: Path | None, texts: Sequence[str], language: str, voice: str | None) -> list[Pcm]:
    engines = SpeechEngines(Settings(speech=speech_settings(environment)), SystemClock())
    try:
        await engines.start(voice)
        found = []
        for text in texts:
            pieces = [pcm async for pcm in engines.speak(text, wanted=voice, language=language)]
            found.append(Pcm(np.concatenate([pcm.samples for pcm in pieces]), pieces[0].rate))
        return found
    finally:
        await engines.aclose()


def write_wav(
    path: Path, sounds: Sequence[Pcm], *, rate: int, lead_s: float = 8.0, gap_s: float = 2.5, tail_s: float = 4.0
) -> list[tuple[float, float]]:
    """The sounds one after the other, each as loud. `lead_s` of silence before: the call has to stand. Returns where
    each one begins and ends in the file, in seconds, without the silence at its edges."""
    at, truth = lead_s, []
    parts = [np.zeros(round(lead_s * rate), np.int16)]
    for number, sound in enumerate(sounds):
        plain = resample(sound, rate).samples
        samples = (plain * (LOUD / max(1.0, float(np.abs(plain.astype(np.float32)).max())))).astype(np.int16)
        begin, end = _edges(samples, rate)
        truth.append((at + begin, at + end))
        pause = np.zeros(round((gap_s if number + 1 < len(sounds) else tail_s) * rate), np.int16)
        parts += [samples, pause]
        at += (len(samples) + len(pause)) / rate
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(np.concatenate(parts).astype("<i2").tobytes())
    return truth


def _edges(samples: np.ndarray[Any, Any], rate: int) -> tuple[float, float]:
    """Above 2 % of the loudest, smoothed over 5 ms."""
    width = rate // 200
    level = np.convolve(np.abs(samples.astype(np.float32)), np.ones(width) / width, "same")
    heard = np.flatnonzero(level > 0.02 * level.max())
    return float(heard[0]) / rate, float(heard[-1]) / rate
