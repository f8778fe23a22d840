"""A piece of sound."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Pcm:
    """Mono sound: `samples` has the shape (n,), `rate` is in Hz."""

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def to_base64(self) -> str:
        """The samples, little-endian, as they travel in JSON."""
        return base64.b64encode(self.samples.astype("<i2", copy=False).tobytes()).decode()

    @classmethod
    def from_base64(cls, text: str, rate: int) -> Pcm:
        """Raises `ValueError` where it is not base64, or half a sample is left over."""
        return cls.from_bytes(base64.b64decode(text, validate=True), rate)

    @classmethod
    def from_bytes(cls, data: bytes, rate: int) -> Pcm:
        """Raises `ValueError` where half a sample is left over."""
        return cls(np.frombuffer(data, "<i2").astype(np.int16, copy=False), rate)
