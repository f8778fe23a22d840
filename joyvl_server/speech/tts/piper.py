"""Voice `piper`: Piper in a process of its own, with the voices found in a folder."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from pydantic import Field

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.speech.base import SpeechContext, SpeechError, SpeechState, Voice
from joyvl_server.speech.options import SpeechOptions, read_options
from joyvl_server.speech.process.process import ProcessSpec, SpeechProcess
from joyvl_server.speech.text.language import base_language, same_language

WHERE = "speech.options.piper"
MAX_CONFIG = 1_000_000


class PiperOptions(SpeechOptions):
    python: Path | None = Field(None, description="Python of an environment that has piper-tts; empty: the server's.")
    voices_dir: Path | None = Field(None, description="Folder with `*.onnx` and `*.onnx.json`; empty: that of models.")
    voice: str | None = Field(None, description="Voice where nothing else names one; empty: one of the language.")
    speed: float = Field(1.0, ge=0.5, le=2.0, description="How fast it speaks.")
    threads: int = Field(2, ge=1, le=16, description="Threads of its computation.")
    timeout_s: float = Field(15.0, gt=0, le=120, description="Longest wait for the next piece of sound.")


class PiperTts:
    name = "piper"
    remote = False

    def __init__(self, context: SpeechContext) -> None:
        """Raises `ConfigError` for wrong options, and where the package is missing."""
        self._options = options = read_options(PiperOptions, context.options, WHERE)
        python = options.python.expanduser() if options.python else None
        if python is None and importlib.util.find_spec("piper") is None:
            raise ConfigError(
                "The voice piper needs the package piper-tts (GPL-3): pip install piper-tts, here or in an environment "
                f"of its own whose Python {WHERE}.python names."
            )
        self._folder = options.voices_dir.expanduser() if options.voices_dir else context.models_dir / "voices"
        spec = ProcessSpec(
            "piper",
            "joyvl_server.speech.tts.piper_worker",
            {"speed": options.speed, "threads": options.threads},
            python=python,
            threads=options.threads,
            timeout_s=options.timeout_s,
        )
        self._process = SpeechProcess(spec, context.clock)

    @property
    def state(self) -> SpeechState:
        return self._process.state

    @property
    def pid(self) -> int | None:
        return self._process.pid

    async def start(self) -> None:
        """Start the process and load the voice. Raises `SpeechError`. Cancelled, it goes on by itself."""
        await self._process.start()
        async for _ in self.speak("Hello.", voice=None, language="en"):
            pass

    async def voices(self) -> list[Voice]:
        """Of the folder, sorted. A voice whose description cannot be read is left out. Cancelling changes nothing."""
        return await asyncio.to_thread(find_voices, self._folder)

    async def speak(self, text: str, *, voice: str | None, language: str | None) -> AsyncIterator[Pcm]:
        """See `Tts.speak`. Raises `SpeechError` (no_voice) where the folder has none for the language."""
        file = await asyncio.to_thread(self._file, voice or self._options.voice, language)
        async with aclosing(self._process.ask("speak", {"text": text, "file": str(file)})) as pieces:
            async for piece in pieces:
                yield Pcm.from_bytes(piece.data, int(piece.head["rate"]))

    async def aclose(self) -> None:
        """See `Tts.aclose`. Cancelled, the process is killed at once."""
        await self._process.aclose()

    def _file(self, voice: str | None, language: str | None) -> Path:
        if voice is not None:
            if "/" in voice or not (found := self._folder / f"{voice}.onnx").is_file():
                raise SpeechError(f"piper: There is no voice {voice} in {self._folder}.", code="no_voice")
            return found
        there = find_voices(self._folder)
        fitting = [one for one in there if language is None or same_language(one.language, language)]
        if not fitting:
            what = f" for {base_language(language)}" if language and there else ""
            raise SpeechError(
                f"piper: There is no voice{what} in {self._folder}. Get one: joyvl voices list.", code="no_voice"
            )
        return self._folder / f"{fitting[0].id}.onnx"


def find_voices(folder: Path) -> list[Voice]:
    """Blocks."""
    found = []
    for file in sorted(folder.glob("*.onnx")):
        try:
            with file.with_name(f"{file.name}.json").open(encoding="utf-8") as stream:
                described = json.loads(stream.read(MAX_CONFIG))
            language = described.get("language", {}).get("code") or described["espeak"]["voice"]
            found.append(Voice(file.stem, str(language).replace("_", "-"), str(described.get("dataset") or file.stem)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found
