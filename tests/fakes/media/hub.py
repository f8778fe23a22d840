"""A real hub with real workers, for a test; in the end it must leave nothing behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from fakes.media import rtsp_server
from joyvl_server.ingest.hub import MediaHub
from joyvl_server.ingest.worker.clips.limits import ClipLimits
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.settings import MediaSettings

FAST: dict[str, Any] = {"open_timeout_s": 3.0, "stall_timeout_s": 1.5, "call_timeout_s": 3.0}


def need_rtsp() -> None:
    """Skip where there is no gst-rtsp-server, saying what is missing."""
    missing = rtsp_server.available()
    if missing:
        pytest.skip(missing)


@asynccontextmanager
async def media_hub(*roots: Path, clips: ClipLimits | None = None, **settings: Any) -> AsyncIterator[MediaHub]:
    """Closes the hub and then counts: workers, tasks and file descriptors are what they were."""
    tasks, workers, descriptors = asyncio.all_tasks(), _workers(), _descriptors()
    hub = MediaHub(MediaSettings(**{**FAST, **settings}), NetPolicy(file_roots=tuple(map(str, roots))), clips=clips)
    try:
        yield hub
    finally:
        await hub.aclose()
    for _ in range(300):
        left = (asyncio.all_tasks() - tasks, _workers() - workers, _descriptors() - descriptors)
        if not left[0] and not left[1] and left[2] <= 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"left behind: tasks {left[0]}, processes {left[1]}, {left[2]} descriptors")


def _workers() -> set[int]:
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "rtsp_server.py" not in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def _descriptors() -> int:
    """Without the TCP connections of cameras that tests play themselves."""
    return len(os.listdir("/proc/self/fd")) - len(psutil.Process().net_connections("tcp"))
