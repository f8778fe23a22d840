"""The Timeline page: events by day, filters, search, what is new, several at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from fakes.page.demo import demo_world
from fakes.page.events import EventBook
from fakes.page.site import Site, page_site
from fakes.server.browser import PHONE, Watched

pytestmark = pytest.mark.browser

HOUR = 3600.0


@pytest.fixture
def book(site: Site) -> EventBook:
    return site.world.timeline


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Iterator[Page]:
    watched = Watched(context, site.base, expected=("404", "422"))
    yield watched.page
    assert watched.complaints == []


def show(page: Page, site: Site, place: str = "#/timeline") -> None:
    page.goto(f"{site.base}/{place}")
    expect(page.get_by_role("heading", name="Timeline", level=1)).to_be_visible()


def texts(page: Page) -> list[str]:
    return page.locator(".event-text").all_inner_texts()


def test_days_pages_and_pictures(site: Site, page: Page, book: EventBook) -> None:
    for n in range(50):
        book.add(f"Old {n}.", ago_s=60 * HOUR - n)
    book.add("Yesterday.", ago_s=26 * HOUR)
    book.add("Somebody comes in.", "watch_fired", watches=[{"id": "wch_1", "name": "the door"}], kind="enter")
    show(page, site)
    expect(page.locator(".event-row")).to_have_count(40)
    assert texts(page)[:3] == ["Somebody comes in.", "Yesterday.", "Old 49."]
    expect(page.locator(".event-day h2").first).to_have_text("Today")
    expect(page.locator(".event-row img").first).to_be_visible()
    row = page.locator(".event-row").first
    expect(row).to_contain_text("Front door")
    expect(row).to_contain_text("the door")
    expect(row).to_contain_text("Comes in")
    page.get_by_role("button", name="Show older ones").click()
    expect(page.locator(".event-row")).to_have_count(52)
    expect(page.get_by_role("button", name="Show older ones")).to_have_count(0)


def test_a_day_in_a_few_words_with_links(site: Site, page: Page, book: EventBook) -> None:
    site.world.time_zone = "UTC"
    first, last = book.add("First.", ago_s=0.002), book.add("Last.")
    book.sum_up("2 <b>entered</b>.", first, last)
    book.sum_up("Nothing happened.", last, event_ids=[])
    show(page, site)
    digest = page.get_by_role("list", name="The day in a few words").get_by_role("listitem")
    expect(digest).to_contain_text("Front door 2 <b>entered</b>.")
    digest.get_by_role("link", name="Last").click()
    expect(page.locator(".event-whole h2")).to_have_text("Last.")
    page.keyboard.press("Escape")
    page.get_by_label("Kept ones only").check()
    expect(digest).to_have_count(0)


def test_filters_are_in_the_address(site: Site, page: Page, book: EventBook) -> None:
    site.world.add_camera("Workshop", "rtsp://192.168.1.31/h264")
    watch = site.world.sessions["ses_1"].add_watch("Tell me of parcels")
    book.add("A parcel.", "watch_fired", watches=[{"id": watch["id"], "name": watch["name"]}], kept=True)
    book.add("In the workshop.", camera_id="cam_2")
    book.add("Away.", "camera_offline", picture=False)
    book.add("Played.", "played", picture=False)
    book.add("Long ago.", ago_s=80 * HOUR)
    show(page, site)
    expect(page.locator(".event-row")).to_have_count(4)
    page.get_by_label("Kind").select_option("Everything")
    expect(page.locator(".event-row")).to_have_count(5)
    page.get_by_label("Kind").select_option("What matters")
    page.get_by_label("Camera", exact=True).select_option("Workshop")
    expect(page.locator(".event-text")).to_have_text(["In the workshop."])
    page.get_by_label("Camera", exact=True).select_option("All cameras")
    page.get_by_label("Watch").select_option("Tell me of parcels")
    expect(page.locator(".event-text")).to_have_text(["A parcel."])
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Kept ones only").check()
    expect(page.locator(".event-text")).to_have_text(["A parcel."])
    page.reload()
    expect(page.get_by_label("Kept ones only")).to_be_checked()
    expect(page.locator(".event-text")).to_have_text(["A parcel."])
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Time", exact=True).select_option("Yesterday")
    expect(page.get_by_role("heading", name="Nothing happened that fits")).to_be_visible()
    page.get_by_role("link", name="Show everything that matters").click()
    page.get_by_label("Time", exact=True).select_option("The last 7 days")
    expect(page.locator(".event-row")).to_have_count(4)
    page.get_by_label("Time", exact=True).select_option("From … to …")
    expect(page.get_by_label("From", exact=True)).to_be_visible()
    page.get_by_label("From", exact=True).fill("2020-01-01T00:00")
    page.get_by_label("To", exact=True).fill("2019-01-01T00:00")
    expect(page.get_by_text("“From” has to be before “to”.")).to_be_visible()
    page.get_by_label("To", exact=True).fill("2020-02-01T12:30")
    page.get_by_label("To", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Nothing happened that fits")).to_be_visible()
    assert book.asked[-1]["until"].startswith("2020-02-01T")


def test_what_happened_is_chosen_by_its_kind(site: Site, page: Page, book: EventBook) -> None:
    book.add("Somebody is there.", kind="enter")
    book.add("Nobody is there.", kind="leave")
    show(page, site)
    expect(page.locator(".event-row")).to_have_count(2)
    page.get_by_label("What happened").select_option("Goes away")
    expect(page.locator(".event-text")).to_have_text(["Nobody is there."])
    book.add("Another one.", kind="enter")
    book.add("Gone, too.", kind="leave")
    expect(page.locator(".event-text")).to_have_text(["Gone, too.", "Nobody is there."])
    assert book.streams[-1]["kinds"] == ["leave"]
    page.reload()
    expect(page.get_by_label("What happened")).to_have_value("leave")
    expect(page.locator(".event-text")).to_have_text(["Gone, too.", "Nobody is there."])


def test_search_by_words_and_by_meaning(site: Site, page: Page, book: EventBook) -> None:
    book.add("A blue box stands there.")
    book.add("Somebody leaves.")
    show(page, site)
    field = page.get_by_role("searchbox", name="Search the timeline")
    field.fill("blue box")
    field.press("Enter")
    expect(page.locator(".event-text")).to_have_text(["A blue box stands there."])
    assert (book.asked[-1]["query"], book.asked[-1]["by"]) == ("blue box", "words")
    page.get_by_text("By meaning").click()
    page.wait_for_url("**by=meaning**")
    expect(page.locator(".event-text")).to_have_text(["A blue box stands there."])
    assert book.asked[-1]["by"] == "meaning"
    field.fill("<b>nothing</b> like that")
    field.press("Enter")
    expect(page.get_by_role("heading", name="Nothing was found")).to_be_visible()
    field.fill("impossible")
    field.press("Enter")
    expect(page.get_by_text("This search cannot be made.")).to_be_visible()
    page.get_by_role("button", name="Clear the search").click()
    expect(page.locator(".event-row")).to_have_count(2)


def test_what_is_new_comes_by_itself_and_moves_nobody(site: Site, page: Page, book: EventBook) -> None:
    for n in range(30):
        book.add(f"Event {n}.", ago_s=100 - n)
    show(page, site)
    expect(page.locator(".timeline[data-live=live]")).to_be_visible()
    book.add("New at the top.")
    expect(page.locator(".event-text").first).to_have_text("New at the top.")
    page.evaluate("scrollTo(0, 900)")
    row = page.locator(".event-row", has_text="Event 15.")
    before = row.bounding_box()
    book.add("New while reading.")
    book.add("And one more.")
    expect(page.get_by_role("button", name="2 new events")).to_be_visible()
    assert row.bounding_box() == before
    page.get_by_role("button", name="2 new events").click()
    expect(page.locator(".event-text").first).to_have_text("And one more.")
    assert page.evaluate("scrollY") == 0
    page.get_by_label("Kind").select_option("Cameras and engine")
    expect(page.locator(".event-row")).to_have_count(0)
    expect(page.locator(".timeline[data-live=live]")).to_be_visible()
    book.add("The camera does not answer.", "camera_offline", picture=False)
    expect(page.locator(".event-text")).to_have_text(["The camera does not answer."])
    book.add("A remark that does not fit.")
    book.add("The picture is there.", "camera_online", picture=False)
    expect(page.locator(".event-text")).to_have_text(["The picture is there.", "The camera does not answer."])


def test_several_are_kept_and_deleted(site: Site, page: Page, book: EventBook) -> None:
    ids = [book.add(f"Event {n}.", ago_s=50 - n)["id"] for n in range(4)]
    show(page, site)
    for n in (1, 2):
        page.get_by_role("checkbox", name=f"Event {n}.").check()
    bar = page.get_by_role("region", name="Chosen events")
    expect(bar).to_contain_text("2 chosen")
    bar.get_by_role("button", name="Keep").click()
    expect(page.locator(".kept-chip")).to_have_count(2)
    expect(bar).to_have_count(0)
    assert [book.events[one]["kept"] for one in ids] == [False, True, True, False]
    for n in (0, 1):
        page.get_by_role("checkbox", name=f"Event {n}.").check()
    bar.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete 2 events?")
    expect(dialog).to_contain_text("1 of them is marked to be kept.")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator(".event-row")).to_have_count(4)
    bar.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator(".event-row")).to_have_count(2)
    assert list(book.events) == ids[2:]


def test_an_empty_timeline_says_what_to_do(site: Site, page: Page) -> None:
    show(page, site)
    expect(page.get_by_role("heading", name="Nothing has happened yet")).to_be_visible()
    expect(page.get_by_role("link", name="Open a camera")).to_be_visible()
    site.world.cameras.clear()
    page.reload()
    expect(page.get_by_role("link", name="Add a camera")).to_have_attribute("href", "#/cameras/new")


def test_times_are_those_of_the_servers_zone(site: Site, page: Page, book: EventBook) -> None:
    site.world.time_zone = "Asia/Shanghai"
    event = book.add("Somebody comes in.")
    show(page, site)
    expect(page.get_by_text("Times of Asia/Shanghai")).to_be_visible()
    there = page.evaluate(
        "wall => new Date(wall * 1000).toLocaleTimeString('en-GB', {timeZone: 'Asia/Shanghai'})", event["wall"]
    )
    expect(page.locator(".event-row time")).to_have_text(there)


def test_days_and_hours_across_a_change_of_clocks(site: Site, page: Page) -> None:
    show(page, site)
    told = page.evaluate(
        """async () => {
            const {dayName, dayStart, fieldTime, showZone, wallOf} = await import("/assets/text/format.js");
            showZone("Europe/Berlin");
            const noon = wallOf("2026-10-26T12:00");
            const told = [wallOf("2026-10-25"), dayStart(noon), dayStart(noon, 1), wallOf("2026-03-29T03:30")];
            const names = [noon, noon - 24 * 3600, noon - 60 * 3600].map((wall) => dayName(wall, noon).split(",")[0]);
            showZone("Nowhere/Atall");
            return [told, names, wallOf("nonsense"), fieldTime(0).length];
        }"""
    )
    begins, day_after = 1792879200, 1792969200  # 22:00 UTC, and 23:00 UTC a day and an hour later
    assert told[0] == [begins, day_after, begins, 1774747800]
    assert told[1][:2] == ["Today", "Yesterday"]
    assert told[1][2] not in ("Today", "Yesterday")
    assert told[2:] == [None, 16]


def test_what_no_server_of_this_kind_tells_is_shown_harmlessly(site: Site, page: Page, book: EventBook) -> None:
    trap = "<img src=x onerror='window.hit = 1'><script>window.hit = 1</script>"
    book.add(trap, "hologram_projected", kind="levitates", watches=[{"id": "w", "name": trap}, 7, None], odd={"a": [1]})
    book.add(
        "Elsewhere.", clip={"state": "beamed", "url": "https://evil.example/x"}, picture_url="https://evil.example/"
    )
    book.add("", "mystery", picture=False, clip=None, transcript="no list", watches="none", score="high", data=[1])
    show(page, site, "#/timeline?group=all")
    expect(page.locator(".event-row")).to_have_count(3)
    assert texts(page) == ["Mystery", "Elsewhere.", trap]
    expect(page.locator(".event-row").last).to_contain_text("Hologram projected")
    for row in (0, 1, 2):
        page.locator(".event-open").nth(row).click()
        expect(page.locator(".event-whole h2")).to_have_text(texts(page)[row])
        page.keyboard.press("Escape")
    assert page.evaluate("window.hit") is None
    assert page.locator(".event-list script, .event-list img[src=x]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Browser, scheme: Any) -> None:
    with page_site(demo_world()) as site:
        context = browser.new_context(viewport=PHONE, color_scheme=scheme)
        watched = Watched(context, site.base, expected=("503",))
        page = watched.page
        show(page, site)
        page.get_by_role("button", name="Filters").click()
        expect(page.get_by_label("Camera", exact=True)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator(".event-open").first.click()
        expect(page.locator(".event-whole")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
    assert watched.complaints == []


def test_all_of_a_time_is_deleted(site: Site, page: Page, book: EventBook) -> None:
    site.world.time_zone = "UTC"
    before = book.add("Before.", ago_s=50 * HOUR)
    for n in range(60):
        book.add(f"In it {n}.", ago_s=25 * HOUR + n)
    talk = book.add("What is that?", "query_asked", ago_s=25 * HOUR)
    start, end = (time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() - ago * HOUR)) for ago in (27, 23))
    show(page, site, f"#/timeline?span=own&start={start}&end={end}")
    expect(page.locator(".event-row")).to_have_count(40)
    page.get_by_role("button", name="Delete all of this time…").click()
    question = page.get_by_role("dialog", name="Delete all of this time?")
    expect(question).to_contain_text("all cameras and calls")
    expect(question).to_contain_text("also what is not shown here")
    expect(question.get_by_role("button", name="Delete")).to_be_disabled()
    question.get_by_role("textbox").fill("delete")
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Nothing happened that fits")).to_be_visible()
    assert list(book.events) == [before["id"]]
    assert talk["id"] not in book.events
    show(page, site)
    expect(page.get_by_role("button", name="Delete all of this time…")).to_have_count(0)
