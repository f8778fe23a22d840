"""Runs `page.server` on a free port in a thread."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from playwright.sync_api import Page, expect

from fakes.page.server import make_app
from fakes.page.world import World
from fakes.patience import PATIENCE_S


class Site:
    def __init__(self, base: str, world: World) -> None:
        self.base = base
        self.world = world

    def steer(self, path: str, **body: Any) -> Any:
        """POST to one of the server's `/fake/…` paths."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}/fake/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return json.load(response)

    def tick(self, session_id: str, **tick: Any) -> Any:
        return self.steer(f"sessions/{session_id}/tick", **tick)


def open_live(page: Page, base: str) -> None:
    """Open the first session and wait until its stream is live."""
    page.goto(f"{base}/#/live/ses_1")
    expect(page.locator(".live[data-stream=live]")).to_be_visible()


@contextmanager
def page_site(world: World, *, api_key: str | None = None) -> Iterator[Site]:
    config = uvicorn.Config(
        make_app(world, live=False, api_key=api_key),
        host="127.0.0.1",
        port=0,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, name="page-server")
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)  # a bound socket refuses until somebody listens
    try:
        yield Site(f"http://127.0.0.1:{socket.getsockname()[1]}", world)
    finally:
        world.close()
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the page server did not stop"
