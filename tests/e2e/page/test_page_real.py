"""The page against the real server with its demo camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from fakes.server.browser import DESKTOP, Watched
from fakes.server.server import ServerProcess

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), demo=True) as server:
        yield server


@pytest.fixture
def watched(browser: Browser, server: ServerProcess) -> Iterator[Watched]:
    context = browser.new_context(viewport=DESKTOP)
    watched = Watched(context, server.url)
    yield watched
    context.close()
    assert watched.complaints == []


def open_demo(page: Page, server: ServerProcess) -> None:
    page.goto(server.url)
    page.get_by_role("link", name="Open demo").click()
    expect(page.locator(".live[data-stream=live]")).to_be_visible()


def test_a_newcomer_sees_decisions_within_ten_seconds(server: ServerProcess, watched: Watched) -> None:
    open_demo(watched.page, server)
    expect(watched.page.get_by_role("img", name="Live picture of demo")).to_be_visible()
    expect(watched.page.locator(".strip-marks")).not_to_have_attribute("data-silent", "0")
    expect(watched.page.locator(".said-text").first).to_be_visible()


def test_the_first_page_tells_what_was_said_last(server: ServerProcess, watched: Watched) -> None:
    session = server.call("GET", "/v1/sessions")["data"][0]["id"]
    server.wait(lambda: server.call("GET", f"/v1/sessions/{session}")["last_remark"])
    watched.page.goto(server.url)
    said = server.call("GET", f"/v1/sessions/{session}")["last_remark"]["text"]
    expect(watched.page.locator(".tile-said")).to_contain_text(said)


def test_watches_reach_the_server(server: ServerProcess, watched: Watched) -> None:
    page = watched.page
    open_demo(page, server)
    page.get_by_label("New watch").fill("Tell me when <b>somebody</b> comes in")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".watch-text")).to_have_text("Tell me when <b>somebody</b> comes in")
    held = server.call("GET", "/v1/cameras")["data"][0]["watches"]
    assert [(w["text"], w["paused"]) for w in held] == [("Tell me when <b>somebody</b> comes in", False)]
    page.get_by_role("button", name="Pause: ").click()
    expect(page.locator(".watch.paused")).to_be_visible()
    assert server.call("GET", "/v1/cameras")["data"][0]["watches"][0]["paused"] is True
    page.get_by_role("button", name="Remove: ").click()
    expect(page.locator(".watch")).to_have_count(0)
    assert server.call("GET", "/v1/cameras")["data"][0]["watches"] == []


def test_a_question_is_answered_even_by_an_engine_without_words(server: ServerProcess, watched: Watched) -> None:
    page = watched.page
    open_demo(page, server)
    page.get_by_label("Ask about what it sees").fill("How many people are there?")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".line.asked")).to_contain_text("How many people are there?")
    expect(page.locator(".line.said.notice")).to_be_visible()
    expect(page.get_by_text("Waiting for an answer")).to_have_count(0)


def test_sensitivity_reaches_the_server(server: ServerProcess, watched: Watched) -> None:
    page = watched.page
    open_demo(page, server)
    session_id = page.url.rpartition("/")[2]
    page.get_by_role("slider", name="Sensitivity").fill("0.6")
    server.wait(lambda: server.call("GET", f"/v1/sessions/{session_id}")["threshold"] == 0.4)
    page.reload()
    expect(page.get_by_text("Speaks from score 0.40")).to_be_visible()
    page.get_by_role("slider", name="Sensitivity").fill("0.5")
    server.wait(lambda: server.call("GET", f"/v1/sessions/{session_id}")["threshold"] == 0.5)


def test_a_probe_and_a_registration_say_what_is_wrong(server: ServerProcess, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{server.url}/#/cameras/new")
    page.get_by_label("Name").fill("Nobody <i>there</i>")
    page.get_by_label("URL", exact=True).fill("rtsp://cam:s3cret@127.0.0.1:9/x")
    page.get_by_role("button", name="Test").first.click()
    told = page.locator(".probe .note.bad").first
    expect(told).to_be_visible()
    assert len(told.inner_text().split()) >= 4, "a sentence"
    assert "s3cret" not in page.content()
    page.get_by_role("button", name="Add camera").click()
    row = page.locator(".camera", has_text="Nobody <i>there</i>")
    expect(row).to_contain_text("rtsp://cam:***@127.0.0.1:9/x")
    expect(row).to_contain_text("Offline")
    expect(row).to_contain_text("Next try within")
    assert "s3cret" not in page.content()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_a_file_that_may_not_be_read_is_refused_in_words(server: ServerProcess, context_with_refusal: Watched) -> None:
    page = context_with_refusal.page
    page.goto(f"{server.url}/#/cameras/new")
    page.get_by_label("Name").fill("Secrets")
    page.get_by_label("URL", exact=True).fill("file:///etc/hostname")
    page.get_by_role("button", name="Add camera").click()
    alert = page.locator("form [role=alert]")
    expect(alert).to_be_visible()
    assert len(alert.inner_text().split()) >= 4


@pytest.fixture
def context_with_refusal(browser: Browser, server: ServerProcess) -> Iterator[Watched]:
    context: BrowserContext = browser.new_context(viewport=DESKTOP)
    watched = Watched(context, server.url, expected=("403",))
    yield watched
    context.close()
    assert watched.complaints == []


def test_the_page_carries_on_after_a_kill(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(viewport=DESKTOP)
    with ServerProcess(tmp_path, demo=True) as first:
        port = first.url.rpartition(":")[2].rstrip("/")
        watched = Watched(context, first.url, expected=("Failed to load resource", "WebSocket connection"))
        open_demo(watched.page, first)
        expect(watched.page.locator(".strip-marks")).not_to_have_attribute("data-silent", "0")
        first.kill()
        expect(watched.page.get_by_text("The connection to the server is lost.")).to_be_visible()
        with ServerProcess(tmp_path, "--port", port, demo=True):
            expect(watched.page.locator(".live[data-stream=live]")).to_be_visible()
            count = int(watched.page.locator(".strip-marks").get_attribute("data-silent") or 0)
            watched.page.wait_for_function(
                f"() => Number(document.querySelector('.strip-marks').dataset.silent) > {count}"
            )
        assert watched.complaints == []
    context.close()


def test_a_key_opens_pictures_and_updates(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(viewport=DESKTOP)
    key = "a-long-enough-key-of-letters-42"
    with ServerProcess(tmp_path, demo=True, env={"JOYVL_SERVER__API_KEYS": f'["{key}"]'}) as server:
        watched = Watched(context, server.url, expected=("401",))
        page = watched.page
        page.goto(server.url)
        page.get_by_label("API key").fill(f"not-{key}")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("The server does not know this key.")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Open demo").click()
        expect(page.locator(".live[data-stream=live]")).to_be_visible()
        expect(page.get_by_role("img", name="Live picture of demo")).to_be_visible()
        assert watched.complaints == []
    context.close()
