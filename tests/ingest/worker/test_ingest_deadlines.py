"""A thread that libav holds can be told to stop. Fails when PyAV asks another clock than the one we lend it."""

from __future__ import annotations

import threading
import time

import av

from fakes.media.odd_camera import OddCamera
from fakes.patience import PATIENCE_S
from joyvl_server.ingest.worker.deadlines import Deadline, libav_obeys


def open_slowly(url: str, deadline: Deadline, took: list[float]) -> None:
    began = time.monotonic()
    with libav_obeys(deadline):
        try:
            av.open(url, options={"rtsp_transport": "tcp"}, timeout=(3600.0, 3600.0))
        except av.FFmpegError:
            took.append(time.monotonic() - began)


def test_another_thread_ends_a_wait() -> None:
    took: list[float] = []
    deadline = Deadline()
    with OddCamera(answer=lambda request: None) as camera:
        thread = threading.Thread(target=open_slowly, args=(camera.url, deadline, took))
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive()
        deadline.cancel()
        thread.join(PATIENCE_S)
    assert took


def test_a_deadline_set_before_ends_it_too_and_only_this_thread() -> None:
    took: list[float] = []
    with OddCamera(answer=lambda request: None) as camera, libav_obeys(Deadline()):
        soon = Deadline(time.monotonic() + 0.3)
        thread = threading.Thread(target=open_slowly, args=(camera.url, soon, took))
        thread.start()
        thread.join(PATIENCE_S)
    assert took[0] > 0.2


def test_a_wait_that_begins_too_late_ends_at_once() -> None:
    took: list[float] = []
    deadline = Deadline(time.monotonic() - 1.0)
    with OddCamera(answer=lambda request: None) as camera:
        thread = threading.Thread(target=open_slowly, args=(camera.url, deadline, took))
        thread.start()
        thread.join(PATIENCE_S)
    assert took


def test_passed() -> None:
    assert not Deadline().passed
    assert Deadline(time.monotonic() - 0.1).passed
