"""The child's side of engine `whisper`: see `speech.process.host`. numpy and faster-whisper are all it needs.

The decoding is ours, because what faster-whisper offers for files costs too much here: the encoder is given a window as
long as the speech needs instead of 30 s, and what comes out looking wrong is decoded once more with all of them, in
place of six tries at rising temperatures (which can take half a minute).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from joyvl_server.speech.asr.filters import Decoded, is_doubtful, understood
from joyvl_server.speech.process.worker import EngineFault, Pieces, Request

RATE = 16_000
FULL_WINDOW = 3000
"""frames of 10 ms that the model was trained with"""
LEAST_WINDOW = 1000
MARGIN = 500
"""frames after the speech: a model that sees no silence after it goes round in circles"""
SURE = 0.6
"""probability from which on a language counts as found"""
TURN_S = 8

Sound = NDArray[np.float32]


def load(options: dict[str, Any]) -> WhisperWorker:
    return WhisperWorker(options)


class WhisperWorker:
    """`hear`: sound to words. `turn`: has somebody finished, or only paused? 16-bit samples at 16 kHz."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._model = WhisperModel(
            options["folder"],
            device=options["device"],
            compute_type=options["compute_type"],
            cpu_threads=options["cpu_threads"],
            local_files_only=True,
        )
        self._multilingual = bool(self._model.model.is_multilingual)
        self._known = set(self._model.supported_languages)
        self._turn = TurnModel(options["turn_model"]) if options.get("turn_model") else None
        self.info = {"multilingual": self._multilingual, "turn": self._turn is not None}
        self._decode(np.zeros(RATE, np.float32), "en", 4, LEAST_WINDOW)  # the first one is slow

    def hear(self, request: Request) -> Pieces:
        sound = samples(request.data)
        language, sure = request.fields.get("language"), True
        if not self._multilingual:
            language = "en"
        elif language not in self._known:
            language = None
        most = self._options["partial_tokens" if request.fields.get("partial") else "max_tokens"]
        decoded, language, sure = self._decode(sound, language, most, self._window(sound))
        short = self._window(sound) < FULL_WINDOW
        if short and is_doubtful(decoded) and not request.fields.get("partial") and not request.cancelled:
            decoded, language, sure = self._decode(sound, language if sure else None, most, FULL_WINDOW)
        text = understood(decoded)
        yield {"text": text, "language": language if sure else None, "raw": decoded.text[:200],
               "logprob": decoded.logprob, "silence": decoded.silence}, b""  # fmt: skip

    def turn(self, request: Request) -> Pieces:
        if self._turn is None:
            raise EngineFault("There is no model for the end of a turn.", "unavailable")
        yield {"probability": self._turn.finished(samples(request.data))}, b""

    def _window(self, sound: Sound) -> int:
        if not self._options["short_window"]:
            return FULL_WINDOW
        return min(FULL_WINDOW, max(LEAST_WINDOW, len(sound) * 100 // RATE + MARGIN))

    def _decode(self, sound: Sound, language: str | None, tokens: int, window: int) -> tuple[Decoded, str, bool]:
        features = self._model.feature_extractor(sound)[:, :window]
        features = np.pad(features, ((0, 0), (0, window - features.shape[-1])))
        encoded = self._model.encode(features)
        sure = True
        if language is None:
            language, sure = self._language(encoded)
        tokenizer = Tokenizer(self._model.hf_tokenizer, self._multilingual, task="transcribe", language=language)
        # A prompt of its own writing keeps Chinese in simplified characters, with punctuation.
        before = self._options["prompts"].get(language, "")
        prompt = self._model.get_prompt(
            tokenizer,
            tokenizer.encode(" " + before) if before else [],
            without_timestamps=True,
            hotwords=self._options.get("hotwords"),
        )
        result = self._model.model.generate(
            encoded, [prompt], beam_size=self._options["beam_size"], max_length=len(prompt) + tokens,
            return_scores=True, return_no_speech_prob=True, suppress_blank=True, suppress_tokens=[-1],
        )[0]  # fmt: skip
        ids = result.sequences_ids[0]
        mean = result.scores[0] * len(ids) / (len(ids) + 1)
        text = tokenizer.decode([number for number in ids if number < tokenizer.eot])
        return Decoded(text, len(sound) / RATE, mean, result.no_speech_prob, before), language, sure

    def _language(self, encoded: Any) -> tuple[str, bool]:
        """The likeliest language, of those that are allowed, and whether it is sure."""
        allowed = set(self._options["languages"])
        found = [(token[2:-2], share) for token, share in self._model.model.detect_language(encoded)[0]]
        chosen = [entry for entry in found if not allowed or entry[0] in allowed] or found
        language, share = max(chosen, key=lambda entry: entry[1])
        return language, share >= SURE * sum(share for _, share in chosen)


class TurnModel:
    """Smart Turn: from how somebody speaks, has he finished or only paused?"""

    def __init__(self, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._features = FeatureExtractor(feature_size=80, chunk_length=TURN_S)

    def finished(self, sound: Sound) -> float:
        """Between 0 (goes on) and 1 (has finished), from the last 8 s."""
        last = sound[-TURN_S * RATE :]
        last = np.pad(last, (TURN_S * RATE - len(last), 0))
        last = (last - last.mean()) / np.sqrt(last.var() + 1e-7)
        features = self._features(last.astype(np.float32), padding=0)[None, :, : TURN_S * 100]
        return float(self._session.run(None, {"input_features": features.astype(np.float32)})[0].ravel()[0])


def samples(data: bytes) -> Sound:
    return (np.frombuffer(data, "<i2") / np.float32(32768)).astype(np.float32)
