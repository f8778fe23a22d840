"""Voice `kokoro`: Kokoro-82M as ONNX in a process of its own; English, Chinese and some more, 24 kHz."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pydantic import Field

from joyvl_server.kit.net.option_checks import validated
from joyvl_server.speech.base import SpeechContext, SpeechError, Voice
from joyvl_server.speech.options import SpeechOptions
from joyvl_server.speech.process.process import ProcessSpec
from joyvl_server.speech.text.language import base_language
from joyvl_server.speech.tts.process_tts import ProcessTts, check_package, fitting_voices

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


class KokoroTts(ProcessTts):
    def __init__(self, context: SpeechContext) -> None:
        """Raises `ConfigError` for wrong options, and where the package is missing."""
        options = validated(KokoroOptions, context.options, WHERE)
        python = check_package(
            options.python,
            "onnxruntime",
            "The voice kokoro needs the package onnxruntime (scripts/run --with speech), or name the Python of an "
            f"environment that has it in {WHERE}.python.",
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
        super().__init__(spec, context.clock, options.voice)

    async def start(self) -> None:
        """Start the process and load the model. Raises `SpeechError`. Cancelled, it goes on by itself."""
        await asyncio.to_thread(self._check)
        await super().start()

    def _check(self) -> None:
        if not (self._folder / "model.onnx").is_file():
            raise SpeechError(
                f"kokoro: There is no model in {self._folder}. Get it: joyvl voices get kokoro.", code="no_voice"
            )

    def _find_voices(self) -> list[Voice]:
        found = []
        for file in sorted((self._folder / "voices").glob("*.bin")):
            language = LANGUAGES.get(file.stem[:1])
            if language is not None and language != "ja":
                found.append(Voice(file.stem, language, file.stem[3:].replace("_", " ").title()))
        return found

    def _choose(self, voice: str | None, language: str | None) -> dict[str, Any]:
        self._check()
        there = self._find_voices()
        if voice is not None:
            if voice not in {one.id for one in there}:
                raise SpeechError(f"kokoro: There is no voice {voice} in {self._folder}.", code="no_voice")
            return {"voice": voice}
        fitting = fitting_voices(there, language)
        if not fitting:
            raise SpeechError(f"kokoro: It has no voice for {language or 'any language'}.", code="no_voice")
        preferred = PREFERRED.get(base_language(language or "en"))
        return {"voice": preferred if preferred in fitting else fitting[0]}
