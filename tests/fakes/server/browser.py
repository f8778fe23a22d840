"""Real Chromium for the page's tests: how it is started, what a page must not do, the clicks of a call."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import av
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from fakes.patience import PATIENCE_S

PATIENCE_MS = 1000 * PATIENCE_S
expect.set_options(timeout=PATIENCE_MS)
CHROMIUM = os.environ.get("JOYVL_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@contextmanager
def chromium(*flags: str, executable: str = CHROMIUM) -> Iterator[Browser]:
    """A browser; `executable` starts it. Hold it no longer than one module: Playwright's loop must be gone before async
    tests run."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"Chromium is not at {CHROMIUM}; name it in JOYVL_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


def write_y4m(clip: Path, path: Path, *, seconds: float, width: int = 640, height: int = 480, fps: int = 10) -> Path:
    """The beginning of a clip as raw video, which Chromium plays in a loop as its webcam's picture."""
    with av.open(str(clip)) as source, path.open("wb") as out:
        out.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        written = 0
        for frame in source.decode(video=0):
            if frame.time is None or frame.time * fps < written:
                continue
            if frame.time >= seconds:
                break
            picture = frame.reformat(width, height, "yuv420p").to_ndarray()
            out.write(b"FRAME\n" + picture.tobytes())
            written += 1
    return path


@contextmanager
def fake_webcam(video: Path, sound: Path | None = None) -> Iterator[Browser]:
    """A browser whose webcam plays `video` (Y4M) and that asks nobody for permission. `sound`: a WAV file that its
    microphone hears, in a loop; without one it beeps."""
    flags = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    ]
    if sound is not None:
        flags.append(f"--use-file-for-fake-audio-capture={sound}")
    with chromium(*flags) as browser:
        yield browser


class Watched:
    """A tab under watch: `complaints` lists console errors, uncaught errors and requests to another host.

    A status that the page handles (a camera without a picture, a session that ended) is logged by Chromium itself as
    a failed resource; tests that provoke one name it in `expected`.
    """

    def __init__(self, context: BrowserContext, base: str, *, expected: tuple[str, ...] = ()) -> None:
        self.complaints: list[str] = []
        context.set_default_timeout(PATIENCE_MS)
        self.page: Page = context.new_page()
        self._host = urlsplit(base).netloc
        self._expected = expected
        self.page.on("console", self._check_console)
        self.page.on("pageerror", lambda error: self._note(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._check_host(request.url))
        self.page.on("websocket", lambda socket: self._check_host(socket.url))

    def forgive(self, text: str) -> None:
        """Take one complaint off the list, which has to be there."""
        self.complaints.remove(next(complaint for complaint in self.complaints if text in complaint))

    def _check_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(part in message.text for part in self._expected):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def _note(self, text: str) -> None:
        if not any(part in text for part in self._expected):
            self.complaints.append(text)

    def _check_host(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self._host:
            self.complaints.append(f"request to another host: {url}")


def start_call(page: Page, base: str) -> str:
    """Open the landing page, click the big button, wait until connected. Returns the session's id."""
    page.goto(f"{base}/#/live")
    page.get_by_role("button", name="Use this webcam").click()
    expect(page.locator(".live[data-call=connected]")).to_be_visible()
    return page.url.rpartition("/")[2]


def stop_call(page: Page) -> None:
    """Click "Hang up" and wait until the page has let go of the webcam."""
    page.get_by_role("button", name="Hang up").click()
    expect(page.locator(".live[data-call]")).to_have_count(0)
