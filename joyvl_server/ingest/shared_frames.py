"""Pictures in shared memory, from a media worker to main.

One memory per worker, made before it starts and handed over as a file descriptor: it has no name, so nothing is left
behind whatever is killed. It has a slot per source; a slot has two halves, written in turn, so that main reads one
while the worker writes the other. The writer clears a half's sequence number before it writes and sets it afterwards: a
reader that finds the same number before and after copying has a whole picture. Pages that were never written cost no
memory.
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
from joyvl_server.ingest.worker.grey_history import TRAIL_LENGTH, GreyTrail

_HEAD = struct.Struct("<QddIIIIIIIII32s32s")
"""sequence, t, wall; bytes, width, height of picture and of glance; grey width, height; trail's length; both sha256."""
_TRAIL = struct.Struct("<dII")
"""t, width, height of one grey picture of the trail; its pixels follow."""
_PAGE = 4096
_BYTES_PER_PIXEL = 3
"""Pure noise at quality 100 takes two bytes a pixel."""


class TornFrame(Exception):
    """The half was written while it was read, or holds another picture than the one asked for."""


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """Sizes and offsets, in bytes; both sides make them from the same settings."""

    slots: int
    max_pixels: int
    grey_side: int

    @property
    def glance_offset(self) -> int:
        return _PAGE + _pages(self.max_pixels * _BYTES_PER_PIXEL)

    @property
    def grey_offset(self) -> int:
        return self.glance_offset + _pages(GLANCE_PIXELS * _BYTES_PER_PIXEL)

    def trail_offset(self, index: int) -> int:
        """Where the trail's picture with this index begins; the one after the last is the end."""
        return self.grey_offset + _pages(self.grey_side**2) + index * _pages(_TRAIL.size + self.grey_side**2)

    @property
    def half_size(self) -> int:
        return self.trail_offset(TRAIL_LENGTH)

    @property
    def size(self) -> int:
        return self.slots * 2 * self.half_size


def _pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def create_memory(layout: FrameLayout) -> int:
    """A new file descriptor without a name, of the layout's size. The caller closes it."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("joyvl-frames", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile(prefix="joyvl-frames") as unlinked:
            fd = os.dup(unlinked.fileno())
    os.ftruncate(fd, layout.size)
    return fd


class SharedFrames:
    """One mapping of the shared memory, for the worker to write and for main to read."""

    def __init__(self, fd: int, layout: FrameLayout) -> None:
        self._layout = layout
        self._memory = mmap.mmap(fd, layout.size)

    def close(self) -> None:
        self._memory.close()

    def write(
        self, slot: int, sequence: int, t: float, wall: float, picture: EncodedFrame, trail: GreyTrail = ()
    ) -> None:
        """Worker's side. `sequence` grows by one with each picture of a slot, from 1."""
        start, memory, layout = self._start(slot, sequence), self._memory, self._layout
        image, glance = picture.image, picture.glance
        small = glance.jpeg if glance is not None else b""
        if len(image.jpeg) > layout.glance_offset - _PAGE or len(small) > layout.grey_offset - layout.glance_offset:
            raise ValueError(f"a JPEG of {len(image.jpeg)} bytes does not fit its slot")
        height, width = picture.grey.shape
        small_size = (glance.width, glance.height) if glance is not None else (0, 0)
        small_sha = bytes.fromhex(glance.sha256) if glance is not None else bytes(32)
        struct.pack_into("<Q", memory, start, 0)
        _put(memory, start + _PAGE, image.jpeg)
        _put(memory, start + layout.glance_offset, small)
        _put(memory, start + layout.grey_offset, picture.grey.tobytes())
        for index, (then, grey) in enumerate(trail):
            at = start + layout.trail_offset(index)
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
        grey = np.frombuffer(_take(memory, start + layout.grey_offset, grey_w * grey_h), np.uint8)
        glance = None
        if small:
            glance = Image(_take(memory, start + layout.glance_offset, small), small_sha.hex(), small_w, small_h)
        trail = tuple(self._read_grey(start + layout.trail_offset(index)) for index in range(min(steps, TRAIL_LENGTH)))
        if struct.unpack_from("<Q", memory, start)[0] != sequence:
            raise TornFrame
        return Frame(t, wall, image, grey.reshape(grey_h, grey_w), glance, trail)

    def _read_grey(self, at: int) -> tuple[float, Grey]:
        t, width, height = _TRAIL.unpack_from(self._memory, at)
        pixels = np.frombuffer(_take(self._memory, at + _TRAIL.size, width * height), np.uint8)
        return t, pixels.reshape(height, width)

    def _start(self, slot: int, sequence: int) -> int:
        return (slot * 2 + sequence % 2) * self._layout.half_size


def _put(memory: mmap.mmap, at: int, data: bytes) -> None:
    memory[at : at + len(data)] = data


def _take(memory: mmap.mmap, at: int, size: int) -> bytes:
    return memory[at : at + size]
