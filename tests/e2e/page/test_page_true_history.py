"""The page against the real server, killed, cut off, without an engine: its history and its states stay true."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from fakes.engines.openai_server import FakeOpenAI
from fakes.media.proxy import silent_proxy
from fakes.patience import PATIENCE_S
from fakes.server.browser import Watched
from fakes.server.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOISE = ("Failed to load resource", "WebSocket connection")


def open_demo(page: Page, base: str) -> str:
    page.goto(base)
    page.get_by_role("link", name="Open demo").click()
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    return page.url.rpartition("/")[2]


def shown(page: Page) -> list[tuple[str, str]]:
    """(time, text) of each remark in the transcript."""
    parts = "line.querySelector('time').dateTime, line.querySelector('.said-text').textContent"
    lines = page.locator(".line.said").evaluate_all(f"lines => lines.map(line => [{parts}])")
    return [(at[:19], text) for at, text in lines]


def recorded(server: ServerProcess, session: str) -> list[tuple[str, str]]:
    """The same of the server's timeline."""
    events = server.call("GET", f"/v1/events?session_id={session}&type=spoke&type=watch_fired&limit=300")["data"]
    return [(event["at"][:19], event["text"]) for event in events[::-1]]


def wait_for_remarks(server: ServerProcess, page: Page, session: str, count: int) -> None:
    """The server has said so many things, and the page shows as many as that."""
    server.wait(lambda: len(recorded(server, session)) >= count)
    page.wait_for_function(f"() => document.querySelectorAll('.line.said').length >= {count}")


def test_the_history_is_true_after_a_kill_and_a_camera_edit(tmp_path: Path, context: BrowserContext) -> None:
    with ServerProcess(tmp_path, demo=True) as first:
        port = first.url.rpartition(":")[2].rstrip("/")
        watched = Watched(context, first.url, expected=(*NOISE, "404"))
        page = watched.page
        session = open_demo(page, first.url)
        wait_for_remarks(first, page, session, 2)
        first.kill()
        expect(page.locator(".live-head .badge").first).to_have_text("No contact")
        expect(page.locator(".no-picture")).to_contain_text("The server does not answer.")
        before = shown(page)
        with ServerProcess(tmp_path, "--port", port, demo=True) as second:
            expect(page.locator(".live[data-stream=live]")).to_be_visible()
            expect(page.locator(".live-head .badge").first).to_have_text("Online")
            wait_for_remarks(second, page, session, len(recorded(second, session)) + 2)
            camera = second.call("GET", "/v1/cameras")["data"][0]
            second.call("PATCH", f"/v1/cameras/{camera['id']}", {"engine": "motion"})
            expect(page.locator(".live[data-stream=live]")).to_be_visible()
            wait_for_remarks(second, page, session, len(recorded(second, session)) + 2)
            page.wait_for_timeout(1000)
            kept, seen = recorded(second, session), shown(page)
            assert len(seen) == len(set(seen)), "nothing is shown twice"
            assert [line for line in kept if line not in seen] == [], "nothing is missing"
            assert [line for line in seen if line not in kept and line not in before] == [], "nothing is made up"
            assert seen == sorted(seen, key=lambda line: line[0])
            page.reload()
            expect(page.locator(".line.said").first).to_be_visible()
            page.wait_for_timeout(1000)
            again = shown(page)
            assert again[: len(kept)] == kept, "after a reload it is what the record says"
        assert watched.complaints == []


def test_a_silent_network_hides_nothing_for_long_and_loses_nothing(tmp_path: Path, context: BrowserContext) -> None:
    with ServerProcess(tmp_path, demo=True) as server, silent_proxy(server.url) as line:
        watched = Watched(context, line.base, expected=NOISE)
        page = watched.page
        session = open_demo(page, line.base)
        wait_for_remarks(server, page, session, 1)
        line.silence()
        expect(page.locator(".live-head .badge").first).to_have_text("No contact")
        expect(page.locator(".no-picture")).to_contain_text("Last seen")
        server.wait(lambda: len(recorded(server, session)) >= len(shown(page)) + 2)
        line.flow()
        expect(page.locator(".live-head .badge").first).to_have_text("Online")
        expect(page.locator(".no-picture")).to_have_count(0)
        kept = recorded(server, session)
        page.wait_for_function(f"() => document.querySelectorAll('.line.said').length >= {len(kept)}")
        seen = shown(page)
        assert len(seen) == len(set(seen))
        assert [entry for entry in kept if entry not in seen] == []
        assert watched.complaints == []


def test_an_engine_that_is_away_is_told_and_its_return_too(tmp_path: Path, context: BrowserContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"JOYVL_ENGINE__NAME": "openai", "JOYVL_ENGINE__OPTIONS__OPENAI__BASE_URL": f"http://127.0.0.1:{port}/v1"}
    with ServerProcess(tmp_path, demo=True, env=env) as server:
        watched = Watched(context, server.url, expected=("404",))
        page = watched.page
        page.goto(f"{server.url}/#/cameras")
        row = page.locator(".camera", has_text="demo")
        expect(row.locator(".badge")).to_have_text("Engine away")
        expect(row).to_contain_text("The engine is away.")
        open_demo(page, server.url)
        note = page.locator(".engine-state")
        expect(note).to_contain_text("The engine is away.")
        expect(note).to_contain_text("The server tries it every few seconds.")
        expect(page.locator(".quiet")).not_to_contain_text("The strip shows each look")
        with running_engine(port):
            expect(note).to_have_count(0)
            expect(page.locator(".line.notice .line-body").last).to_have_text("The engine decides again.")
        assert watched.complaints == []


@contextmanager
def running_engine(port: int) -> Iterator[None]:
    """A model server that is silent each second."""
    over, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        async with FakeOpenAI(port=port):
            while not over.is_set():
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="engine")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_S)
        loop.close()
