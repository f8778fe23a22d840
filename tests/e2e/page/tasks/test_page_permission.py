"""Nobody allows what was not shown, or allows where an agent has called it otherwise; words that are long fit."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from fakes.page.site import Site
from fakes.page.tasks import TaskBook

pytestmark = pytest.mark.browser

ODD = [
    {"id": "no", "name": "Allow", "kind": "reject_once"},
    {"id": "yes", "name": "Reject", "kind": "allow_once"},
    {"id": "ever", "name": "Deny", "kind": "allow_always"},
    {"id": "never", "name": "", "kind": "reject_always"},
]


@pytest.fixture
def book(site: Site) -> TaskBook:
    site.world.book.agents = [{"name": "opencode", "default": True, "about": ""}]
    return site.world.book


def ask(page: Page, book: TaskBook, detail: str, **more: Any) -> Locator:
    """The card of an agent that asks whether it may do this."""
    task_id = book.add("Is it ours?", status="running", session_id="ses_1")["id"]
    permission = book.ask(task_id, "Run a command", detail)["permission"]
    book.change(task_id, permission={**permission, **more})
    group = page.get_by_role("group", name="opencode asks for permission")
    expect(group).to_be_visible()
    return group


def test_a_button_says_what_it_does_whatever_the_agent_calls_it(page: Page, book: TaskBook) -> None:
    group = ask(page, book, "ls", options=ODD)
    buttons = group.get_by_role("button")
    expect(buttons).to_have_text(["Allow once “Reject”", "Always allow “Deny”", "Deny “Allow”", "Always deny"])
    looks = buttons.evaluate_all("all => all.map((one) => getComputedStyle(one).borderColor)")
    assert looks[0] == looks[1]
    assert looks[2] == looks[3] != looks[0]
    buttons.nth(0).click()
    expect(group).to_have_count(0)
    assert [option for _, _, option in book.answers] == ["yes"]


def test_many_empty_lines_hide_nothing(page: Page, book: TaskBook) -> None:
    group = ask(page, book, "ls" + "\n" * 100 + "\u2800\u3164" + "\n \n" * 50 + "rm -rf /\n\nls")
    shown = group.locator("pre")
    expect(shown.locator("span")).to_have_text(["ls", "199 empty lines", "rm -rf /\n\nls"])
    assert shown.evaluate("e => e.scrollHeight <= e.clientHeight")
    expect(group.get_by_role("button", name="Show all")).to_have_count(0)
    group.get_by_role("button", name="Allow once").click()
    expect(group).to_have_count(0)


@pytest.mark.parametrize("way", ["scrolled", "opened"])
def test_what_does_not_fit_is_allowed_only_after_it_was_shown(page: Page, book: TaskBook, way: str) -> None:
    group = ask(page, book, "\n".join(f"echo {n}" for n in range(40)) + "\nrm -rf /")
    allow, always = (group.get_by_role("button", name=name) for name in ("Allow once", "Always allow"))
    expect(group).to_contain_text("more lines")
    for button in (allow, always):
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_accessible_description("It can be allowed when all of it was shown.")
        button.dispatch_event("click")
    allow.focus()
    page.keyboard.press("Enter")
    expect(group.get_by_role("button", name="Deny")).to_have_attribute("aria-disabled", "false")
    shown = group.locator("pre")
    shown.evaluate("e => e.scrollTo(0, 100)")
    page.wait_for_timeout(300)
    expect(allow).to_have_attribute("aria-disabled", "true")
    assert book.answers == []
    if way == "scrolled":
        shown.evaluate("e => e.scrollTo(0, e.scrollHeight)")
    else:
        group.get_by_role("button", name="Show all").click()
        expect(group.get_by_role("button", name="Show less")).to_have_attribute("aria-expanded", "true")
        assert shown.evaluate("e => e.scrollHeight <= e.clientHeight")
    expect(group).not_to_contain_text("more lines")
    expect(group).not_to_contain_text("when all of it was shown")
    expect(allow).to_have_attribute("aria-disabled", "false")
    shown.evaluate("e => e.scrollTo(0, 0)")  # it was shown once
    allow.click()
    expect(group).to_have_count(0)
    assert [option for _, _, option in book.answers] == ["yes"]


def test_what_does_not_fit_can_be_denied_at_once(page: Page, book: TaskBook) -> None:
    group = ask(page, book, "\n".join(f"echo {n}" for n in range(40)))
    group.get_by_role("button", name="Deny").click()
    expect(group).to_have_count(0)
    assert [option for _, _, option in book.answers] == ["no"]


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_long_words_stay_in_their_cells_and_choices_are_read_whole(
    site: Site, page: Page, book: TaskBook, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    table = f"| a | b |\n|---|---|\n| {'x' * 90} | {'y' * 60}`{'z' * 70}` |"
    book.add("Which?", status="completed", answer=table, delivered="shown")
    page.goto(f"{site.base}/#/tasks")
    cells = page.locator(".markdown td")
    expect(cells).to_have_count(2)
    assert cells.evaluate_all("all => all.every((cell) => cell.scrollWidth <= cell.clientWidth)")
    page.goto(f"{site.base}/#/tasks/new")
    select = page.get_by_label("Agent", exact=True)
    expect(select).to_be_visible()
    place = select.evaluate(
        """(select) => {
          const style = getComputedStyle(select);
          const pen = document.createElement("canvas").getContext("2d");
          pen.font = style.font;
          const text = pen.measureText(select.selectedOptions[0].text).width;
          return select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - text;
        }"""
    )
    assert place >= 16, "there is an arrow, too"
