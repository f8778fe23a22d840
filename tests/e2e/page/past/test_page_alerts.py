"""The Alerts page: what is open, acknowledged, snoozed; its count everywhere; notifications of the browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from fakes.page.alerts import AlertBook
from fakes.page.site import Site
from fakes.server.browser import Watched

pytestmark = pytest.mark.browser

NOTIFICATIONS = """
    window.told = [];
    window.Notification = class {
        static permission = sessionStorage.getItem("may") ?? "default";
        static async requestPermission() {
            sessionStorage.setItem("may", window.answer ?? "granted");
            return (Notification.permission = window.answer ?? "granted");
        }
        constructor(title, options) { Object.assign(this, { title, ...options }); window.told.push(this); }
        close() { this.closed = true; }
    };
"""
"""In the place of the browser's, which show nothing in a test."""
HIDDEN = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });"


@pytest.fixture
def book(site: Site) -> AlertBook:
    return site.world.alarm


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Iterator[Page]:
    watched = Watched(context, site.base, expected=("404",))
    watched.page.add_init_script(NOTIFICATIONS)
    yield watched.page
    assert watched.complaints == []


def show(page: Page, site: Site, place: str = "#/alerts") -> None:
    page.goto(f"{site.base}/{place}")
    expect(page.get_by_role("heading", name="Alerts", level=1)).to_be_visible()


def test_open_ones_are_counted_everywhere_and_acknowledged(site: Site, page: Page, book: AlertBook) -> None:
    event = site.world.timeline.add("Somebody comes in.")
    of = {"event_id": event["id"], "picture_url": event["picture_url"]}
    book.add("The door", text="Somebody comes in.", count=3, **of)
    book.add("Front door is lost", "camera_offline", escalated=True)
    page.goto(f"{site.base}/#/cameras")
    expect(page.get_by_role("link", name="Alerts, 2 open alerts")).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\(2\) "))
    page.get_by_role("link", name="Alerts, 2 open alerts").click()
    lost, door = page.locator(".alert").first, page.locator(".alert").last
    expect(lost).to_contain_text("Next contact told")
    expect(door).to_contain_text("3 times")
    expect(door.locator("img")).to_be_visible()
    lost.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".alert")).to_have_count(1)
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    page.get_by_label("Snooze: The door").select_option("for 1 hour")
    expect(page.get_by_role("heading", name="Nothing is open")).to_be_visible()
    expect(page).to_have_title("Alerts · joyvl")
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.locator(".alert").first).to_contain_text("Acknowledged by the page")
    expect(page.locator(".alert").last).to_contain_text("Snoozed until")
    page.get_by_label("Snooze: The door").select_option("not any more")
    expect(page.locator(".alert").last).to_contain_text("Open")
    page.locator(".alert").last.get_by_role("link", name="Show the event").click()
    expect(page.locator(".event-dialog h2")).to_have_text("Somebody comes in.")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_count_covers_no_letter(site: Site, page: Page, book: AlertBook, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for n in range(12):
        book.add(f"The door {n}")
    show(page, site)
    expect(page.locator(".top nav .count")).to_have_text("12")
    covered = page.locator(".top nav .with-count").evaluate(
        "link => { const words = document.createRange(); words.selectNode(link.firstChild);"
        "const a = words.getBoundingClientRect(), b = link.querySelector('.count').getBoundingClientRect();"
        "return Math.min(a.right - b.left, b.bottom - a.top - 5); }"
    )
    assert covered <= 1


def test_all_are_acknowledged_at_once_and_a_snooze_is_told(site: Site, page: Page, book: AlertBook) -> None:
    for n in range(3):
        book.add(f"The door {n}")
    show(page, site)
    page.get_by_label("Snooze: The door 1").select_option("for 10 minutes")
    expect(page.locator(".toast")).to_contain_text("Snoozed for 10 minutes.")
    page.get_by_role("button", name="Acknowledge all").click()
    expect(page.get_by_role("heading", name="Nothing is open")).to_be_visible()
    expect(page.locator(".toast")).to_contain_text("2 acknowledged.")
    assert sorted(alert["state"] for alert in book.alerts.values()) == ["acknowledged", "acknowledged", "snoozed"]


def test_a_whole_camera_is_put_off_listed_and_told_of_again(site: Site, page: Page, book: AlertBook) -> None:
    book.add("The door")
    show(page, site)
    page.get_by_label("Snooze: The door").select_option("the whole camera for 8 hours")
    expect(page.get_by_role("heading", name="Nothing is open")).to_be_visible()
    page.get_by_role("link", name="Snoozed", exact=True).click()
    row = page.locator("[data-snoozed]")
    expect(row).to_contain_text("Nobody is told of this camera.")
    expect(page.locator("[data-alert]")).to_have_count(1)
    page.get_by_role("button", name="Tell of it again: Front door").click()
    expect(page.get_by_role("heading", name="Nothing is snoozed")).to_be_visible()
    assert [alert["state"] for alert in book.alerts.values()] == ["open"]


def test_an_event_that_was_opened_from_here_closes_to_here(site: Site, page: Page, book: AlertBook) -> None:
    older = site.world.timeline.add("Before.", ago_s=9)
    event = site.world.timeline.add("Somebody comes in.")
    book.add("The door", event_id=event["id"])
    show(page, site, "#/alerts/all")
    page.get_by_role("link", name="Show the event").click()
    expect(page.locator(".event-dialog h2")).to_have_text("Somebody comes in.")
    page.get_by_role("button", name="Older event").click()
    expect(page).to_have_url(re.compile(older["id"]))
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("#/alerts/all$"))
    page.goto(f"{site.base}/#/timeline?span=today")
    page.get_by_role("link", name="Before.").click()
    expect(page.locator(".event-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"#/timeline\?span=today$"))


def test_new_ones_come_and_odd_ones_do_no_harm(site: Site, page: Page, book: AlertBook) -> None:
    show(page, site)
    expect(page.get_by_role("heading", name="Nothing is open")).to_be_visible()
    trap = "<script>window.hit = 1</script>"
    book.add(trap, "volcano", text=trap, camera=7, count="many", picture_url="https://evil.example/x.jpg", odd={})
    expect(page.locator(".alert h2")).to_have_text(trap)
    expect(page.locator(".alert")).to_contain_text("volcano")
    book.add("", "hiccup", state="dreaming", at=None)
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.locator(".alert h2")).to_have_text(["hiccup", trap])
    assert page.evaluate("window.hit") is None


def test_the_browser_tells_of_them_where_that_was_asked_for(site: Site, page: Page, book: AlertBook) -> None:
    event = site.world.timeline.add("Somebody comes in.")
    show(page, site)
    page.get_by_role("button", name="Show them in this browser").click()
    expect(page.locator(".notify[data-notify=on]")).to_be_visible()
    page.wait_for_timeout(300)  # its stream is open
    alert = book.add("The door", text="Somebody comes in.", event_id=event["id"])
    page.wait_for_function("() => window.told.length === 1")
    told = page.evaluate("({title, body, tag}) => 0 || told[0].title + '|' + told[0].body", {})
    assert told == "The door|Somebody comes in.\nFront door"
    book.change(alert["id"], state="acknowledged")
    page.wait_for_function("() => window.told[0].closed")
    page.evaluate("told[0].onclick()")
    expect(page.locator(".event-dialog h2")).to_have_text("Somebody comes in.")
    page.goto(f"{site.base}/#/cameras")
    page.reload()
    page.wait_for_timeout(300)
    book.add("Again")
    page.wait_for_function("() => window.told.length === 1 && window.told[0].title === 'Again'")
    show(page, site)
    page.get_by_role("button", name="Do not show them here").click()
    expect(page.locator(".notify[data-notify=off]")).to_be_visible()


def test_a_tab_that_was_opened_behind_others_counts_and_tells(site: Site, page: Page, book: AlertBook) -> None:
    page.add_init_script(
        HIDDEN + "localStorage.setItem('joyvl.notify', 'on'); sessionStorage.setItem('may', 'granted');"
    )
    book.add("Before")
    page.goto(f"{site.base}/#/cameras")
    page.reload()  # what it may, it may from its beginning
    expect(page.get_by_role("link", name="Alerts, 1 open alert")).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    book.add("The door")
    expect(page).to_have_title(re.compile(r"^\(2\) "))
    page.wait_for_timeout(300)  # its stream is open
    book.add("Again")
    page.wait_for_function("() => window.told.some(({ title }) => title === 'Again')")


def test_what_tells_nobody_and_what_tells_again(site: Site, page: Page, book: AlertBook) -> None:
    show(page, site)
    page.get_by_role("button", name="Show them in this browser").click()
    expect(page.locator(".notify[data-notify=on]")).to_be_visible()
    page.wait_for_timeout(300)  # its stream is open
    quiet = book.add("Of a snoozed camera", state="snoozed")
    alert = book.add("The door")
    page.wait_for_function("() => window.told.length === 1 && window.told[0].title === 'The door'")
    book.change(alert["id"], state="snoozed")
    page.wait_for_function("() => window.told[0].closed")
    book.change(quiet["id"], state="open")
    book.change(alert["id"], state="open")
    page.wait_for_function("() => window.told.length === 2 && window.told[1].title === 'The door'")
    for n in range(20):
        book.add(f"Late {n}")
    page.wait_for_function("() => window.told.at(-1).title === 'More alerts'")
    assert page.evaluate("new Set(told.map(({ tag }) => tag)).size") <= 6


def test_a_browser_that_may_not_says_so(site: Site, page: Page) -> None:
    page.add_init_script("window.answer = 'denied'")
    show(page, site)
    page.get_by_role("button", name="Show them in this browser").click()
    expect(page.get_by_text("The browser does not let this page show notifications.")).to_be_visible()
    expect(page.get_by_role("button", name="Show them in this browser")).to_have_count(0)
