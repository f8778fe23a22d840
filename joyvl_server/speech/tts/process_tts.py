"""What the voices share that speak in a process of their own: Piper and Kokoro."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import Clock
from joyvl_server.speech.base import SpeechState, Voice
from joyvl_server.speech.process.process import ProcessSpec, SpeechProcess
from joyvl_server.speech.text.language import same_language


class ProcessTts:
    """A `Tts`. One of these says which voices there are and what the process is asked with."""

    remote = False

    def __init__(self, spec: ProcessSpec, clock: Clock, voice: str | None) -> None:
        """`voice`: where nothing else names one; None: one of the language."""
        self.name = spec.name
        self._process = SpeechProcess(spec, clock)
        self._voice = voice

    @property
    def state(self) -> SpeechState:
        return self._process.state

    @property
    def pid(self) -> int | None:
        return self._process.pid

    async def start(self) -> None:
        """Start the process and load the model. Raises `SpeechError`. Cancelled, it goes on by itself."""
        await self._process.start()

    async def voices(self) -> list[Voice]:
        """Those in the folder that it can speak with. Cancelling it changes nothing."""
        return await asyncio.to_thread(self._find_voices)

    async def speak(self, text: str, *, voice: str | None, language: str | None) -> AsyncIterator[Pcm]:
        """See `Tts.speak`. Raises `SpeechError` (no_voice) where it has none for the language."""
        chosen = await asyncio.to_thread(self._choose, voice or self._voice, language)
        async with aclosing(self._process.ask("speak", {"text": text, **chosen})) as pieces:
            async for piece in pieces:
                yield Pcm.from_bytes(piece.data, int(piece.head["rate"]))

    async def aclose(self) -> None:
        """See `Tts.aclose`. Cancelled, the process is killed at once."""
        await self._process.aclose()

    def _find_voices(self) -> list[Voice]:
        """Blocks."""
        raise NotImplementedError

    def _choose(self, voice: str | None, language: str | None) -> dict[str, Any]:
        """What the process is asked with besides the text. Blocks. Raises `SpeechError` (no_voice)."""
        raise NotImplementedError


def check_package(python: Path | None, package: str, how: str) -> Path | None:
    """The Python to start. Raises `ConfigError` with `how` to install it, where that is ours and lacks the package."""
    if python is None and importlib.util.find_spec(package) is None:
        raise ConfigError(how)
    return python.expanduser() if python else None


def fitting_voices(voices: Sequence[Voice], language: str | None) -> list[str]:
    """The ids of those that speak the language; of all where it is None."""
    return [one.id for one in voices if language is None or same_language(one.language, language)]
