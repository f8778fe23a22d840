"""An ONNX model of a few hundred bytes that looks tokens up in a table, and its tokenizer: the real path can run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = ["[UNK]", "query:", "passage:", "dog", "cat", "parcel", "door"]
WIDTH = 384


def write_model(folder: Path) -> None:
    """Each word is a direction of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.eye(len(WORDS), WIDTH, dtype="<f4")
    table[:3] *= 0.1
    (folder / "model_quantized.onnx").write_bytes(_model(table))


def _model(table: np.ndarray) -> bytes:
    """`last_hidden_state` = rows of the table; `attention_mask` is taken and not used. Fields by their numbers in
    onnx.proto."""
    initializer = _number(1, table.shape[0]) + _number(1, table.shape[1]) + _number(2, 1) + _text(8, b"table")
    initializer += _text(9, table.tobytes())
    gather = _text(1, b"table") + _text(1, b"input_ids") + _text(2, b"last_hidden_state") + _text(4, b"Gather")
    graph = _text(1, gather) + _text(2, b"tiny") + _text(5, initializer)
    graph += _text(11, _value(b"input_ids", 7, 2)) + _text(11, _value(b"attention_mask", 7, 2))
    graph += _text(12, _value(b"last_hidden_state", 1, 3))
    return _number(1, 8) + _text(7, graph) + _text(8, _text(1, b"") + _number(2, 13))


def _value(name: bytes, kind: int, dimensions: int) -> bytes:
    shape = b"".join(_text(1, _text(2, b"%s%d" % (name[:1], n))) for n in range(dimensions))
    return _text(1, name) + _text(2, _text(1, _number(1, kind) + _text(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])
