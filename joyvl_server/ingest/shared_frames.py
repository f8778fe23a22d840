"""Pictures in shared memory, from a media worker to main.

One arena per worker, made before it starts and handed over as a file descriptor: it has no name, so nothing is left
behind whatever is killed. It has a slot per source; a slot has two halves, written in turn, so that main reads one
while the worker writes the other. A half's sequence number is taken away before writing and set after it: a reader that
finds the same number before and after copying has a whole picture. Pages that were never written cost no memory.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from dataclasses import dataclass

import numpy as np

from joyvl_server.core.frame import Frame, Grey, Image
from joyvl_server.ingest.worker.frame_encoder import GLANCE_PIXELS, EncodedFrame
from joyvl_server.ingest.worker.grey_history import KEPT, TrailOf

_HEAD = struct.Struct("<QddIIIIIIIII32s32s")
"""sequence, t, wall; bytes, width, height of picture and of glance; grey width, height; trail's length; both sha256."""
_TRAIL = struct.Struct("<dII")
"""t, width, height of one grey picture of the trail; its pixels follow at its place."""
_PAGE = 4096
_BYTES_PER_PIXEL = 3
"""Pure noise at quality 100 takes two bytes a pixel."""


class TornFrame(Exception):
    """The half was written while it was read, or holds another picture than the one asked for."""


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """Sizes of one arena; both sides make it from the same settings."""

    slots: int
    max_pixels: int
    grey_side: int

    @property
    def glance_at(self) -> int:
        return _PAGE + _pages(self.max_pixels * _BYTES_PER_PIXEL)

    @property
    def grey_at(self) -> int:
        return self.glance_at + _pages(GLANCE_PIXELS * _BYTES_PER_PIXEL)

    def trail_at(self, index: int) -> int:
        """Where the trail's picture with this index stands; the one after the last is the end."""
        return self.grey_at + _pages(self.grey_side**2) + index * _pages(_TRAIL.size + self.grey_side**2)

    @property
    def half(self) -> int:
        return self.trail_at(KEPT)

    @property
    def size(self) -> int:
        return self.slots * 2 * self.half


def _pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def create(layout: FrameLayout) -> int:
    """A new file descriptor without a name, of the layout's size. The caller closes it."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("joyvl-arena", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile(prefix="joyvl-arena") as unlinked:
            fd = os.dup(unlinked.fileno())
    os.ftruncate(fd, layout.size)
    return fd


class SharedFrames:
    """One mapping of the shared memory. `close()` gives it back."""

    def __init__(self, fd: int, layout: FrameLayout) -> None:
        self._layout = layout
        self._memory = mmap.mmap(fd, layout.size)

    def close(self) -> None:
        self._memory.close()

    def write(
        self, slot: int, sequence: int, t: float, wall: float, picture: EncodedFrame, trail: TrailOf = ()
    ) -> None:
        """Worker's side. `sequence` grows by one with each picture of a slot, from 1."""
        start, memory, layout = self._start(slot, sequence), self._memory, self._layout
        image, glance = picture.image, picture.glance
        small = glance.jpeg if glance is not None else b""
        if len(image.jpeg) > layout.glance_at - _PAGE or len(small) > layout.grey_at - layout.glance_at:
            raise ValueError(f"a JPEG of {len(image.jpeg)} bytes does not fit its slot")
        height, width = picture.grey.shape
        small_size = (glance.width, glance.height) if glance is not None else (0, 0)
        small_sha = bytes.fromhex(glance.sha256) if glance is not None else bytes(32)
        struct.pack_into("<Q", memory, start, 0)
        _put(memory, start + _PAGE, image.jpeg)
        _put(memory, start + layout.glance_at, small)
        _put(memory, start + layout.grey_at, picture.grey.tobytes())
        for index, (then, grey) in enumerate(trail):
            at = start + layout.trail_at(index)
            _TRAIL.pack_into(memory, at, then, grey.shape[1], grey.shape[0])
            _put(memory, at + _TRAIL.size, grey.tobytes())
        _HEAD.pack_into(
            memory, start, 0, t, wall, len(image.jpeg), image.width, image.height, len(small), *small_size,
            width, height, len(trail), bytes.fromhex(image.sha256), small_sha,
        )  # fmt: skip
        struct.pack_into("<Q", memory, start, sequence)

    def read(self, slot: int, sequence: int) -> Frame:
        """Main's side: a copy of the picture with this sequence number. Raises `TornFrame`."""
        start, memory, layout = self._start(slot, sequence), self._memory, self._layout
        head = _HEAD.unpack_from(memory, start)
        found, t, wall, size, w, h, small, small_w, small_h, grey_w, grey_h, steps, sha, small_sha = head
        if found != sequence:
            raise TornFrame
        image = Image(_take(memory, start + _PAGE, size), sha.hex(), w, h)
        grey = np.frombuffer(_take(memory, start + layout.grey_at, grey_w * grey_h), np.uint8)
        glance = None
        if small:
            glance = Image(_take(memory, start + layout.glance_at, small), small_sha.hex(), small_w, small_h)
        trail = tuple(self._step(start + layout.trail_at(index)) for index in range(min(steps, KEPT)))
        if struct.unpack_from("<Q", memory, start)[0] != sequence:
            raise TornFrame
        return Frame(t, wall, image, grey.reshape(grey_h, grey_w), glance, trail)

    def _step(self, at: int) -> tuple[float, Grey]:
        t, width, height = _TRAIL.unpack_from(self._memory, at)
        pixels = np.frombuffer(_take(self._memory, at + _TRAIL.size, width * height), np.uint8)
        return t, pixels.reshape(height, width)

    def _start(self, slot: int, sequence: int) -> int:
        return (slot * 2 + sequence % 2) * self._layout.half


def _put(memory: mmap.mmap, at: int, data: bytes) -> None:
    memory[at : at + len(data)] = data


def _take(memory: mmap.mmap, at: int, size: int) -> bytes:
    return memory[at : at + size]
