"""Is somebody speaking? Silero's network, version 6, from the file that the package faster-whisper carries."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.audio.pcm import Samples

RATE = 16_000
FRAME = 512
CONTEXT = 64
"""Samples of the frame before that the network wants to see again."""
STATE = (1, 1, 128)
INSTALL = "Install the extra `speech`: scripts/run --with speech, or pip install '.[speech]' in the checkout."


class SileroVad:
    """Remembers what it heard: one for each source. Not for two threads at once.

    `path`: another ONNX file of the same network. Raises `ConfigError` that says what to install, or what is wrong.
    """

    frame = FRAME
    """samples that it looks at together"""

    def __init__(self, path: str | Path | None = None) -> None:
        self._session = _session(str(path) if path is not None else str(_find_file()))
        self._input = np.zeros((1, CONTEXT + FRAME), np.float32)
        self.reset()

    def reset(self) -> None:
        """What comes next has nothing to do with what came before."""
        self._input[:] = 0.0
        self._h, self._c = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)

    def probability(self, samples: Samples) -> float:
        """That there is speech in these: shape (`frame`,), at 16 kHz."""
        given = self._input
        given[0, :CONTEXT] = given[0, -CONTEXT:]
        np.multiply(samples, np.float32(1 / 32768), out=given[0, CONTEXT:], casting="unsafe")
        found, self._h, self._c = self._session.run(None, {"input": given, "h": self._h, "c": self._c})
        return float(found[0])


@lru_cache(maxsize=4)
def _session(path: str) -> Any:
    """One network for all sources of a process: what it remembers travels with each call, so threads may share it."""
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(f"The package onnxruntime is missing. {INSTALL}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has errors of its own for each way in which a file can be broken
        raise ConfigError(f"The VAD's file {path} cannot be loaded: {type(error).__name__}.") from error
    names = {given.name for given in session.get_inputs()}
    if names != {"input", "h", "c"}:
        raise ConfigError(f"{path} is another network than Silero VAD 6: its inputs are {', '.join(sorted(names))}.")
    return session


def _find_file() -> Path:
    """Found without importing faster-whisper, which takes half a second and 100 MB."""
    spec = find_spec("faster_whisper")
    if spec is None or spec.origin is None:
        raise ConfigError(f"The package faster-whisper, which carries the VAD, is missing. {INSTALL}")
    found = sorted((Path(spec.origin).parent / "assets").glob("silero_vad_v6*.onnx"))
    if not found:
        raise ConfigError("This faster-whisper carries no Silero VAD 6. Use faster-whisper 1.2.")
    return found[-1]
