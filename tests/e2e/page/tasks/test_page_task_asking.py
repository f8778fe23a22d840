"""Who looks elsewhere is told that an agent asks; one page answers and the others know; what has ended is deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from fakes.page.site import Site, open_live
from fakes.page.tasks import TaskBook
from fakes.server.browser import Watched

pytestmark = pytest.mark.browser

HIDDEN = "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {} }})"


@pytest.fixture
def book(site: Site) -> TaskBook:
    site.world.book.agents = [{"name": "opencode", "default": True, "about": ""}]
    return site.world.book


@pytest.fixture
def watched(context: BrowserContext, site: Site, book: TaskBook) -> Iterator[Watched]:
    watched = Watched(context, site.base)
    yield watched
    assert watched.complaints == []


def test_it_is_seen_from_every_page_and_answered_on_one(
    context: BrowserContext, site: Site, watched: Watched, book: TaskBook
) -> None:
    page, live = watched.page, context.new_page()
    open_live(live, site.base)
    page.goto(f"{site.base}/#/cameras")
    link = page.get_by_role("navigation", name="Pages").get_by_role("link", name=re.compile("Tasks"))
    expect(link).to_have_accessible_name("Tasks")
    page.evaluate(HIDDEN.format("true"))
    task_id = book.add("Is it ours?", status="running", session_id="ses_1")["id"]
    permission = book.ask(task_id, "Run a command", "ls")["permission"]
    expect(page).to_have_title("(1) joyvl")  # also of a tab that nobody looks at
    expect(live).to_have_title("(1) Front door · joyvl")
    expect(link).to_have_accessible_name("Tasks, opencode asks for permission")
    expect(page.get_by_test_id("asking-aloud")).to_have_text("opencode asks for permission.")
    expect(live.get_by_test_id("asking-aloud")).to_have_text("")  # its card tells it
    page.evaluate(HIDDEN.format("false"))
    page.goto(f"{site.base}/#/tasks")
    expect(page).to_have_title("(1) Tasks · joyvl")
    group = page.get_by_role("group", name="opencode asks for permission")
    expect(group).to_have_accessible_description("Run a command ls")
    live.get_by_role("button", name="Allow once").click()
    expect(group).to_have_count(0)
    expect(page).to_have_title("Tasks · joyvl")
    expect(live).to_have_title("Front door · joyvl")
    assert book.answers == [(task_id, permission["id"], "yes")]

    book.ask(task_id, "Run a command", "old")
    expect(group).to_contain_text("old")
    page.route("**/v1/tasks?*", lambda route: route.abort())  # what the page knows is late
    book.ask(task_id, "Run a command", "new")
    group.get_by_role("button", name="Allow once").click()
    expect(page.get_by_role("alert")).to_contain_text("This permission is not asked for any more.")
    expect(group).to_contain_text("new")
    assert len(book.answers) == 1
    page.unroute("**/v1/tasks?*")
    watched.forgive("409")
    watched.complaints[:] = [one for one in watched.complaints if "ERR_FAILED" not in one]
    live.close()


def test_what_has_ended_is_deleted_and_does_not_come_back(site: Site, watched: Watched, book: TaskBook) -> None:
    kept = book.add("Kept?", status="running", session_id="ses_none")["id"]
    first = book.add("First?", status="failed", error="It died", delivered="shown")["id"]
    second = book.add("Second?", status="completed", answer="*Yes.*", delivered="shown")["id"]
    page = watched.page
    page.goto(f"{site.base}/#/tasks")
    cards = page.locator(".task-card")
    expect(cards).to_have_count(3)
    expect(cards.filter(has_text="Kept?")).to_contain_text("of a session that is over")
    expect(cards.filter(has_text="Kept?").get_by_role("button", name="Delete")).to_have_count(0)
    button = cards.filter(has_text="Second?").get_by_role("button", name="Delete")
    button.click()
    dialog = page.get_by_role("dialog", name="Delete this task?")
    expect(dialog).to_contain_text("“Second?” is deleted with its answer and its files.")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert second in book.tasks
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Delete").click()
    expect(cards).to_have_count(2)
    expect(page.get_by_role("heading", name="Tasks", level=1)).to_be_focused()
    assert second not in book.tasks

    def quicker(route: Route) -> None:
        """Somebody else deletes it a moment before."""
        if route.request.method == "DELETE":
            del book.tasks[first]
        route.continue_()

    page.route(f"**/v1/tasks/{first}", quicker)
    cards.filter(has_text="First?").get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(cards).to_have_count(1)
    page.wait_for_timeout(2500)
    expect(cards).to_have_count(1)
    assert list(book.tasks) == [kept]
    watched.forgive("404")


def test_two_hundred_tasks_are_no_burden(site: Site, watched: Watched, book: TaskBook) -> None:
    answer = "\n\n".join(f"Paragraph {n} of an answer." for n in range(200))
    for n in range(200):
        book.add(f"Question {n}?", status="completed", answer=answer, delivered="shown")
    page = watched.page
    read: list[str] = []
    page.on("request", lambda request: read.append(request.url) if "/v1/tasks/" in request.url else None)
    page.goto(f"{site.base}/#/tasks")
    for more in range(2, 9):
        page.get_by_role("button", name="Show older ones").click()
        expect(page.locator(".task-card")).to_have_count(25 * more)
    assert len(read) < 30, "an answer is read when its card is seen"
    page.evaluate(
        "window.longest = 0; new PerformanceObserver((list) => { for (const one of list.getEntries())"
        " window.longest = Math.max(window.longest, one.duration); }).observe({ type: 'longtask' })"
    )
    page.locator(".task-card", has_text="Question 0?").scroll_into_view_if_needed()
    expect(page.locator(".task-card", has_text="Question 0?").locator(".markdown")).to_be_visible()
    page.wait_for_timeout(4500)  # two polls
    assert page.evaluate("window.longest") < 1000, "the page answers meanwhile; a fifth of it on any machine at rest"
    assert len(read) < 60
