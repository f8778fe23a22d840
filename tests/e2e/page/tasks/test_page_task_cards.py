"""A delegated task on Live: its card stands where it was asked, lives, asks, answers, and is true after a reload."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from fakes.page.site import Site
from fakes.page.tasks import TaskBook
from fakes.page.world import Session
from fakes.patience import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture
def book(site: Site) -> TaskBook:
    return site.world.book


def hand_over(book: TaskBook, question: str, **more: Any) -> str:
    task = book.add(question, session_id="ses_1", camera_id="cam_1", **{"origin": "model", **more})
    task_id: str = task["id"]
    return task_id


def card(page: Page, task_id: str) -> Locator:
    return page.locator(f".line.task [data-task={task_id}]")


def test_the_card_stands_where_it_was_asked_and_tells_how_far_it_is(site: Site, page: Page, book: TaskBook) -> None:
    site.tick("ses_1", decision="speak", text="Before.", wall=time.time() - 20)
    site.tick("ses_1", decision="speak", text="After.", wall=time.time() - 5)
    task_id = hand_over(book, "Whose van is it?", ago_s=10, note="It is white.")
    shown = card(page, task_id)
    expect(shown.get_by_role("heading", name="Whose van is it?")).to_be_visible()
    expect(shown.get_by_role("status")).to_have_text(re.compile(r"Waits for its turn\s*opencode"))
    expect(shown).to_contain_text("It is white.")
    expect(shown).to_contain_text("asked by the model")
    kinds = page.locator(".log .line").evaluate_all("lines => lines.map((line) => line.dataset.type)")
    assert kinds == ["said", "task", "said"]
    book.change(task_id, status="running", progress="Reading frames/3.jpg")
    expect(shown.get_by_role("status")).to_contain_text("Working")
    expect(shown).to_contain_text("Reading frames/3.jpg")
    shown.get_by_text("What it did").click()
    log = shown.get_by_role("list", name="What it did").get_by_role("listitem")
    expect(log).to_have_count(1)
    book.change(task_id, progress="Asking the web")
    expect(shown.locator(".task-progress")).to_have_text("Asking the web")
    expect(log).to_have_text([re.compile("Reading frames/3.jpg"), re.compile("Asking the web")])
    book.change(task_id, status="failed", error="It did not end within 600 s", code="timeout")
    expect(shown).to_contain_text("It did not end within 600 s.")
    expect(shown.locator(".task-progress")).to_have_count(0)
    expect(log).to_have_count(2)


def test_a_permission_is_given_by_keyboard_and_the_focus_stays(page: Page, book: TaskBook) -> None:
    task_id = hand_over(book, "Is it ours?", status="running")
    book.ask(task_id, "Run a command", "rm -rf <b>x</b>", left_s=75)
    group = page.get_by_role("group", name="opencode asks for permission")
    expect(group).to_contain_text("rm -rf <b>x</b>")
    expect(group.get_by_role("timer")).to_have_text(re.compile(r"1:\d\d left, then it counts as denied\."))
    assert group.get_by_role("button").all_inner_texts() == ["Allow once", "Always allow", "Deny"]
    page.get_by_role("button", name="Show").click()
    expect(card(page, task_id)).to_be_focused()
    group.get_by_role("button", name="Allow once").focus()
    book.change(task_id, progress="still there")  # an update in the meantime takes nothing away
    expect(card(page, task_id)).to_contain_text("still there")
    expect(group.get_by_role("button", name="Allow once")).to_be_focused()
    permission = book.tasks[task_id]["permission"]["id"]
    page.keyboard.press("Enter")
    expect(group).to_have_count(0)
    expect(card(page, task_id)).to_be_focused()
    assert book.answers == [(task_id, permission, "yes")]
    expect(page.get_by_text("opencode asks for permission")).to_have_count(0)


def test_where_an_agent_offers_no_way_to_deny_the_page_does(page: Page, book: TaskBook) -> None:
    task_id = hand_over(book, "Is it ours?", status="running")
    permission = book.ask(task_id, "Run a command")["permission"]
    book.change(task_id, permission={**permission, "options": permission["options"][:1]})
    card(page, task_id).get_by_role("button", name="Deny").click()
    expect(card(page, task_id).get_by_role("group", name="opencode asks")).to_have_count(0)
    assert book.answers == [(task_id, permission["id"], None)]


def test_what_is_not_asked_any_more_is_told(site: Site, page: Page, book: TaskBook) -> None:
    page.on("console", lambda message: None)
    task_id = hand_over(book, "Is it ours?", status="running")
    book.ask(task_id, "Run a command", left_s=1)
    group = page.get_by_role("group", name="opencode asks for permission")
    expect(group.get_by_role("timer")).to_have_text("No time left: it counts as denied.")
    book.change(task_id, status="running", permission=None)
    expect(group).to_have_count(0)


ANSWER = (
    "It is **Northwind**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nx < 1\n```\n\n<img src=x onerror='window.hit=1'>"
)


def test_the_answer_is_drawn_acknowledged_once_and_there_after_a_reload(page: Page, book: TaskBook) -> None:
    task_id = hand_over(book, "Whose van is it?", status="running")
    shown = card(page, task_id)
    expect(shown.get_by_role("status")).to_contain_text("Working")
    book.change(task_id, status="completed", answer=ANSWER, digest="It is Northwind.")
    expect(shown.locator(".markdown strong")).to_have_text("Northwind")
    expect(shown.locator("td").first).to_have_text("1")
    expect(shown.locator("pre")).to_have_text("x < 1")
    expect(shown.locator("img")).to_have_count(0)
    expect(shown.locator(".told")).to_have_text("Seen")
    assert book.acknowledged == [task_id]
    page.reload()
    expect(shown.locator(".markdown strong")).to_have_text("Northwind")
    expect(shown.locator(".told")).to_have_text("Seen")
    page.wait_for_timeout(1500)
    assert book.acknowledged == [task_id]
    assert page.evaluate("window.hit") is None


def test_only_what_is_really_visible_is_acknowledged(site: Site, page: Page, book: TaskBook) -> None:
    log = page.get_by_role("log")
    unseen = hand_over(book, "Whose van is it?", ago_s=60, status="running")
    for n in range(40):
        site.tick("ses_1", decision="speak", text=f"Remark {n}.")
    expect(page.locator(".said-text")).to_have_count(40)
    book.change(unseen, status="completed", answer="Ours.")
    expect(card(page, unseen)).to_contain_text("Ours.")
    seen = hand_over(book, "And this one?", status="completed", answer="Theirs.")
    expect(card(page, seen).locator(".told")).to_have_text("Seen")
    page.wait_for_timeout(1500)
    assert book.acknowledged == [seen]
    hidden = "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {} }});"
    changed = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hidden.format("true") + changed)
    log.evaluate("e => e.scrollTo(0, 0)")
    page.wait_for_timeout(1500)
    assert book.acknowledged == [seen], "the page is not visible"
    page.evaluate(hidden.format("false") + changed)
    expect(card(page, unseen).locator(".told")).to_have_text("Seen")
    assert book.acknowledged == [seen, unseen]


def test_it_is_cancelled_and_followed_up(page: Page, book: TaskBook) -> None:
    first = hand_over(book, "Whose van is it?", status="running")
    card(page, first).get_by_role("button", name="Cancel").click()
    expect(card(page, first).get_by_role("status")).to_contain_text("Cancelled")
    expect(card(page, first).locator(".told")).to_have_count(0)
    button = card(page, first).get_by_role("button", name="Follow up")
    button.focus()
    page.keyboard.press("Enter")
    field = page.get_by_label("Ask opencode more about this")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(card(page, first)).to_be_focused()
    button.click()
    field.fill("And whose dog?")
    page.keyboard.press("Enter")
    second = page.locator(".line.task", has_text="And whose dog?")
    expect(second).to_contain_text("a follow-up")
    assert list(book.tasks.values())[-1]["follows"] == first
    expect(field).to_have_count(0)


def test_files_are_saved_as_they_are(page: Page, book: TaskBook) -> None:
    task_id = hand_over(book, "Make a table.", status="completed", answer="Here.")
    book.files[task_id, "a b/<x>.html"] = b"<script>window.hit=1</script>"
    book.change(task_id, files=[{"name": "a b/<x>.html", "bytes": 29}], ended_at=book.tasks[task_id]["ended_at"])
    with page.expect_download() as download:
        card(page, task_id).get_by_role("button", name="Save a b/<x>.html, 29 bytes").click()
    assert download.value.path().read_bytes() == b"<script>window.hit=1</script>"
    assert page.evaluate("window.hit") is None


def test_a_long_answer_is_folded_and_opened_by_keyboard(page: Page, book: TaskBook) -> None:
    text = "\n\n".join(f"Paragraph {n}." for n in range(60)) + "\n\n[the last](https://x.example)"
    task_id = hand_over(book, "Tell me all.", status="completed", answer=text)
    shown = card(page, task_id)
    more = shown.get_by_role("button", name="Show all")
    expect(more).to_have_attribute("aria-expanded", "false")
    assert shown.bounding_box()["height"] < 600  # type: ignore[index]
    more.focus()
    page.keyboard.press("Enter")
    expect(shown.get_by_role("button", name="Show less")).to_have_attribute("aria-expanded", "true")
    assert shown.bounding_box()["height"] > 1000  # type: ignore[index]
    page.keyboard.press("Enter")
    expect(more).to_be_visible()
    shown.get_by_role("link", name="the last").focus()
    expect(shown.get_by_role("button", name="Show less")).to_be_visible()


def test_a_task_that_no_agent_took_is_told_and_asked_for_nowhere(page: Page, session: Session, book: TaskBook) -> None:
    error = "No agent is configured, so nobody can look into it. See docs/agents.md."
    task = book.add("Whose van is it?", agent="", status="failed", error=error, code="no_agent", origin="model")
    del book.tasks[task["id"]]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if task["id"] in request.url else None)
    session.publish("task.updated", task=task)
    expect(card(page, task["id"])).to_contain_text(error)
    expect(card(page, task["id"]).get_by_role("button")).to_have_count(0)
    page.wait_for_timeout(1500)
    assert asked == []


def test_the_timeline_takes_nothing_back(site: Site, page: Page, session: Session, book: TaskBook) -> None:
    """The record has outlines of a task; what it was before comes after what it is now."""
    task_id = hand_over(book, "Whose van is it?", ago_s=5)
    outline = {"status", "progress", "permission", "answer", "files", "t"}
    brief = {name: value for name, value in book.tasks[task_id].items() if name not in outline}
    session.note("task", "Whose van is it?", task={**brief, "status": "queued"})
    book.change(task_id, status="completed", answer="Ours, **surely**.", delivered="spoken")
    session.note("task", "Whose van is it?", task={**brief, "status": "completed", "digest": "Ours."})
    page.reload()
    expect(card(page, task_id).locator("strong")).to_have_text("surely")
    expect(card(page, task_id).locator(".told")).to_have_text("Told aloud")
    del book.tasks[task_id]  # the server deletes old ones; what was noted stays
    page.reload()
    expect(card(page, task_id)).to_contain_text("Ours.")
    wait_until(lambda: card(page, task_id).get_attribute("data-status") == "completed")
