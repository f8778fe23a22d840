"""One event, opened: its clip, or why there is none; what was known; keep, delete, jump to live; with a key."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from fakes.page.events import EventBook
from fakes.page.site import Site, page_site
from fakes.page.world import World
from fakes.server.browser import Watched

pytestmark = pytest.mark.browser

KEY = "a-long-enough-key-of-letters-42"


@pytest.fixture
def book(site: Site) -> EventBook:
    return site.world.timeline


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Iterator[Page]:
    watched = Watched(context, site.base, expected=("404", "416"))
    yield watched.page
    assert watched.complaints == []


def opened(page: Page, site: Site, event_id: str) -> Locator:
    page.goto(f"{site.base}/#/timeline/{event_id}")
    dialog = page.locator(".event-dialog")
    expect(dialog).to_be_visible()
    return dialog


def plays(page: Page) -> None:
    page.locator("video.clip-video").evaluate("video => { video.muted = true; return video.play(); }")
    page.wait_for_function("() => document.querySelector('video.clip-video').currentTime > 0.2")


def test_all_that_is_known_and_its_clip(site: Site, page: Page, book: EventBook) -> None:
    lines = ["Heard: Is anybody there?", "Said: Somebody comes in."]
    event = book.add("Somebody comes in.", clip="ready", score=0.93, threshold=0.5, transcript=lines)
    dialog = opened(page, site, event["id"])
    expect(dialog.get_by_role("heading", name="Somebody comes in.")).to_be_visible()
    expect(dialog).to_contain_text("Score 0.93; it speaks from 0.50.")
    expect(dialog).to_contain_text("It begins 5 s before the event.")
    expect(dialog.locator(".event-transcript li")).to_have_text(lines)
    plays(page)
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Save the clip").click()
    assert download.value.suggested_filename == f"{event['id']}.mp4"
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(re.compile("#/timeline$"))
    page.locator(".event-open").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("link", name="Jump to live: Front door").click()
    expect(page.locator(".live[data-stream=live]")).to_be_visible()


def test_a_clip_that_is_being_recorded_appears(site: Site, page: Page, book: EventBook) -> None:
    event = book.add("Somebody comes in.", clip="recording")
    dialog = opened(page, site, event["id"])
    expect(dialog.locator(".clip-state")).to_contain_text("being recorded")
    expect(dialog.get_by_role("img", name="Picture: Somebody comes in.")).to_be_visible()
    book.change(event["id"], clip=book.clip(event["id"], "ready"))
    plays(page)


def test_it_says_why_there_is_no_clip(site: Site, page: Page, book: EventBook) -> None:
    failed = book.add("One.", clip=book.clip("evt", "failed", "The camera sent no keyframe within 10 s"), ago_s=3)
    deleted = book.add("Two.", clip="deleted", ago_s=2)
    odd = book.add("Three.", clip="ready", data={"codec": "odd"}, ago_s=1)
    dialog = opened(page, site, failed["id"])
    expect(dialog).to_contain_text("The camera sent no keyframe within 10 s.")
    dialog.get_by_role("button", name="Newer event").click()
    expect(page).to_have_url(re.compile(deleted["id"]))
    expect(dialog).to_contain_text("The clip was deleted, because the room for clips was full")
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile(odd["id"]))
    expect(dialog).to_contain_text("This browser cannot play this clip")
    expect(dialog.get_by_role("button", name="Newer event")).to_be_disabled()


def test_kept_deleted_and_gone(site: Site, page: Page, book: EventBook) -> None:
    first = book.add("First.", ago_s=5)
    book.add("Second.")
    page.goto(f"{site.base}/#/timeline")
    page.get_by_role("link", name="Second.").click()
    dialog = page.locator(".event-dialog")
    dialog.get_by_role("button", name="Keep").click()
    expect(dialog.get_by_role("button", name="Kept")).to_have_attribute("aria-pressed", "true")
    dialog.get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete this event?")
    expect(question).to_contain_text("It is marked to be kept.")
    question.get_by_role("button", name="Delete").click()
    expect(dialog.get_by_role("heading", name="First.")).to_be_visible()
    assert list(book.events) == [first["id"]]
    opened(page, site, "evt_nothing")
    expect(dialog.get_by_role("heading", name="This event is not there any more")).to_be_visible()
    dialog.get_by_role("button", name="Show the timeline").click()
    expect(page.locator(".event-text")).to_have_text(["First."])


def test_the_list_stays_where_it_was(site: Site, page: Page, book: EventBook) -> None:
    for n in range(30):
        book.add(f"Event {n}.", ago_s=100 - n)
    page.goto(f"{site.base}/#/timeline")
    expect(page.locator(".event-row")).to_have_count(30)
    page.evaluate("scrollTo(0, 900)")
    link = page.get_by_role("link", name="Event 18.")
    before = link.bounding_box()
    link.click()
    expect(page.locator(".event-dialog")).to_be_visible()
    book.add("New meanwhile.")
    expect(page.locator(".to-fresh")).to_have_text("1 new event")
    page.keyboard.press("Escape")
    expect(link).to_be_focused()
    assert link.bounding_box() == before


def test_a_signed_in_browser_gets_pictures_and_clips(context: BrowserContext, world: World) -> None:
    with page_site(world, api_key=KEY) as site:
        event = site.world.timeline.add("Somebody comes in.", clip="ready")
        watched = Watched(context, site.base, expected=("401",))
        page = watched.page
        page.goto(f"{site.base}/#/timeline")
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".event-row img")).to_be_visible()
        expect(page.locator(".timeline[data-live=live]")).to_be_visible()
        opened(page, site, event["id"])
        plays(page)
        address = page.locator("video.clip-video").get_attribute("src") or ""
        assert address.endswith(f"{event['id']}/clip.mp4")
        assert KEY not in page.content()
        assert watched.complaints == []
