"""Open a source once, look at it for a moment, close it: what is there, or what is wrong, in words."""

from __future__ import annotations

import time
from typing import Any

import av

from joyvl_server.core.errors import JoyvlError, NotAllowed
from joyvl_server.ingest import source_errors
from joyvl_server.ingest.base import ProbeReport
from joyvl_server.ingest.worker.deadlines import Deadline, Timeouts, libav_obeys
from joyvl_server.ingest.worker.opening import OpenedStream, frames, open_source, seconds
from joyvl_server.kit.net.policy import CheckedUrl, NetPolicy

LOOK_S = 4.0
"""How long to wait for a second keyframe."""


def probe(url: str, policy: NetPolicy, timeouts: Timeouts) -> ProbeReport:
    """Blocks for the open and stall timeouts and four seconds at most."""
    began = time.monotonic()
    try:
        facts = _look(policy.check(url), timeouts)
    except JoyvlError as error:
        code = "not_allowed" if isinstance(error, NotAllowed) else error.code
        took_s = round(time.monotonic() - began, 3)
        return ProbeReport(False, took_s, error_code=code, error=str(error), hint=source_errors.hint(code))
    return ProbeReport(True, round(time.monotonic() - began, 3), **facts)


def _look(url: CheckedUrl, timeouts: Timeouts) -> dict[str, Any]:
    deadline = Deadline(time.monotonic() + timeouts.open_s)
    with libav_obeys(deadline):
        opened = open_source(url, timeouts, deadline)
        try:
            return _facts(opened, deadline, timeouts, is_file=url.path is not None)
        finally:
            opened.close()


def _facts(opened: OpenedStream, deadline: Deadline, timeouts: Timeouts, *, is_file: bool) -> dict[str, Any]:
    """Decodes up to the second keyframe. Raises `SourceError` where there is no picture."""
    deadline.allow(timeouts.stall_s)
    size: tuple[int, int] | None = None
    times: list[float] = []
    keys: list[float] = []
    failure: av.FFmpegError | None = None
    try:
        for frame in frames(opened, deadline):
            if size is None:
                size = (frame.width, frame.height)
                deadline.allow(LOOK_S)
            at = seconds(frame)
            if at is not None:
                times.append(at)
            start = at or 0.0  # the first frame may have no pts
            if frame.key_frame and (not keys or start > keys[-1]):
                keys.append(start)
            if len(keys) > 1:
                break
    except av.FFmpegError as error:
        failure = error
    if size is None:
        if is_file:
            raise source_errors.no_picture_in_file()
        raise source_errors.camera_gone(failure, timeouts.stall_s, late=deadline.passed)
    return {
        "width": size[0],
        "height": size[1],
        "fps": opened.fps or _rate(times),
        "codec": opened.codec,
        "has_audio": opened.has_audio,
        "keyframe_interval_s": round(keys[1] - keys[0], 3) if len(keys) > 1 else None,
        "extra": {} if len(keys) > 1 or not times else {"keyframes": f"one in {times[-1] - times[0]:.1f} s"},
    }


def _rate(times: list[float]) -> float | None:
    span = times[-1] - times[0] if times else 0.0
    return round((len(times) - 1) / span, 2) if span > 0 else None
