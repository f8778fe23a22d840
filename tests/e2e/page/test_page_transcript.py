"""Where the transcript stands: at its end, unless somebody reads further up."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, Route, expect

from fakes.page.site import Site, open_live
from fakes.page.world import Session

pytestmark = pytest.mark.browser

GAP = "e => e.scrollHeight - e.scrollTop - e.clientHeight"


def test_it_stands_at_its_end_though_lines_grow_after_they_came(site: Site, session: Session, page: Page) -> None:
    events = [site.world.timeline.add(f"Somebody comes in, number {n}.") for n in range(6)]
    for n in range(20):
        session.tick("speak", text=f"Remark {n}.")
    query = session.ask("Who came?")
    held: list[Route] = []
    page.route(re.compile(r"/v1/events/evt_[^/]+$"), lambda route: held.append(route))
    session.close_query(query["id"], "answered", "They did.", rests_on=tuple(event["id"] for event in events))
    page.reload()
    expect(page.locator(".said-text")).to_have_count(20)
    page.wait_for_timeout(500)
    assert held
    for route in held:
        route.continue_()
    expect(page.locator(".ground").last).to_contain_text("number 5")
    page.wait_for_timeout(200)
    assert page.get_by_role("log").evaluate(GAP) < 2


def test_a_question_that_is_asked_is_shown_also_to_who_read_further_up(
    site: Site, session: Session, page: Page
) -> None:
    for n in range(30):
        session.tick("speak", text=f"Remark {n}.")
    expect(page.locator(".said-text")).to_have_count(30)
    log = page.get_by_role("log")
    log.evaluate("e => e.scrollTo(0, 100)")
    page.wait_for_timeout(100)
    session.tick("speak", text="Remark 30.")
    pill = page.get_by_role("button", name="1 new")
    field = page.get_by_label("Ask about what it sees")
    expect(pill).to_be_visible()
    above, below = pill.bounding_box(), page.locator(".ask").bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] <= below["y"], "it lies over the field"
    field.fill("Who was that?")
    page.keyboard.press("Enter")
    expect(page.locator(".line.asked")).to_contain_text("Who was that?")
    expect(pill).to_have_count(0)
    assert log.evaluate(GAP) < 2


def test_an_engine_that_reads_no_words_says_what_can_be_asked_all_the_same(page: Page) -> None:
    expect(page.locator("#ask-hint")).to_have_text(
        "The engine motion does not read words, so it cannot say what it sees now. "
        "Ask about the past, or tell it what to remember."
    )


def test_the_chart_has_the_zone_of_the_server(site: Site, page: Page) -> None:
    site.world.time_zone = "Asia/Kathmandu"  # it is 5:45 ahead: minutes differ from every zone of full hours
    drawn: list[str] = []
    page.expose_function("noteText", lambda words: drawn.append(words))
    page.add_init_script(
        "const paint = CanvasRenderingContext2D.prototype, text = paint.fillText;"
        "paint.fillText = function (words, ...at) { window.noteText(words); return text.call(this, words, ...at); };"
    )
    open_live(page, site.base)
    page.reload()
    page.wait_for_timeout(1500)
    minute = (time.gmtime(time.time() + 5.75 * 3600).tm_min - 1) % 60
    assert any(int(words[-2:]) in (minute, (minute + 1) % 60) for words in drawn if words[-3:-2] == ":"), drawn[-5:]
