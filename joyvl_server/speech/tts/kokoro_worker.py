"""Kokoro in its own process: text → phonemes → ONNX → sound of 24 kHz, clause by clause."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from joyvl_server.speech.process.worker import EngineFault, Pieces, Request
from joyvl_server.speech.tts.clauses import clauses, ends_with_mark
from joyvl_server.speech.tts.phonemes import Phonemes

RATE = 24_000
MAX_TOKENS = 500
STYLES, WIDTH = 510, 256
FIRST, LONGEST = 10.0, 90.0
"""Weights of clauses. It takes a quarter of the time that its sound lasts: the first one is short."""
QUIET = 0.01
LEAD_S, TAIL_S = 0.03, 0.12
"""What stays of the silence that the model puts before and after a clause."""
ACCENTS = {"a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "p": "pt-br", "z": "en-us"}
"""First letter of a voice's name → espeak-ng's name of its language."""


def load(options: dict[str, Any]) -> KokoroWorker:
    return KokoroWorker(Path(options["folder"]), Path(options["cache"]), options["threads"], options["speed"])


class KokoroWorker:
    def __init__(self, folder: Path, cache: Path, threads: int, speed: float) -> None:
        self._folder = folder
        self._speed = np.array([speed], np.float32)
        self._vocabulary = read_vocabulary(folder)
        self._styles: dict[str, Any] = {}
        self._phonemes = Phonemes(cache)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.enable_cpu_mem_arena = settings.enable_mem_pattern = False  # lengths vary: they would grow for ever
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it would heat a core while waiting
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # whatever onnxruntime says of a broken file
            words = str(error).splitlines()[:1] or [type(error).__name__]
            raise EngineFault(f"The model in {folder} cannot be read: {words[0][:200]}", "unavailable") from None
        self._input = self._session.get_inputs()[0].name
        self._warm()

    def _warm(self) -> None:
        """The first run is slow, and Chinese loads a dictionary: that goes on while English speaks already."""
        voices = sorted(file.stem for file in (self._folder / "voices").glob("*.bin"))
        for voice in voices:
            try:
                self._synthesize([50, 83, 54, 156, 57, 135], voice)
                break
            except EngineFault:
                continue  # a broken file is told when somebody asks for that voice
        if any(voice.startswith("z") for voice in voices):
            threading.Thread(target=self._phonemes.warm, name="Chinese", daemon=True).start()

    def speak(self, request: Request) -> Pieces:
        voice = request.fields["voice"]
        # A clause takes up to seconds: whoever interrupts must not wait for its end before the next sentence begins.
        running = onnxruntime.RunOptions()
        request.stop = lambda: setattr(running, "terminate", True)
        for clause in clauses(request.fields["text"], FIRST, LONGEST):
            if request.cancelled:
                return
            spoken = self._phonemes.of(clause, ACCENTS.get(voice[0], "en-us"))
            tokens = [self._vocabulary[sign] for sign in spoken if sign in self._vocabulary]
            for begin in range(0, len(tokens), MAX_TOKENS):
                if request.cancelled:
                    return
                tail_s = TAIL_S if ends_with_mark(clause) else LEAD_S
                try:
                    sound = self._synthesize(tokens[begin : begin + MAX_TOKENS], voice, tail_s, running)
                except Exception:  # onnxruntime has no class of its own for what was told to stop
                    if request.cancelled:
                        return
                    raise
                yield {"rate": RATE}, sound

    def _synthesize(self, tokens: list[int], voice: str, tail_s: float = TAIL_S, running: Any = None) -> bytes:
        style = self._style(voice)[min(len(tokens), STYLES) - 1].reshape(1, WIDTH)
        given = {self._input: np.array([[0, *tokens, 0]], np.int64), "style": style, "speed": self._speed}
        sound = trimmed(np.asarray(self._session.run(None, given, running)[0]).ravel(), tail_s)
        return bytes((np.clip(sound, -1.0, 1.0) * 32767).astype("<i2").tobytes())

    def _style(self, voice: str) -> Any:
        if voice not in self._styles:
            try:
                found = np.fromfile(self._folder / "voices" / f"{voice}.bin", np.float32)
            except OSError:
                raise EngineFault(f"There is no voice {voice}.", "no_voice") from None
            if found.size != STYLES * WIDTH or not np.isfinite(found).all():
                raise EngineFault(f"The file of the voice {voice} is broken.", "broken_voice")
            self._styles[voice] = found.reshape(STYLES, WIDTH)
        return self._styles[voice]


def read_vocabulary(folder: Path) -> dict[str, int]:
    """Phoneme → token, of `tokenizer.json` as on the Hub or of a plain `vocab.json`. Raises `EngineFault`."""
    for name in ("tokenizer.json", "vocab.json", "config.json"):
        try:
            found = json.loads((folder / name).read_text("utf-8"))
            vocabulary = found["vocab"] if "vocab" in found else found["model"]["vocab"]
            return {str(sign): int(token) for sign, token in vocabulary.items()}
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise EngineFault(f"{folder / name} cannot be read.", "unavailable") from None
    raise EngineFault(f"{folder} has no tokenizer.json.", "unavailable")


def trimmed(sound: Any, tail_s: float) -> Any:
    """Without the long silences at both ends; a little of them stays."""
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    if not loud.size:
        return sound[:0]
    return sound[max(0, loud[0] - int(LEAD_S * RATE)) : loud[-1] + int(tail_s * RATE)]
