"""The Tasks page: all that was handed over, what agents ask for first, and the form to ask one."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from fakes.page.demo import demo_world
from fakes.page.site import Site, page_site
from fakes.page.tasks import TaskBook
from fakes.server.browser import PHONE, Watched

pytestmark = pytest.mark.browser

AGENTS = [
    {"name": "opencode", "default": True, "about": "looks things up"},
    {"name": "claude", "default": False, "about": ""},
]


@pytest.fixture
def book(site: Site) -> TaskBook:
    site.world.book.agents = list(AGENTS)
    site.world.book.checks["claude"] = {
        "ready": False,
        "message": "It wants a login",
        "sandbox": "It writes only in its folder.",
    }
    return site.world.book


@pytest.fixture
def watched(context: BrowserContext, site: Site, book: TaskBook) -> Watched:
    watched = Watched(context, site.base)
    watched.page.goto(f"{site.base}/#/tasks")
    expect(watched.page.get_by_role("heading", name="Tasks", level=1)).to_be_visible()
    return watched


@pytest.fixture
def page(watched: Watched) -> Any:
    yield watched.page
    assert watched.complaints == []


def questions(page: Page) -> list[str]:
    return page.locator(".task-list .task-question").all_inner_texts()


def test_what_asks_comes_first_and_all_of_it_lives(page: Page, book: TaskBook) -> None:
    expect(page.get_by_text("No task yet.")).to_be_visible()
    first = book.add("First?", status="running", session_id="ses_1")["id"]
    book.add("Second?", status="completed", answer="*Yes.*")
    book.add("Third?")
    expect(page.locator(".task-card")).to_have_count(3)
    assert questions(page) == ["Third?", "Second?", "First?"]
    expect(page.locator(".task-card em")).to_have_text("Yes.")
    expect(page.get_by_role("link", name="Front door")).to_have_attribute("href", "#/live/ses_1")
    field = page.locator(".task-card", has_text="Third?").get_by_role("button", name="Cancel")
    field.focus()
    book.ask(first, "Run a command")
    expect(page.get_by_role("group", name="opencode asks for permission")).to_be_visible()
    assert questions(page) == ["First?", "Third?", "Second?"]
    expect(field).to_be_focused()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("group", name="opencode asks for permission")).to_have_count(0)
    assert book.answers[0][2] == "no"
    expect(page.locator(".told")).to_have_text("Seen")
    field.click()
    expect(page.locator(".task-card", has_text="Third?")).to_contain_text("Cancelled")


def test_the_list_is_narrowed_by_status_and_the_address_keeps_it(page: Page, book: TaskBook) -> None:
    for n in range(30):
        book.add(f"Old {n}?", status="failed", error="It died", delivered="shown")
    book.add("Good?", status="completed", answer="Yes.", delivered="shown")
    expect(page.locator(".task-card")).to_have_count(25)
    page.get_by_role("button", name="Show older ones").click()
    expect(page.locator(".task-card")).to_have_count(31)
    page.wait_for_timeout(2500)  # the next poll leaves what was opened
    expect(page.locator(".task-card")).to_have_count(31)
    page.get_by_role("navigation", name="Which tasks").get_by_role("link", name="Done").click()
    expect(page.locator(".task-card")).to_have_count(1)
    page.reload()
    expect(page.get_by_role("link", name="Done")).to_have_attribute("aria-current", "true")
    expect(page.locator(".task-card")).to_have_count(1)
    page.get_by_role("link", name="Queued").click()
    expect(page.get_by_text("No task waits for its turn.")).to_be_visible()


def test_a_question_is_asked_by_hand(watched: Watched, page: Page, book: TaskBook) -> None:
    page.get_by_role("link", name="Ask an agent").click()
    expect(page.get_by_label("Question")).to_be_focused()
    expect(page.get_by_text("looks things up.")).to_be_visible()
    page.get_by_label("Question").fill("This is impossible")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("Too many tasks wait: agents.max_queued.")
    watched.forgive("403")
    page.get_by_label("Question").fill("Whose van is it?")
    page.get_by_label("Agent", exact=True).select_option("claude")
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("It wants a login.")).to_be_visible()
    expect(page.get_by_text("It writes only in its folder.")).to_be_visible()
    page.get_by_label("About").select_option("Front door")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".task-card")).to_contain_text("Whose van is it?")
    expect(page.get_by_label("Question")).to_have_count(0)
    task = next(iter(book.tasks.values()))
    assert (task["agent"], task["session_id"]) == ("claude", "ses_1")


def test_without_an_agent_it_says_how_to_get_one(page: Page, book: TaskBook) -> None:
    book.agents = []
    page.reload()
    expect(page.get_by_role("heading", name="No agent is configured")).to_be_visible()
    expect(page.get_by_text("docs/agents.md")).to_be_visible()
    expect(page.get_by_role("link", name="Ask an agent")).to_have_count(0)


def test_a_list_that_cannot_be_had_is_told(watched: Watched, page: Page) -> None:
    refusal = '{"status": 500, "code": "internal", "detail": "The database is gone."}'
    page.route("**/v1/tasks?*", lambda route: route.fulfill(status=500, content_type="application/json", body=refusal))
    expect(page.get_by_text("The database is gone. Trying again.")).to_be_visible()
    page.unroute("**/v1/tasks?*")
    expect(page.get_by_text("The database is gone. Trying again.")).to_have_count(0)
    watched.complaints[:] = [one for one in watched.complaints if "500" not in one]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Browser, scheme: Any) -> None:
    with page_site(demo_world()) as site:
        context = browser.new_context(viewport=PHONE, color_scheme=scheme)
        watched = Watched(context, site.base, expected=("503",))
        page = watched.page
        for place in ("#/tasks", "#/tasks/new", "#/live/ses_1"):
            page.goto(f"{site.base}/{place}")
            expect(page.locator(".task-card").first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
    assert watched.complaints == []
