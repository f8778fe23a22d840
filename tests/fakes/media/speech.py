"""Sound that tests listen to: speech from espeak-ng, alarms, noises, music; 16 kHz, with the truth about it."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

import numpy as np
import pytest

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.audio.resampler import resample

RATE = 16_000
SENTENCES = (
    "Tell me when someone comes to the front door.", "Is the stove still on in the kitchen?",
    "The cat jumped on the table and knocked over a glass.", "Two people just entered from the left.",
    "Please remind me to take my medicine at eight o'clock.", "What is the man in the red jacket holding?",
    "Your package was delivered this morning.", "There is smoke coming from the oven.",
    "I can see three cars parked outside the garage.", "Stop watching the garden camera now.",
    "Nobody has come through the gate since yesterday.", "Can you count how many times the ball bounces?",
    "The dog is sleeping next to the sofa.", "How many people came in while I was away?",
    "The baby is awake and has started to cry.", "Where did I leave my keys?",
    "The window is open and it is raining.", "That light has been blinking for ten minutes.",
    "Ask the agent to write a report about today.", "Look at the screen and read the second line to me.",
)  # fmt: skip


def need_speech() -> None:
    """Skip where the VAD or a voice is missing, saying what."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is missing (the extra `speech`)")
    pytest.importorskip("faster_whisper.assets", reason="faster-whisper is missing (the extra `speech`)")
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is missing (Debian: espeak-ng)")


@cache
def spoken(text: str) -> np.ndarray:
    """int16, shape (n,). It starts a process."""
    argv = ["espeak-ng", "-v", "en-us", "-s", "150", "--stdout", text]
    wave = subprocess.run(argv, capture_output=True, check=True).stdout
    rate = int.from_bytes(wave[24:28], "little")
    return resample(Pcm.from_bytes(wave[44 : 44 + (len(wave) - 44) // 2 * 2], rate), RATE).samples


def edges(samples: np.ndarray) -> tuple[float, float]:
    """Where speech begins and ends in a clean piece of it, in seconds: above 2 % of its loudest, smoothed over 5 ms."""
    level = np.convolve(np.abs(samples.astype(float)), np.ones(80) / 80, "same")
    heard = np.flatnonzero(level > 0.02 * level.max())
    return float(heard[0]) / RATE, float(heard[-1]) / RATE


def conversation(sentences: int = 20, gap_s: float = 1.5) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Sentences with silence between, and where each one begins and ends."""
    parts: list[np.ndarray] = []
    truth, at = [], 0.0
    for text in SENTENCES[:sentences]:
        words = spoken(text)
        begin, end = edges(words)
        truth.append((at + gap_s + begin, at + gap_s + end))
        parts += [np.zeros(round(gap_s * RATE), np.int16), words]
        at += gap_s + len(words) / RATE
    return np.concatenate([*parts, np.zeros(round(gap_s * RATE), np.int16)]), truth


def noise(seconds: float, level: float, seed: int = 1, slope: float = 0.0) -> np.ndarray:
    """White noise with this RMS; `slope` 0.5: pink, 1: brown."""
    chance = np.random.default_rng(seed)
    spectrum = np.fft.rfft(chance.standard_normal(round(seconds * RATE)))
    spectrum /= np.maximum(1, np.arange(len(spectrum))) ** slope
    wave = np.fft.irfft(spectrum, round(seconds * RATE))
    return wave / wave.std() * level


def tone(seconds: float, hz: float, level: float = 6000.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def smoke_alarm(seconds: float, *, hz: float = 3100.0, tempo: float = 1.0, begins: float = 0.0) -> np.ndarray:
    """T3: three beeps of half a second, then a pause. `tempo` 1.2: a fifth slower."""
    t = (np.arange(round(seconds * RATE)) / RATE - begins) / tempo
    return tone(seconds, hz, 3000.0) * ((t >= 0) & (t % 4 < 2.5) & (t % 1 < 0.5))


def co_alarm(seconds: float, *, hz: float = 3100.0, tempo: float = 1.0, begins: float = 0.0) -> np.ndarray:
    """T4: four beeps of a tenth of a second, then five seconds of pause."""
    t = (np.arange(round(seconds * RATE)) / RATE - begins) / tempo
    return tone(seconds, hz, 3000.0) * ((t >= 0) & (t % 5.7 < 0.7) & (t % 5.7 % 0.2 < 0.1))


def melody(seconds: float, seed: int, *, base_hz: float = 262.0) -> np.ndarray:
    """Notes with harmonics, of random lengths that fit a beat."""
    chance = np.random.default_rng(seed)
    wave, at = np.zeros(round(seconds * RATE)), 0
    while at < len(wave):
        length = min(len(wave) - at, round(RATE * chance.choice((0.125, 0.25, 0.5, 0.5, 1.0))))
        hz = base_hz * 2 ** (chance.choice((0, 2, 4, 5, 7, 9, 11, 12, 14, 16)) / 12)
        t = np.arange(length) / RATE
        note = sum(np.sin(2 * np.pi * hz * n * t) / n for n in range(1, 6) if hz * n < RATE / 2)
        wave[at : at + length] = 5000 * note * np.exp(-3 * t)
        at += length
    return wave


def beeps(seconds: float, hz: float, on_s: float, period_s: float) -> np.ndarray:
    """A tone that comes and goes for ever: a lorry that reverses, a timer."""
    t = np.arange(round(seconds * RATE)) / RATE
    return tone(seconds, hz) * (t % period_s < on_s)


def to_samples(wave: np.ndarray) -> np.ndarray:
    return np.clip(wave, -32768, 32767).astype(np.int16)
