"""Timeline, Memory and Alerts against the real server with its demo camera and a key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from fakes.server.browser import Watched
from fakes.server.server import ServerProcess

pytestmark = pytest.mark.browser

KEY = "a-long-enough-key-of-letters-42"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    env = {"JOYVL_SERVER__API_KEYS": f'["{KEY}"]', "JOYVL_TIME_ZONE": "Asia/Shanghai"}
    with ServerProcess(tmp_path_factory.mktemp("server"), demo=True, env=env) as server:
        yield server


@pytest.fixture
def page(context: BrowserContext, server: ServerProcess) -> Iterator[Page]:
    watched = Watched(context, server.url, expected=("401", "404"))
    page = watched.page
    page.goto(f"{server.url}/#/timeline")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Timeline", level=1)).to_be_visible()
    yield page
    assert watched.complaints == []


def test_what_a_camera_notices_is_seen_played_kept_and_deleted(page: Page) -> None:
    expect(page.locator(".timeline[data-live=live]")).to_be_visible()
    expect(page.get_by_text("Times of Asia/Shanghai")).to_be_visible()
    expect(page.locator(".event-row img").first).to_be_visible()
    page.locator(".event-open:has(img)").last.click()
    dialog = page.locator(".event-dialog")
    video = dialog.locator("video.clip-video")
    expect(video).to_be_visible()
    video.evaluate("video => { video.muted = true; return video.play(); }")
    page.wait_for_function("() => document.querySelector('video.clip-video').currentTime > 0.5")
    dialog.get_by_role("button", name="Keep").click()
    expect(dialog.get_by_role("button", name="Kept")).to_be_visible()
    address = page.url
    dialog.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete this event?").get_by_role("button", name="Delete").click()
    expect(page).not_to_have_url(address)
    page.goto(address)
    expect(dialog.get_by_role("heading", name="This event is not there any more")).to_be_visible()


def test_a_watch_that_fires_is_an_alert(page: Page, server: ServerProcess) -> None:
    page.get_by_role("link", name="Live", exact=True).click()
    page.get_by_role("link", name="Open demo").click()
    page.get_by_label("New watch").fill("Tell me when somebody comes in or goes away")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("link", name="open alert")).to_be_visible()
    page.get_by_role("link", name="open alert").click()
    alert = page.locator(".alert").last
    expect(alert.locator("img")).to_be_visible()
    alert_id = alert.get_attribute("data-alert")
    alert.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(f"[data-alert={alert_id}]")).to_have_count(0)
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.locator(f"[data-alert={alert_id}]")).to_contain_text("Acknowledged by the page")


def test_a_typed_question_about_the_past_is_answered_and_linked(page: Page) -> None:
    expect(page.locator(".event-row img").first).to_be_visible()
    page.get_by_role("link", name="Live", exact=True).click()
    page.get_by_role("link", name="Open demo").click()
    page.get_by_label("Ask about what it sees").fill("What happened today?")
    page.get_by_role("button", name="Ask").click()
    grounds = page.get_by_role("group", name="What the answer rests on")
    expect(grounds.get_by_role("link").first).to_be_visible()
    answer = page.locator(".line.said.notice").last
    expect(answer).to_be_visible()
    words = answer.locator(".said-text").inner_text()
    assert len(words.split()) >= 4, "a sentence"
    page.reload()
    expect(page.locator(".said-text", has_text=words).first).to_be_visible()
    grounds.get_by_role("link").first.click()
    expect(page.locator(".event-whole")).to_be_visible()


def test_a_fact_is_told_found_and_forgotten(page: Page, server: ServerProcess) -> None:
    page.get_by_role("link", name="Memory", exact=True).click()
    page.get_by_role("link", name="Add a fact").first.click()
    page.get_by_label("Fact", exact=True).fill("The blue box on the table is <b>mine</b>.")
    page.get_by_label("About", exact=True).select_option("demo")
    page.get_by_role("button", name="Remember it").click()
    row = page.locator(".memory-row[data-kind=fact]")
    expect(row.locator(".memory-text")).to_have_text("The blue box on the table is <b>mine</b>.")
    expect(row).to_contain_text("demo")
    field = page.get_by_role("searchbox", name="Search the memory")
    field.fill("boxes blue")
    field.press("Enter")
    expect(page.locator(".memory-row")).to_have_count(1)
    page.get_by_text("By meaning").click()
    expect(row).to_be_visible()
    row.get_by_role("button", name="Change").click()
    page.get_by_label("What it remembers").fill("The blue box is gone.")
    row.get_by_role("button", name="Save").click()
    expect(row.locator(".memory-text")).to_have_text("The blue box is gone.")
    row.get_by_role("button", name="Forget").click()
    page.get_by_role("dialog", name="Forget this?").get_by_role("button", name="Forget").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Clear the search").click()
    page.get_by_label("Where", exact=True).select_option("demo")
    page.get_by_role("button", name="Forget all of demo").click()
    page.get_by_label("Type “forget” to go on").fill("forget")
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Forgetting…")).to_have_count(0)
    page.get_by_role("link", name="Timeline", exact=True).click()
    expect(page.get_by_role("heading", name="Timeline", level=1)).to_be_visible()
