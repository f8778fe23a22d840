"""Piper in its own process. piper-tts is under GPL-3: it is imported here, in this process, and nowhere else."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import onnxruntime
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from joyvl_server.speech.process.worker import EngineFault, Pieces, Request
from joyvl_server.speech.tts.clauses import clauses

VOICES = 3
"""kept in memory; each is about 150 MB with what its longest clause took, which makes the first sound a fifth sooner"""
FIRST, EARLY, LONGEST = 36.0, 72.0, 160.0
"""Weights of clauses: a cancelled one must end within the second, and short ones sound choppy. The first may be shorter
where a mark ends it, as it is not heard before all of it is made."""
PIECE = 8192


def load(options: dict[str, Any]) -> PiperWorker:
    return PiperWorker(float(options["speed"]), int(options["threads"]))


class PiperWorker:
    def __init__(self, speed: float, threads: int) -> None:
        self._threads = threads
        self._config = SynthesisConfig(length_scale=1.0 / speed)
        self._voices: OrderedDict[str, PiperVoice] = OrderedDict()

    def speak(self, request: Request) -> Pieces:
        for clause in clauses(request.fields["text"], FIRST, LONGEST, EARLY):
            if request.cancelled:
                return
            yield from self.synthesize(request.fields["file"], clause)

    def synthesize(self, file: str, text: str) -> Pieces:
        voice = self._voice(file)
        for chunk in voice.synthesize(text, self._config):
            data = chunk.audio_int16_bytes
            for begin in range(0, len(data), 2 * PIECE):
                yield {"rate": chunk.sample_rate}, data[begin : begin + 2 * PIECE]

    def _voice(self, file: str) -> PiperVoice:
        if file in self._voices:
            self._voices.move_to_end(file)
            return self._voices[file]
        name = Path(file).stem
        try:
            voice = self._load(file)
        except FileNotFoundError:
            raise EngineFault(f"The voice {name} is not there any more.", "no_voice") from None
        except Exception as error:  # whatever onnxruntime and json say of a broken file
            words = str(error).strip().splitlines()[:1] or [type(error).__name__]
            raise EngineFault(f"The voice {name} cannot be read: {words[0][:200]}", "broken_voice") from None
        self._voices[file] = voice
        if len(self._voices) > VOICES:
            self._voices.popitem(last=False)
        return voice

    def _load(self, file: str) -> PiperVoice:
        """As `PiperVoice.load`, but with threads that are counted and sleep when there is nothing to do."""
        described = json.loads(Path(f"{file}.json").read_text("utf-8"))
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self._threads
        settings.enable_mem_pattern = False  # lengths vary: it would keep one for each, and grow for ever
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])
        return PiperVoice(session=session, config=PiperConfig.from_dict(described))
