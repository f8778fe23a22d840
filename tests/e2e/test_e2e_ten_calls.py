"""Ten webcam calls in a row: the server holds no more after them than before."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.server.browser import DESKTOP, Watched, fake_webcam, start_call, stop_call, write_y4m
from fakes.server.server import Held, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.clips, pytest.mark.slow]

CALLS = 10
THREAD_SLACK = 4
"""Thread pools of a fixed size fill up as they are used; a thread left by each call would be ten."""
RSS_SLACK = 24 * 2**20
"""What an allocator may keep of its own; a call that leaked its pictures would keep more in one second."""


def test_ten_calls_in_a_row_leave_everything_flat(clips: Path, tmp_path: Path) -> None:
    video = write_y4m(clips / "people-one-by-one.mp4", tmp_path / "people.y4m", seconds=5)
    with ServerProcess(tmp_path / "data") as server, fake_webcam(video) as browser:
        watched = Watched(browser.new_context(viewport=DESKTOP), server.url, expected=("404",))
        before = _after_calls(server, watched, 3)
        after = _after_calls(server, watched, CALLS)
        print(f"before {before}\nafter  {after}")
        assert after.processes == before.processes
        assert after.threads <= before.threads + THREAD_SLACK
        assert after.descriptors <= before.descriptors + 2
        assert after.rss <= before.rss + RSS_SLACK
        assert watched.complaints == []


def _after_calls(server: ServerProcess, watched: Watched, count: int) -> Held:
    for _ in range(count):
        session_id = start_call(watched.page, server.url)
        server.wait(lambda s=session_id: len(server.ticks(s)) >= 2)
        stop_call(watched.page)
        server.wait(lambda: server.call("GET", "/v1/sessions")["data"] == [])
    watched.page.goto("about:blank")
    watched.page.wait_for_timeout(1000)
    return server.held()
