"""Files of weights: whole, cut off, or something else. Only their headers are read.

Format (github.com/huggingface/safetensors): 8 bytes with the length of the header, little-endian;  the header, JSON,
that names each tensor with its place; then the tensors. So the size of a whole file is known from its header.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LARGEST_HEADER = 100_000_000
LFS = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """`fault`: why it cannot be used, in words that follow its name; empty where it is whole."""

    fault: str
    tensors: frozenset[str] = frozenset()
    size: int = 0


def read_weights(path: Path) -> WeightsFile:
    """Blocks. Raises nothing."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            if start + file.read(len(LFS) - 8) == LFS:
                return WeightsFile("is a pointer of Git LFS, not the file itself")
            if len(start) < 8:
                return WeightsFile(f"is cut off: it has only {size} bytes")
            (length,) = struct.unpack("<Q", start)
            if length > min(size - 8, LARGEST_HEADER):
                plausible = 0 < length <= LARGEST_HEADER
                return WeightsFile("is cut off within its header" if plausible else "is no safetensors file", size=size)
            file.seek(8)
            header = json.loads(file.read(length))
            tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
            ends = [int(tensor["data_offsets"][1]) for tensor in tensors.values()]
    except OSError as error:
        return WeightsFile(f"cannot be read ({error.strerror})")
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError, IndexError):
        return WeightsFile("has a header that cannot be read")
    whole = 8 + length + max(ends, default=0)
    if size < whole:
        return WeightsFile(f"is cut off: {size / 1e9:.2f} of {whole / 1e9:.2f} GB are there", size=size)
    if size > whole:
        return WeightsFile(f"is longer than its header says ({size} instead of {whole} bytes)", size=size)
    return WeightsFile("", frozenset(tensors), size)


def read_index(path: Path) -> Mapping[str, str]:
    """Which file holds each tensor: `weight_map` of model.safetensors.index.json. Raises `ValueError`, `OSError`."""
    found = json.loads(path.read_text("utf-8"))
    names = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise ValueError("it names no files")
    return names
