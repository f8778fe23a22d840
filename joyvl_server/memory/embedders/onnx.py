"""Small ONNX models that run on the CPU, in a thread: multilingual-e5-small and MiniLM. Never fetched silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from joyvl_server.kit.net.option_checks import validated
from joyvl_server.kit.threads import BoundedThreads
from joyvl_server.memory.base import EmbedderContext, EmbedderError, EmbedKind, Matrix
from joyvl_server.memory.embedders.options import OnnxOptions
from joyvl_server.memory.models import CATALOGUE, TOKENIZER, WEIGHTS, EmbeddingModel

TIMEOUT_S = 60.0
AT_ONCE = 2
"""so that a question does not wait for a batch of memories"""


def open_e5(options: Mapping[str, Any], context: EmbedderContext) -> OnnxEmbedder:
    """See `EmbedderFactory`."""
    return OnnxEmbedder(CATALOGUE["e5"], options, context)


def open_minilm(options: Mapping[str, Any], context: EmbedderContext) -> OnnxEmbedder:
    """See `EmbedderFactory`."""
    return OnnxEmbedder(CATALOGUE["minilm"], options, context)


class OnnxEmbedder:
    """The mean over the tokens of a text, of length 1."""

    def __init__(self, model: EmbeddingModel, options: Mapping[str, Any], context: EmbedderContext) -> None:
        """Blocking. Raises `ConfigError`, `EmbedderError` where weights or packages are missing."""
        chosen = validated(OnnxOptions, options, f"memory.options.{model.name}")
        self.name = f"{model.name}:{model.repository.rpartition('/')[2]}"
        self.dimensions = model.dimensions
        self._prefix = {"query": model.query, "passage": model.passage}
        folder = chosen.folder or model.folder(context.models_dir)
        self._tokenizer, self._session = _load(model, folder, chosen.threads)
        self._inputs = {given.name for given in self._session.get_inputs()}
        self._threads = BoundedThreads(model.name, limit=AT_ONCE, timeout_s=TIMEOUT_S)

    async def embed(self, texts: Sequence[str], kind: EmbedKind = "passage") -> Matrix:
        """See `Embedder`."""
        prefixed = [self._prefix[kind] + text for text in texts]
        try:
            return await self._threads.run(lambda: self._embed(prefixed))
        except TimeoutError:
            raise EmbedderError(f"The embedder {self.name} is busy or hangs.", code="timeout") from None

    async def aclose(self) -> None:
        """See `Embedder`."""

    def _embed(self, texts: list[str]) -> Matrix:
        """Blocking."""
        encoded = self._tokenizer.encode_batch(texts)
        mask = np.array([one.attention_mask for one in encoded], np.int64)
        given = {"input_ids": np.array([one.ids for one in encoded], np.int64), "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            given["token_type_ids"] = np.zeros_like(mask)
        states = self._session.run(None, given)[0]
        weights = mask[..., None].astype(np.float32)
        mean = (states * weights).sum(1) / np.maximum(weights.sum(1), 1.0)
        unit: Matrix = (mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)).astype(np.float32)
        return unit


def _load(model: EmbeddingModel, folder: Path, threads: int) -> tuple[Any, Any]:
    """Tokenizer and session. Raises `EmbedderError`."""
    missing = [name for name in (TOKENIZER, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise EmbedderError(
            f"{folder} has no {missing[0]}. Fetch it with: joyvl models get {model.name}", code="unavailable"
        )
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError as error:
        raise EmbedderError(f"The embedder {model.name} needs a package: {error}.", code="unavailable") from None
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads, how.inter_op_num_threads = threads, 1
    how.log_severity_level = 3
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        session = onnxruntime.InferenceSession(str(folder / WEIGHTS), how, providers=["CPUExecutionProvider"])
    except Exception as error:  # both raise errors of their own for a broken file
        raise EmbedderError(
            f"The files in {folder} cannot be read ({type(error).__name__}). Remove the folder and fetch it again: "
            f"joyvl models get {model.name}",
            code="unavailable",
        ) from None
    tokenizer.enable_truncation(model.tokens)
    tokenizer.enable_padding()
    return tokenizer, session
