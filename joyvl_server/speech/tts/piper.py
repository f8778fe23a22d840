"""Voice `piper`: Piper in a process of its own, with the voices found in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from joyvl_server.kit.net.option_checks import validated
from joyvl_server.speech.base import SpeechContext, SpeechError, Voice
from joyvl_server.speech.options import SpeechOptions
from joyvl_server.speech.process.process import ProcessSpec
from joyvl_server.speech.text.language import base_language
from joyvl_server.speech.tts.process_tts import ProcessTts, check_package, fitting_voices

WHERE = "speech.options.piper"
MAX_CONFIG = 1_000_000


class PiperOptions(SpeechOptions):
    python: Path | None = Field(None, description="Python of an environment that has piper-tts; empty: the server's.")
    voices_dir: Path | None = Field(None, description="Folder with `*.onnx` and `*.onnx.json`; empty: that of models.")
    voice: str | None = Field(None, description="Voice where nothing else names one; empty: one of the language.")
    speed: float = Field(1.0, ge=0.5, le=2.0, description="How fast it speaks.")
    threads: int = Field(2, ge=1, le=16, description="Threads of its computation.")
    timeout_s: float = Field(15.0, gt=0, le=120, description="Longest wait for the next piece of sound.")


class PiperTts(ProcessTts):
    def __init__(self, context: SpeechContext) -> None:
        """Raises `ConfigError` for wrong options, and where the package is missing."""
        options = validated(PiperOptions, context.options, WHERE)
        python = check_package(
            options.python,
            "piper",
            "The voice piper needs the package piper-tts (GPL-3): pip install piper-tts, here or in an environment of "
            f"its own whose Python {WHERE}.python names.",
        )
        self._folder = options.voices_dir.expanduser() if options.voices_dir else context.models_dir / "voices"
        given = {"speed": options.speed, "threads": options.threads}
        module = "joyvl_server.speech.tts.piper_worker"
        spec = ProcessSpec("piper", module, given, python, options.threads, timeout_s=options.timeout_s)
        super().__init__(spec, context.clock, options.voice)

    async def start(self) -> None:
        """Start the process and load the voice. Raises `SpeechError`. Cancelled, it goes on by itself."""
        await super().start()
        async for _ in self.speak("Hello.", voice=None, language=None):
            pass

    def _find_voices(self) -> list[Voice]:
        return find_voices(self._folder)

    def _choose(self, voice: str | None, language: str | None) -> dict[str, Any]:
        return {"file": str(self._file(voice, language))}

    def _file(self, voice: str | None, language: str | None) -> Path:
        if voice is not None:
            if "/" in voice or not (found := self._folder / f"{voice}.onnx").is_file():
                raise SpeechError(f"piper: There is no voice {voice} in {self._folder}.", code="no_voice")
            return found
        there = find_voices(self._folder)
        fitting = fitting_voices(there, language)
        if not fitting:
            what = f" for {base_language(language)}" if language and there else ""
            raise SpeechError(
                f"piper: There is no voice{what} in {self._folder}. Get one: joyvl voices list.", code="no_voice"
            )
        return self._folder / f"{fitting[0]}.onnx"


def find_voices(folder: Path) -> list[Voice]:
    """Of the folder, sorted. A voice whose description cannot be read is left out. Blocks."""
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
