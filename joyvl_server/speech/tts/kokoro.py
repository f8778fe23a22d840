"""Voice `kokoro`: Kokoro-82M as ONNX in a process of its own; English, Chinese and some more, 24 kHz."""

from __future__ import annotations

import asyncio
import importlib.util
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

WHERE = "speech.options.kokoro"
LANGUAGES = {
    "a": "en-US", "b": "en-GB", "e": "es", "f": "fr", "h": "hi", "i": "it", "j": "ja", "p": "pt-BR", "z": "zh",
}  # fmt: skip
"""First letter of a voice's name → its language. Japanese needs phonemes that nothing here makes."""
PREFERRED = {"en": "af_heart", "zh": "zf_xiaoxiao"}


class KokoroOptions(SpeechOptions):
    python: Path | None = Field(None, description="Python of an environment that has onnxruntime; empty: the server's.")
    model_dir: Path | None = Field(
        None, description="Folder with `model.onnx`, `tokenizer.json` and `voices`; empty: `kokoro` in that of models."
    )
    voice: str | None = Field(None, description="Voice where nothing else names one; empty: one of the language.")
    speed: float = Field(1.0, ge=0.5, le=2.0, description="How fast it speaks.")
    threads: int = Field(2, ge=1, le=16, description="Threads of its computation.")
    timeout_s: float = Field(20.0, gt=0, le=120, description="Longest wait for the next piece of sound.")


class KokoroTts:
    name = "kokoro"
    remote = False

    def __init__(self, context: SpeechContext) -> None:
        """Raises `ConfigError` for wrong options, and where the package is missing."""
        self._options = options = read_options(KokoroOptions, context.options, WHERE)
        python = options.python.expanduser() if options.python else None
        if python is None and importlib.util.find_spec("onnxruntime") is None:
            raise ConfigError(
                "The voice kokoro needs the package onnxruntime: pip install 'joyvl-server[speech]', or name the "
                f"Python of an environment that has it in {WHERE}.python."
            )
        self._folder = options.model_dir.expanduser() if options.model_dir else context.models_dir / "kokoro"
        given = {
            "folder": str(self._folder),
            "cache": str(context.models_dir / ".cache"),
            "threads": options.threads,
            "speed": options.speed,
        }
        module = "joyvl_server.speech.tts.kokoro_worker"
        spec = ProcessSpec("kokoro", module, given, python, options.threads, timeout_s=options.timeout_s)
        self._process = SpeechProcess(spec, context.clock)

    @property
    def state(self) -> SpeechState:
        return self._process.state

    @property
    def pid(self) -> int | None:
        return self._process.pid

    async def start(self) -> None:
        """Start the process and load the model. Raises `SpeechError`. Cancelled, it goes on by itself."""
        await asyncio.to_thread(self._check)
        await self._process.start()

    async def voices(self) -> list[Voice]:
        """Those in the folder that it can speak with. Cancelling it changes nothing."""
        return await asyncio.to_thread(self._voices)

    async def speak(self, text: str, *, voice: str | None, language: str | None) -> AsyncIterator[Pcm]:
        """See `Tts.speak`. Raises `SpeechError` (no_voice) where it has none for the language."""
        chosen = await asyncio.to_thread(self._choose, voice or self._options.voice, language)
        async with aclosing(self._process.ask("speak", {"text": text, "voice": chosen})) as pieces:
            async for piece in pieces:
                yield Pcm.from_bytes(piece.data, int(piece.head["rate"]))

    async def aclose(self) -> None:
        """See `Tts.aclose`. Cancelled, the process is killed at once."""
        await self._process.aclose()

    def _check(self) -> None:
        if not (self._folder / "model.onnx").is_file():
            raise SpeechError(
                f"kokoro: There is no model in {self._folder}. Get it: joyvl voices get kokoro.", code="no_voice"
            )

    def _voices(self) -> list[Voice]:
        found = []
        for file in sorted((self._folder / "voices").glob("*.bin")):
            language = LANGUAGES.get(file.stem[:1])
            if language is not None and language != "ja":
                found.append(Voice(file.stem, language, file.stem[3:].replace("_", " ").title()))
        return found

    def _choose(self, voice: str | None, language: str | None) -> str:
        self._check()
        there = self._voices()
        if voice is not None:
            if voice not in {one.id for one in there}:
                raise SpeechError(f"kokoro: There is no voice {voice} in {self._folder}.", code="no_voice")
            return voice
        fitting = [one.id for one in there if language is None or same_language(one.language, language)]
        preferred = PREFERRED.get(base_language(language or "en"))
        if preferred in fitting:
            return preferred
        if not fitting:
            raise SpeechError(f"kokoro: It has no voice for {language or 'any language'}.", code="no_voice")
        return fitting[0]
