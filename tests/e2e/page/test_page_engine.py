"""The live page on an engine that reads words: sentences that become watches, the threshold in the strip, what pictures
may cost, and an engine that is short of time."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from fakes.page.shapes import SCORED
from fakes.page.site import Site
from fakes.page.world import Session, World

pytestmark = pytest.mark.browser


@pytest.fixture
def world(world: World) -> World:
    world.sessions["ses_1"].capabilities = dict(SCORED)
    return world


def ask(page: Page, session: Session, text: str) -> str:
    page.get_by_label("Ask about what it sees").fill(text)
    page.keyboard.press("Enter")
    expect(page.locator(".line.asked").last).to_contain_text(text)
    return str(session.queries[-1]["id"])


def test_a_sentence_that_became_a_watch_is_shown_and_undone(page: Page, session: Session) -> None:
    query = ask(page, session, "Tell me when the cat comes in")
    line = page.locator(".line.asked")
    session.close_query(query, "standing")
    expect(line).to_contain_text("It becomes a watch")
    session.add_watch("Tell me when the cat comes in", query_id=query)
    expect(line).to_contain_text("Kept as a watch")
    expect(page.locator(".watch")).to_contain_text("from your words")
    line.get_by_role("button", name="Undo").click()
    expect(page.locator(".watch")).to_have_count(0)
    expect(line).to_contain_text("Its watch was removed")
    expect(line.get_by_role("button")).to_have_count(0)
    assert session.watches == []


def test_a_sentence_that_ended_a_watch_is_shown_and_undone(page: Page, session: Session) -> None:
    watch = session.add_watch("Tell me when a parcel is left")
    query = ask(page, session, "You need not look for parcels any more")
    watch["paused"] = True
    session.publish("watch.updated", watch=dict(watch), query_id=query)
    session.close_query(query, "cancel", watch_id=watch["id"])
    line = page.locator(".line.asked")
    expect(line).to_contain_text("Paused: Tell me when a parcel is left")
    line.get_by_role("button", name="Undo").click()
    expect(line).to_contain_text("Resumed: Tell me when a parcel is left")
    expect(page.locator(".watch.paused")).to_have_count(0)
    assert session.watches[0]["paused"] is False


def test_a_sentence_that_withdrew_another_question_says_so(page: Page, session: Session) -> None:
    query = ask(page, session, "Never mind")
    session.close_query(query, "cancel")
    expect(page.locator(".line.asked")).to_contain_text("Stopped as you said")


def test_an_engine_short_of_time_is_told_in_words_until_it_keeps_up(page: Page, session: Session) -> None:
    told = page.locator(".pressure")
    expect(told).to_have_count(0)
    for step, words in ((1, "small pictures"), (2, "looks less often"), (3, "no further session")):
        session.press(step)
        expect(told).to_contain_text("Short of engine time: ")
        expect(told).to_contain_text(words)
        expect(told).to_have_attribute("data-step", str(step))
    session.press(0)
    expect(told).to_have_count(0)


def test_what_decides_and_how_is_labelled(page: Page, session: Session) -> None:
    expect(page.locator(".facts")).to_contain_text("scores the model's own markers")
    expect(page.locator(".engine-note")).to_have_text("The server does not tell how full its cache is.")
    for mode, words in (
        ("instruct", "general model, with instructions in words"),
        ("markers", "writes its markers as text"),
    ):
        session.capabilities = {**session.capabilities, "mode": mode, "note": ""}
        session.publish("session.updated", session=session.to_dict())
        expect(page.locator(".facts")).to_contain_text(words)
    expect(page.locator(".engine-note")).to_have_count(0)


def test_what_pictures_may_cost_is_chosen_and_the_session_goes_on(page: Page, site: Site) -> None:
    faithful, eco = page.get_by_role("radio", name="Faithful"), page.get_by_role("radio", name=re.compile("^Eco"))
    page.get_by_text("Pictures: Faithful").click()
    expect(faithful).to_be_checked()
    expect(page.get_by_text("Like adaptive, with fewer looks while nothing moves.")).to_be_visible()
    site.tick("ses_1", decision="speak", text="Before.")
    expect(page.locator(".said-text")).to_have_text(["Before."])
    eco.check()
    expect(page.get_by_text("Pictures: Eco")).to_be_visible()
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    expect(eco).to_be_checked()
    expect(eco).to_be_enabled()
    expect(page.locator(".line.notice")).to_have_count(0)
    assert site.world.sessions["ses_1"].fidelity == "eco"
    site.tick("ses_1", decision="speak", text="After.")
    expect(page.locator(".said-text")).to_have_text(["Before.", "After."])


def test_an_engine_that_needs_every_frame_offers_no_choice(page: Page, session: Session) -> None:
    session.capabilities = {**session.capabilities, "needs_every_frame": True}
    session.publish("session.updated", session=session.to_dict())
    expect(page.get_by_text("looks at every picture in full")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)


# The height above the floor, in pixels of the page, at which the dashed line is drawn; null while there is none.
THRESHOLD_AT = """() => {
  const canvas = document.querySelector('.strip canvas');
  const scale = canvas.width / canvas.clientWidth;
  const paint = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  paint.drawImage(canvas, 0, 0);
  const { data } = paint.getImageData(0, 0, canvas.width, canvas.height);
  const colour = getComputedStyle(canvas).getPropertyValue('--mark-threshold').trim();
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  const rows = [];
  for (let y = 0; y < canvas.height; y += 1) {
    let n = 0;
    for (let x = 0; x < canvas.width; x += 1) {
      const i = 4 * (y * canvas.width + x);
      const far = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
      if (far < 12 && data[i + 3] > 200) n += 1;
    }
    if (n > canvas.width / 3) rows.push(canvas.height / scale - 14 - y / scale);
  }
  return rows.length ? Math.max(...rows) : null;
}"""


def test_the_strip_shows_the_threshold_and_what_a_move_of_the_slider_would_mean(page: Page, session: Session) -> None:
    now = time.time()
    for n in range(20):
        session.tick(score=n / 20, wall=now - 40 + n)
    marks = page.locator(".strip-marks")
    expect(marks).to_have_attribute("data-threshold", "0.5")
    expect(page.get_by_text("10 of the last 20 decisions reached it.")).to_be_visible()
    middle = page.wait_for_function(THRESHOLD_AT).json_value()
    slider = page.get_by_role("slider", name="Sensitivity")
    slider.evaluate("e => { e.value = 0.25; e.dispatchEvent(new Event('input', { bubbles: true })); }")
    expect(marks).to_have_attribute("data-threshold", "0.75")
    expect(page.get_by_text("5 of the last 20 decisions reached it.")).to_be_visible()
    page.wait_for_function(f"() => ({THRESHOLD_AT})() > {middle} + 5")
    assert session.threshold == 0.5, "nothing is sent while it moves"
    slider.evaluate("e => e.dispatchEvent(new Event('change', { bubbles: true }))")
    expect(page.locator(".legend")).to_contain_text("Speaks from 0.75")
    deadline = time.time() + 3
    while session.threshold != 0.75 and time.time() < deadline:
        page.wait_for_timeout(20)
    assert session.threshold == 0.75
