"""Pictures through shared memory: whole or not at all, and nothing with a name."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from fakes.patience import PATIENCE_S
from joyvl_server.core.frame import Image
from joyvl_server.ingest import shared_frames
from joyvl_server.ingest.shared_frames import FrameLayout, SharedFrames, TornFrame, create_memory
from joyvl_server.ingest.worker.frame_encoder import EncodedFrame

LAYOUT = FrameLayout(slots=3, max_pixels=65_536, grey_side=64)


def image(byte: int, size: int) -> Image:
    return Image(bytes([byte]) * size, f"{byte:02x}" * 32, 320, 200)


def picture(byte: int, size: int = 5000, *, glance: bool = False) -> EncodedFrame:
    return EncodedFrame(image(byte, size), np.full((40, 64), byte, np.uint8), image(byte, 300) if glance else None)


@pytest.fixture
def ends() -> Iterator[tuple[SharedFrames, SharedFrames]]:
    fd = create_memory(LAYOUT)
    worker, main = SharedFrames(fd, LAYOUT), SharedFrames(fd, LAYOUT)
    os.close(fd)
    yield worker, main
    worker.close()
    main.close()


def test_what_is_written_is_read(ends: tuple[SharedFrames, SharedFrames]) -> None:
    worker, main = ends
    worker.write(2, 1, 12.5, 1e9, picture(7, glance=True))
    frame = main.read(2, 1)
    assert (frame.t, frame.wall) == (12.5, 1e9)
    assert frame.image == image(7, 5000)
    assert frame.glance == image(7, 300)
    assert frame.grey.shape == (40, 64)
    assert (frame.grey == 7).all()


def test_the_half_before_stays_readable_the_one_before_that_does_not(ends: tuple[SharedFrames, SharedFrames]) -> None:
    worker, main = ends
    for sequence in (1, 2):
        worker.write(0, sequence, float(sequence), 0.0, picture(sequence))
    assert main.read(0, 1).t == 1.0
    assert main.read(0, 2).glance is None
    worker.write(0, 3, 3.0, 0.0, picture(3))
    with pytest.raises(TornFrame):
        main.read(0, 1)


def test_slots_do_not_touch_each_other(ends: tuple[SharedFrames, SharedFrames]) -> None:
    worker, main = ends
    biggest = LAYOUT.glance_offset - 4096
    for slot in range(3):
        for sequence in (1, 2):
            worker.write(slot, sequence, 0.0, 0.0, picture(10 * slot + sequence, biggest, glance=True))
    for slot in range(3):
        for sequence in (1, 2):
            assert main.read(slot, sequence).image == image(10 * slot + sequence, biggest)


def test_too_big_is_refused_and_harms_nothing(ends: tuple[SharedFrames, SharedFrames]) -> None:
    worker, main = ends
    worker.write(0, 1, 1.0, 0.0, picture(1))
    with pytest.raises(ValueError, match="does not fit"):
        worker.write(0, 2, 2.0, 0.0, picture(2, LAYOUT.half_size))
    assert main.read(0, 1).t == 1.0


def test_a_picture_overwritten_while_it_is_read_is_torn(
    ends: tuple[SharedFrames, SharedFrames], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, main = ends
    worker.write(0, 1, 1.0, 0.0, picture(1))
    take = shared_frames._take

    def take_late(*args: object) -> bytes:
        worker.write(0, 3, 3.0, 0.0, picture(3))
        return take(*args)

    monkeypatch.setattr(shared_frames, "_take", take_late)
    with pytest.raises(TornFrame):
        main.read(0, 1)


def test_a_reader_never_gets_a_mixed_picture(ends: tuple[SharedFrames, SharedFrames]) -> None:
    worker, main = ends
    stop = threading.Event()
    latest = [0]

    def write() -> None:
        while not stop.is_set():
            sequence = latest[0] + 1
            worker.write(0, sequence, float(sequence), 0.0, picture(sequence % 251, 150_000))
            latest[0] = sequence

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=write)
    thread.start()
    whole = 0
    try:
        while whole < 300:
            sequence = latest[0] or 1
            try:
                frame = main.read(0, sequence)
            except TornFrame:
                continue
            whole += 1
            assert frame.image == image(sequence % 251, 150_000)
            assert frame.t == sequence
            assert (frame.grey == sequence % 251).all()
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        sys.setswitchinterval(interval)


def test_it_has_no_name_and_costs_nothing_before_it_is_used() -> None:
    fd = create_memory(FrameLayout(slots=64, max_pixels=262_144, grey_side=192))
    try:
        status = os.fstat(fd)
        assert status.st_nlink == 0
        assert status.st_blocks == 0
    finally:
        os.close(fd)


def test_without_memfd_a_file_without_a_name_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    fd = create_memory(LAYOUT)
    try:
        status = os.fstat(fd)
        assert (status.st_nlink, status.st_size) == (0, LAYOUT.size)
    finally:
        os.close(fd)
