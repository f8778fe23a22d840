"""A frame: one picture of a source with its capture time."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
"""A small grey picture, uint8, shape (height, width), longest side `media.grey_side` pixels (192 by default)."""


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded JPEG.

    `sha256` is the hex digest of the bytes; `name`, its short form, names the picture to engines. `jpeg` is empty in a
    replay (the machine never looks inside it) and in a context that never sends the picture again.
    """

    jpeg: bytes
    sha256: str
    width: int
    height: int

    @property
    def name(self) -> str:
        """128 bits of the hash, for requests that name a picture many times: 22 characters instead of 64."""
        return urlsafe_b64encode(bytes.fromhex(self.sha256[:32])).decode("ascii").rstrip("=")


NO_GREY: Grey = np.zeros((0, 0), np.uint8)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture. `t` is its capture time in stream seconds of the session, `wall` the same moment in Unix seconds.

    Two frames are equal when they show the same pictures of the same moment, whatever else is kept of them.
    """

    t: float
    wall: float
    image: Image
    grey: Grey = field(compare=False)
    glance: Image | None = None
    """The same picture at the model's floor of 64 tokens, where the session asked for one."""
    trail: tuple[tuple[float, Grey], ...] = field(default=(), compare=False, metadata={"logged": False})
    """(t, grey) of the moments just before, oldest first, about five a second, where the session asked for them.

    They serve engines that follow movement. The machine decides without them, so logs leave them out.
    """
