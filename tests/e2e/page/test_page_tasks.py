"""The page against the real server with an agent that asks: from a question by hand to an answer that was seen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from fakes.agents.joyvl_asking_agent import install
from fakes.server.browser import Watched
from fakes.server.server import ServerProcess

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    site = tmp_path_factory.mktemp("site")
    install(site)
    env = {
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]),
        "JOYVL_AGENTS__ENTRIES": json.dumps({"helper": {"type": "asking", "about": "counts pictures"}}),
    }
    with ServerProcess(tmp_path_factory.mktemp("server"), demo=True, env=env) as server:
        yield server


@pytest.fixture
def watched(context: BrowserContext, server: ServerProcess) -> Iterator[Watched]:
    watched = Watched(context, server.url)
    yield watched
    assert watched.complaints == []


def task(server: ServerProcess, question: str) -> dict[str, Any]:
    tasks = server.call("GET", "/v1/tasks")["data"]
    found: dict[str, Any] = next(task for task in tasks if task["question"] == question)
    return found


def open_demo(page: Page, server: ServerProcess) -> None:
    page.goto(server.url)
    page.get_by_role("link", name="Open demo").click()
    expect(page.locator(".live[data-stream=live]")).to_be_visible()


def ask(page: Page, server: ServerProcess, question: str, about: str) -> None:
    page.goto(f"{server.url}/#/tasks/new")
    page.get_by_label("Question").fill(question)
    page.get_by_label("Agent", exact=True).select_option("helper")
    page.get_by_label("About").select_option(about)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".task-card", has_text=question)).to_be_visible()


def test_asked_allowed_answered_seen_and_still_there(server: ServerProcess, watched: Watched) -> None:
    page = watched.page
    ask(page, server, "Whose parcel is it?", "demo")
    open_demo(page, server)
    card = page.locator(".line.task .task-card", has_text="Whose parcel is it?")
    group = card.get_by_role("group", name="helper asks for permission")
    expect(group).to_contain_text("wc -l < frames.txt")
    expect(card).to_contain_text("asked by hand")
    group.get_by_role("button", name="Allow once").click()
    expect(card.locator(".markdown strong")).to_have_text("ours")
    expect(card.locator("td").nth(1)).to_have_text("Whose parcel is it?")
    expect(card).to_contain_text("<script>window.hit = 1</script> a trap")
    assert card.locator("script, a").count() == 0
    expect(card.locator(".told")).to_have_text("Seen")
    server.wait(lambda: task(server, "Whose parcel is it?")["delivered"] == "shown")
    with page.expect_download() as download:
        card.get_by_role("button", name="Save count.csv").click()
    assert download.value.path().read_text().startswith("frames,")
    page.reload()
    expect(card.locator(".markdown strong")).to_have_text("ours")
    expect(card.locator(".told")).to_have_text("Seen")
    expect(card.get_by_role("button", name="Save count.csv")).to_be_visible()
    page.goto(f"{server.url}/#/tasks/completed")
    expect(page.locator(".task-card", has_text="Whose parcel is it?").locator(".told")).to_have_text("Seen")
    assert page.evaluate("window.hit") is None


def test_denied_followed_up_and_cancelled_in_the_list(server: ServerProcess, watched: Watched) -> None:
    page = watched.page
    ask(page, server, "How many are there?", "Nothing that is watched")
    card = page.locator(".task-card", has_text="How many are there?")
    card.get_by_role("button", name="Deny").click()
    expect(card).to_contain_text("It may not count.")
    assert task(server, "How many are there?")["code"] == "refused"
    card.get_by_role("button", name="Follow up").click()
    page.get_by_label("Ask helper more about this").fill("And now?")
    page.keyboard.press("Enter")
    second = page.locator(".task-card", has_text="And now?")
    expect(second.get_by_role("group", name="helper asks for permission")).to_be_visible()
    expect(second).to_contain_text("a follow-up")
    second.get_by_role("button", name="Cancel").click()
    expect(second).to_contain_text("Cancelled")
    assert task(server, "And now?")["status"] == "cancelled"
    assert task(server, "And now?")["follows"] == task(server, "How many are there?")["id"]


def test_without_an_agent_it_says_how_to_get_one(tmp_path: Path, context: BrowserContext) -> None:
    with ServerProcess(tmp_path) as server:
        watched = Watched(context, server.url)
        watched.page.goto(f"{server.url}/#/tasks")
        expect(watched.page.get_by_role("heading", name="No agent is configured")).to_be_visible()
        assert watched.complaints == []
