"""Engine `whisper`: the server's side."""

from __future__ import annotations

from dataclasses import replace

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.speech.asr.whisper.options import (
    WHERE,
    WhisperOptions,
    has_package,
    model_folder,
    turn_model,
)
from joyvl_server.speech.base import Heard, SpeechContext, SpeechError, SpeechState
from joyvl_server.speech.process.process import ProcessSpec, SpeechProcess

MODULE = "joyvl_server.speech.asr.whisper.worker"
RATE = 16_000
MOST_S = 30.5
"""The model hears no more at once."""


class WhisperAsr:
    """An `Asr`, and a `TurnDetector`. The process works on one sentence after the other."""

    name = "whisper"

    def __init__(self, context: SpeechContext) -> None:
        """Raises `ConfigError`: wrong options, no faster-whisper, no model."""
        options = validated(WhisperOptions, context.options, WHERE)
        if not has_package(options):
            raise ConfigError(
                "Engine whisper needs the package faster-whisper. Install it (scripts/run --with speech), or name the "
                f"Python of an environment that has it in {WHERE}.python."
            )
        folder = model_folder(options, context.models_dir)
        turn = turn_model(options, context.models_dir)
        told = options.model_dump(exclude={"model", "python", "partials", "smart_turn", "timeout_s", "start_timeout_s"})
        told |= {"folder": str(folder), "turn_model": None if turn is None else str(turn)}
        self._model = folder.name
        self._options = options
        self._process = SpeechProcess(
            ProcessSpec(
                name=self.name,
                module=MODULE,
                options=told,
                python=None if options.python is None else options.python.expanduser(),
                threads=options.cpu_threads,
                start_timeout_s=options.start_timeout_s,
                timeout_s=options.timeout_s,
                # Work that nobody waits for any more cannot be broken off, and a busy machine takes its time for it.
                stuck_s=2 * options.timeout_s,
            ),
            context.clock,
        )

    @property
    def state(self) -> SpeechState:
        return replace(self._process.state, extra={"model": self._model})

    @property
    def process(self) -> SpeechProcess:
        return self._process

    @property
    def partials(self) -> bool:
        return self._options.partials

    @property
    def detects_turns(self) -> bool:
        return self._options.smart_turn

    async def start(self) -> None:
        """See `SpeechProcess.start`."""
        await self._process.start()

    async def hear(self, audio: Pcm, *, language: str | None, partial: bool = False) -> Heard:
        """See `Asr.hear`. Raises `SpeechError` as `SpeechProcess.ask`, and too_long. Cancelled, the model finishes
        what it is at, and that is thrown away."""
        data = _data(audio)
        if audio.seconds > MOST_S:
            raise SpeechError("Whisper hears at most 30 s at once.", code="too_long")
        spoken = None if language is None else language.partition("-")[0].lower()
        piece = await self._process.request("hear", {"language": spoken, "partial": partial}, data)
        text, found = piece.head.get("text"), piece.head.get("language")
        if not isinstance(text, str):
            raise SpeechError("whisper: It gave no words.")
        return Heard(text, found if isinstance(found, str) else None)

    async def finished(self, audio: Pcm) -> float | None:
        """See `TurnDetector`."""
        piece = await self._process.request("turn", {}, _data(audio))
        return float(piece.head["probability"])

    async def aclose(self) -> None:
        """See `SpeechProcess.aclose`."""
        await self._process.aclose()


def _data(audio: Pcm) -> bytes:
    if audio.rate != RATE:
        raise SpeechError(f"Whisper hears sound of {RATE} Hz, not {audio.rate}.")
    return audio.samples.astype("<i2", copy=False).tobytes()
