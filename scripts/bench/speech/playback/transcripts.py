"""What whisper base understands of sounds, without a call around it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.speech.call import whisper_options
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.audio.resampler import resample
from joyvl_server.kit.clock import SystemClock
from joyvl_server.settings import Settings
from joyvl_server.speech.asr.whisper.engine import RATE, WhisperAsr
from joyvl_server.speech.base import SpeechContext

SLOWEST_S = 60.0


def transcribe(environment: Path, sounds: Sequence[Pcm], language: str) -> list[str]:
    """A text for each sound of at most 30 s. Blocks. Raises `SpeechError`."""
    with ThreadPoolExecutor(1) as other:  # this thread may have a loop already: Playwright's
        return other.submit(asyncio.run, _transcribe(environment, sounds, language)).result()


async def _transcribe(environment: Path, sounds: Sequence[Pcm], language: str) -> list[str]:
    options = whisper_options(environment, timeout_s=SLOWEST_S)
    models, policy = environment / "models", Settings().net_policy()
    asr = WhisperAsr(SpeechContext(options, models, SystemClock(), policy))
    try:
        return [(await asr.hear(resample(sound, RATE), language=language)).text for sound in sounds]
    finally:
        await asr.aclose()
