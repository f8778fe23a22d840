"""What the page knows of a task: told by updates, lists and the timeline in any order, it is never taken back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from fakes.page.site import page_site
from fakes.page.world import World

pytestmark = pytest.mark.browser

WHOLE = {"created_at": "2026-01-01T10:00:00.000Z", "question": "Whose?", "delivered": None, "answer": "", "files": []}
DETAILS = ("answer", "files", "progress", "permission")


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with page_site(World()) as site:
        page = browser.new_page()
        page.goto(f"{site.base}/#/cameras")
        yield page
        page.close()


def call(page: Page, module: str, expression: str, *args: Any) -> Any:
    """`expression` of `m`, the module, and `a`, the arguments."""
    return page.evaluate(
        f"""async (a) => {{
            const m = await import(new URL('{module}', document.querySelector('script[type=module]').src).href);
            return {expression};
        }}""",
        list(args),
    )


def state(status: str, **more: Any) -> dict[str, Any]:
    return {**WHOLE, "id": "tsk_1", "status": status, "agent": "opencode", "progress": "", "permission": None, **more}


def brief(task: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in task.items() if name not in DETAILS}


def test_in_whatever_order_it_is_told_the_end_is_the_end(page: Page) -> None:
    done = state("completed", answer="Ours.")
    told = [state("queued"), brief(state("queued")), done, brief(done), {**brief(done), "delivered": "spoken"}]
    for order in itertools.permutations(told):
        view = "a[0].reduce((view, task) => m.withTask(view, { task }), m.emptyView('ses_1')).lines"
        (line,) = call(page, "state/view.js", view, list(order))
        assert line["task"]["status"] == "completed"
        assert line["task"]["answer"] == "Ours."
        assert line["task"]["delivered"] == "spoken"


def test_an_outline_keeps_details_of_the_same_status_only(page: Page) -> None:
    asking = state("waiting", permission={"id": "prm_1"})
    assert call(page, "state/task_facts.js", "m.merged(...a)", asking, brief(state("waiting")))["permission"]
    ended = call(page, "state/task_facts.js", "m.merged(...a)", asking, brief(state("failed", error="It died.")))
    assert "permission" not in ended
    assert "answer" not in ended, "it has to be read"


def test_a_list_that_was_asked_for_before_an_update_is_older_than_it(page: Page) -> None:
    before, since, listed = (
        state("running"),
        state("running", progress="newer"),
        state("waiting", permission={"id": "p"}),
    )
    late = "m.mergedAnswer(a[0], a[1], a[2])"
    assert call(page, "state/task_facts.js", late, since, listed, before)["progress"] == "newer"
    same = "m.mergedAnswer(a[0], a[1], a[0])"
    assert call(page, "state/task_facts.js", same, before, listed)["status"] == "waiting"
    assert call(page, "state/task_facts.js", late, since, state("completed"), before)["status"] == "completed"


def test_what_asks_comes_first_then_the_newest(page: Page) -> None:
    tasks = [
        {"id": f"tsk_{n}", "status": status} for n, status in enumerate(["waiting", "running", "failed", "waiting"])
    ]
    order = call(page, "state/task_facts.js", "m.inOrder(a[0]).map((task) => task.id)", tasks)
    assert order == ["tsk_3", "tsk_0", "tsk_2", "tsk_1"]


def test_old_tasks_stay_out_of_a_transcript_that_does_not_reach_back(page: Page) -> None:
    told = state("completed", delivered="shown")
    since = 1_800_000_000  # years later
    lines = "m.withTasks(m.emptyView('ses_1'), [a[0]], new Map(), a[1]).lines.length"
    assert call(page, "state/view.js", lines, told, since) == 0
    assert call(page, "state/view.js", lines, told, 0) == 1
    assert call(page, "state/view.js", lines, state("completed"), since) == 1, "nobody was told of it"
    assert call(page, "state/view.js", lines, state("running"), since) == 1


def test_words(page: Page) -> None:
    now = 1_767_261_600_000  # 2026-01-01T10:00:00Z
    left = "m.leftWords(...a)"
    assert call(page, "text/permission_words.js", left, "2026-01-01T10:01:05Z", now).startswith("1:05 left")
    gone = "No time left: it counts as denied."
    assert call(page, "text/permission_words.js", left, "2026-01-01T10:00:00Z", now) == gone
    assert call(page, "text/permission_words.js", left, "nonsense", now) == "No time left: it counts as denied."
    told = "m.toldWords(a[0])"
    for status, delivered, words in (
        ("completed", None, "Not told yet"),
        ("failed", "spoken", "Told aloud"),
        ("completed", "shown", "Seen"),
        ("cancelled", None, ""),
        ("running", None, ""),
    ):
        assert call(page, "text/task_words.js", told, {"status": status, "delivered": delivered}) == words
    sizes = call(page, "text/task_words.js", "a[0].map(m.sizeWords)", [0, 999, 1000, 1_500_000])
    assert sizes == ["0 bytes", "999 bytes", "1.0 kB", "1.5 MB"]
