"""Speaks sentences with real voices, in the speech environment: `say.py MODELS LANGUAGE OUT.npz < sentences.json`.

Each becomes 16-bit sound at 16 kHz, with 0.3 s of silence before and 0.5 s after it. Piper speaks English, Kokoro
Chinese.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av
import numpy as np


def english(models: Path):
    from piper import PiperVoice

    voice = PiperVoice.load(models / "voices/en_US-joe-medium.onnx")

    def speak(text):
        pieces = list(voice.synthesize(text))
        return np.concatenate([piece.audio_int16_array for piece in pieces]), pieces[0].sample_rate

    return speak


def chinese(models: Path):
    import onnxruntime
    from misaki.zh import ZHG2P

    phonemes = ZHG2P()
    vocabulary = json.loads((models / "kokoro/vocab.json").read_text("utf-8"))["vocab"]
    style = np.fromfile(models / "kokoro/voices/zf_xiaoxiao.bin", np.float32).reshape(-1, 256)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    # Threads that wait by turning round take the time from those that work, where the machine is busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(models / "kokoro/model.onnx"), options, ["CPUExecutionProvider"])

    def speak(text):
        spoken = phonemes(text)
        spoken = spoken[0] if isinstance(spoken, tuple) else spoken
        tokens = [vocabulary[sign] for sign in spoken if sign in vocabulary]
        told = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style[min(len(tokens), len(style) - 1)].reshape(1, 256),
            "speed": np.ones(1, np.float32),
        }
        sound = session.run(None, told)[0].ravel()
        return (np.clip(sound, -1, 1) * 32767).astype(np.int16), 24_000

    return speak


def at_16_khz(sound, rate):
    resampler = av.AudioResampler("s16", "mono", 16_000)
    frame = av.AudioFrame.from_ndarray(sound[None], "s16", "mono")
    frame.rate = rate
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames])


def main(models: Path, language: str, out: str) -> None:
    speak = {"en": english, "zh": chinese}[language](models)
    sounds = []
    for text in json.load(sys.stdin):
        sound = at_16_khz(*speak(text))
        sounds.append(np.concatenate([np.zeros(4800, np.int16), sound, np.zeros(8000, np.int16)]))
    np.savez(out, *sounds)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
