"""The grey pictures of the moments before a frame."""

from __future__ import annotations

import av
import numpy as np
import pytest

from joyvl_server.ingest.shared_frames import FrameLayout, SharedFrames, create_memory
from joyvl_server.ingest.worker.frame_encoder import FrameEncoder
from joyvl_server.ingest.worker.grey_history import TRAIL_LENGTH, GreyHistory


def shade(value: int, size: tuple[int, int] = (640, 360)) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), value, np.uint8), format="rgb24")


def test_nothing_is_kept_until_somebody_wants_it():
    history = GreyHistory(192)
    assert history.record(shade(10), 0.0) == ()
    assert history.record(shade(10), 1.0) == ()


def test_about_five_a_second_whatever_the_frame_rate():
    history = GreyHistory(192)
    history.wanted = True
    for number in range(61):
        kept = history.record(shade(number * 4), number / 30)
    times = [t for t, _ in kept]
    assert len(kept) == TRAIL_LENGTH
    assert np.allclose(np.diff(times), 0.2, atol=0.02)
    assert times[-1] == pytest.approx(1.8, abs=0.05)  # the newest frame itself is not in its own trail
    assert all(grey.shape == (108, 192) for _, grey in kept)


def test_every_frame_of_a_slow_camera():
    history = GreyHistory(192)
    history.wanted = True
    for t in (0.0, 0.5, 1.0):
        kept = history.record(shade(9), t)
    assert [t for t, _ in kept] == [0.0, 0.5]


def test_time_that_jumps_back_is_kept_too():
    history = GreyHistory(192)
    history.wanted = True
    history.record(shade(9), 50.0)
    history.record(shade(9), 0.0)
    assert [t for t, _ in history.record(shade(9), 0.05)] == [50.0, 0.0]


def test_the_trail_is_made_like_the_grey_of_the_frame_and_reaches_main_whole():
    layout = FrameLayout(slots=2, max_pixels=262_144, grey_side=192)
    fd = create_memory(layout)
    memory = SharedFrames(fd, layout)
    rng = np.random.default_rng(1)
    frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (720, 1280, 3), dtype=np.uint8), format="rgb24")
    history = GreyHistory(192)
    history.wanted = True
    history.record(frame, 0.0)
    picture = FrameEncoder(262_144, 192, 85).encode(frame, glance=False)
    memory.write(1, 1, 0.5, 100.0, picture, history.record(frame, 0.5))
    read = memory.read(1, 1)
    ((t, grey),) = read.trail
    assert t == 0.0
    assert np.array_equal(grey, read.grey)
    memory.close()
