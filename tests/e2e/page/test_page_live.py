"""The live page in real Chromium, before a stand-in of the API that the tests steer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from fakes.page.shapes import SCORED
from fakes.page.site import Site, page_site
from fakes.page.world import World
from fakes.server.browser import DESKTOP, Watched

pytestmark = pytest.mark.browser


@pytest.fixture
def watched(browser: Browser, site: Site) -> Iterator[Watched]:
    """A tab on the camera's session; a complaint at the end fails the test."""
    context = browser.new_context(viewport=DESKTOP)
    watched = Watched(context, site.base, expected=("503",))  # a picture on its way when the camera goes
    watched.page.goto(f"{site.base}/#/live/ses_1")
    expect(watched.page.get_by_role("heading", name="Front door")).to_be_visible()
    expect(watched.page.locator(".live[data-stream=live]")).to_be_visible()
    yield watched
    context.close()
    assert watched.complaints == []


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


def lines(page: Page) -> list[str]:
    return page.locator(".said-text").all_inner_texts()


def test_strip_shows_one_mark_a_decision_and_a_gap_as_a_gap(site: Site, page: Page) -> None:
    now = time.time()
    for ago in (50, 48, 46):
        site.tick("ses_1", score=0.1, wall=now - ago)
    site.tick("ses_1", skipped="busy", wall=now - 44)
    site.tick("ses_1", decision="speak", text="There.", wall=now - 3)
    site.tick("ses_1", decision="delegate", text="Let me see.", question="Who?", wall=now - 2)
    marks = page.locator(".strip-marks")
    expect(marks).to_have_attribute("data-marks", "6")
    for kind, count in {"silent": 3, "spoke": 1, "delegated": 1, "skipped": 1}.items():
        expect(marks).to_have_attribute(f"data-{kind}", str(count))
    painted = page.wait_for_function(PAINTED_COLUMNS).json_value()
    assert painted["early"] >= 8, "four marks of at least two columns each"
    assert painted["gap"] == 0, "nothing may be drawn where nothing was decided"
    assert painted["late"] >= 4


# Columns that hold ink other than the grid's, in three spans of the strip; grid lines and labels are thin and pale.
PAINTED_COLUMNS = """() => {
  const canvas = document.querySelector('.strip canvas');
  const paint = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  paint.drawImage(canvas, 0, 0);
  const top = 40;
  const { data, width } = paint.getImageData(0, top, canvas.width, canvas.height - top);
  const grid = getComputedStyle(canvas).getPropertyValue('--mark-grid').trim();
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(grid.slice(i, i + 2), 16));
  const inked = (x) => { for (let i = 4 * x; i < data.length; i += 4 * width) {
    const far = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) > 60;
    if (data[i + 3] > 100 && far) return true; } return false; };
  const span = (from, to) => { let n = 0; for (let s = from; s > to; s -= 1 / 16) {
    const x = Math.round(width - 6 - (s / 120) * (width - 12)); if (inked(x)) n += 1; } return n; };
  const found = { early: span(56, 43), gap: span(38, 10), late: span(8, 0) };
  return found.early && found.late ? found : null;
}"""


def test_the_legend_names_every_mark_in_the_strip(site: Site, page: Page) -> None:
    legend = page.get_by_role("list", name="Legend")
    expect(legend.get_by_role("listitem")).to_have_count(6)
    for skipped in ("busy", "late", "away", "offline", "no_frame", "no_frame", "still", "failed"):
        site.tick("ses_1", skipped=skipped)
    for words in ("Skipped 3", "No picture 3", "Unchanged 1", "Engine failed 1", "Silent 0"):
        expect(legend.get_by_text(words)).to_be_visible()
    expect(page.locator(".strip-marks")).to_have_attribute("data-skipped", "8")


def test_marks_tell_what_they_stand_for_by_keyboard(site: Site, page: Page) -> None:
    site.tick("ses_1", decision="speak", text="Someone comes in.", score=0.93, kind="enter", zone="left")
    site.tick("ses_1", skipped="late")
    marks = page.get_by_role("slider", name="Last two minutes")
    expect(marks).to_have_attribute("data-marks", "2")
    marks.focus()
    marks.press("ArrowLeft")
    expect(page.locator(".tick-details")).to_contain_text("Skipped: its second was over before its turn came.")
    marks.press("ArrowLeft")
    expect(page.locator(".tick-details")).to_contain_text("Someone comes in.")
    expect(page.locator(".tick-details")).to_contain_text("score 0.93 · enter · left")
    marks.press("Escape")
    expect(page.get_by_role("list", name="Legend")).to_be_visible()


def test_spoken_lines_carry_time_kind_zone_and_the_watch_that_fired(site: Site, page: Page) -> None:
    watch = site.world.sessions["ses_1"].add_watch("Tell me when somebody comes in")
    wall = time.time() - 5
    site.tick(
        "ses_1", decision="speak", text="Someone comes in.", kind="enter", zone="left", watches=[watch["id"]], wall=wall
    )
    line = page.locator(".line.said")
    expect(line.locator(".said-text")).to_have_text("Someone comes in.")
    shown = page.evaluate("wall => new Date(wall * 1000).toTimeString().slice(0, 8)", wall)
    expect(line.locator("time")).to_have_text(shown)
    assert line.locator(".chip").all_inner_texts() == ["Comes in", "On the left", "Tell me when somebody comes in"]
    expect(page.get_by_test_id("announcer")).to_have_text("Someone comes in.")


def test_text_grows_while_it_is_spoken(site: Site, page: Page) -> None:
    session = site.world.sessions["ses_1"]
    session.publish("response.created", epoch=7)
    session.publish("response.output_text.delta", epoch=7, delta="A van ")
    expect(page.locator(".line[data-streaming] .said-text")).to_have_text("A van")
    session.publish("response.output_text.delta", epoch=7, delta="stops.")
    expect(page.locator(".line[data-streaming] .said-text")).to_have_text("A van stops.")
    session.publish(
        "response.output_text.done", epoch=7, t=1.0, wall=time.time(), text="A van stops.", urgency="remark"
    )
    expect(page.locator(".line[data-streaming]")).to_have_count(0)
    assert lines(page) == ["A van stops."]


def test_what_happened_before_the_page_was_opened_is_there(site: Site, page: Page) -> None:
    site.tick("ses_1", decision="speak", text="Before.", wall=time.time() - 20)
    site.tick("ses_1", decision="delegate", text="Let me see.", question="Whose van is it?", wall=time.time() - 10)
    page.reload()
    expect(page.locator(".strip-marks")).to_have_attribute("data-marks", "2")
    expect(page.locator(".said-text")).to_have_count(2)
    assert lines(page) == ["Before.", "Let me see."]
    expect(page.locator(".handed-over")).to_have_text("Delegated: Whose van is it?")


def test_a_reader_keeps_the_place_and_is_told_what_is_new(site: Site, page: Page) -> None:
    for n in range(30):
        site.tick("ses_1", decision="speak", text=f"Remark {n}.")
    log = page.get_by_role("log")
    expect(page.locator(".said-text")).to_have_count(30)
    assert log.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight") < 2, "it follows the newest line"
    log.evaluate("e => e.scrollTo(0, 100)")
    page.wait_for_timeout(100)
    site.tick("ses_1", decision="speak", text="Remark 30.")
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    assert log.evaluate("e => e.scrollTop") == 100
    page.get_by_role("button", name="1 new").click()
    expect(page.get_by_role("button", name="1 new")).to_have_count(0)
    assert log.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight") < 2


def test_watches_are_added_paused_and_removed(site: Site, page: Page) -> None:
    held = site.world.sessions["ses_1"]
    page.get_by_label("New watch").fill("Tell me when a parcel is left")
    page.get_by_role("button", name="Add", exact=True).click()
    chip = page.locator(".watch")
    expect(chip).to_contain_text("Tell me when a parcel is left")
    expect(page.get_by_text("does not read words: a watch fires at the kinds chosen on it")).to_be_visible()
    expect(page.get_by_label("New watch")).to_have_value("")
    page.get_by_role("button", name="Pause: Tell me when a parcel is left").click()
    expect(chip.get_by_text("paused")).to_be_visible()
    assert held.watches[0]["paused"] is True
    page.get_by_role("button", name="Resume: Tell me when a parcel is left").click()
    expect(chip.get_by_text("paused")).to_have_count(0)
    page.get_by_role("button", name="Remove: Tell me when a parcel is left").click()
    expect(chip).to_have_count(0)
    assert held.watches == []


def test_what_a_watch_fires_at_is_shown_and_chosen_by_keyboard(site: Site, page: Page) -> None:
    held = site.world.sessions["ses_1"]
    page.get_by_label("New watch").fill("Tell me when someone comes in")
    page.keyboard.press("Enter")
    shown = page.get_by_role("button", name="Fires at: Comes in. Change for: Tell me when someone comes in")
    expect(shown).to_have_attribute("aria-expanded", "false")
    shown.focus()
    page.keyboard.press("Enter")
    group = page.get_by_role("group", name="What “Tell me when someone comes in” fires at")
    expect(group.get_by_role("checkbox")).to_have_count(8)
    expect(group.get_by_label("Comes in")).to_be_checked()
    group.get_by_label("Comes in").focus()
    page.keyboard.press("Space")
    expect(group.get_by_text("it fires at anything")).to_be_visible()
    group.get_by_label("Gets dark").check()
    group.get_by_label("Goes away").check()
    expect(page.locator(".kinds-button")).to_have_text("Goes away, gets dark")
    assert held.watches[0]["kinds"] == ["leave", "dark"]


def test_a_choice_that_is_refused_is_taken_back(site: Site, watched: Watched) -> None:
    page, held = watched.page, site.world.sessions["ses_1"]
    held.add_watch("Tell me when someone comes in")
    page.locator(".kinds-button").click()
    page.route("**/watches/**", lambda route: route.abort())
    page.get_by_label("Gets dark").click()
    expect(page.get_by_label("Gets dark")).not_to_be_checked()
    assert held.watches[0]["kinds"] == ["enter"]
    watched.forgive("Failed to load resource: net::ERR_FAILED")


def test_where_the_engine_reads_words_no_kinds_are_offered(site: Site, page: Page) -> None:
    held = site.world.sessions["ses_1"]
    held.capabilities = dict(SCORED)
    held.add_watch("Tell me when someone comes in")
    page.reload()
    expect(page.locator(".watch")).to_contain_text("Tell me when someone comes in")
    expect(page.locator(".kinds-button")).to_have_count(0)


def test_a_question_waits_and_is_answered_or_withdrawn(site: Site, page: Page) -> None:
    session = site.world.sessions["ses_1"]
    page.get_by_label("Ask about what it sees").fill("How many people?")
    page.keyboard.press("Enter")
    expect(page.locator(".line.asked")).to_contain_text("How many people?")
    expect(page.locator(".line.asked")).to_contain_text("Waiting for an answer")
    query = session.queries[0]["id"]
    site.tick("ses_1", decision="speak", text="One person.", query=query)
    session.close_query(query, "answered", "One person.")
    expect(page.locator(".line.said")).to_contain_text("One person.answer")
    expect(page.get_by_text("Waiting for an answer")).to_have_count(0)
    page.get_by_label("Ask about what it sees").fill("And now?")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator(".line.asked").last).to_contain_text("Withdrawn")


def test_the_next_question_is_typed_while_the_last_one_is_on_its_way(site: Site, watched: Watched) -> None:
    page = watched.page
    held: list[Route] = []
    page.route("**/queries", lambda route: held.append(route))
    field = page.get_by_label("Ask about what it sees")
    field.fill("How many people?")
    page.keyboard.press("Enter")
    expect(field).to_have_value("")
    field.fill("And now?")
    held[0].continue_()
    expect(page.locator(".line.asked")).to_contain_text("How many people?")
    expect(field).to_have_value("And now?")
    page.get_by_role("button", name="Ask").click()
    expect(field).to_have_value("")
    held[1].abort()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(field).to_have_value("And now?")  # refused: nothing is lost
    watched.forgive("Failed to load resource: net::ERR_FAILED")  # Chromium's own word on the cut request
    assert [query["text"] for query in site.world.sessions["ses_1"].queries] == ["How many people?"]


def test_latency_is_shown_as_p50_and_p95(site: Site, page: Page) -> None:
    for age in range(10):
        site.tick("ses_1", age_ms=float(age))
    totals = sorted(t["timings"]["total_ms"] for t in site.world.sessions["ses_1"].ticks)
    p50, p95 = round(totals[5]), round(totals[9])
    expect(page.locator(".latency")).to_contain_text(re.compile(rf"{p50} ms\s*p50\s*{p95} ms\s*p95"))


def test_sensitivity_sets_the_threshold(site: Site, page: Page) -> None:
    page.get_by_role("slider", name="Sensitivity").fill("0.7")
    expect(page.get_by_text("Speaks from score 0.30")).to_be_visible()
    deadline = time.time() + 3
    while site.world.sessions["ses_1"].threshold != 0.3 and time.time() < deadline:
        page.wait_for_timeout(20)
    assert site.world.sessions["ses_1"].threshold == 0.3


def test_a_source_that_goes_away_says_why_and_comes_back(site: Site, page: Page) -> None:
    expect(page.get_by_role("img", name="Live picture of Front door")).to_be_visible()
    site.steer(
        "sessions/ses_1/state",
        status="offline",
        error="The camera does not answer.",
        error_code="unreachable",
        retry_in_s=2.0,
    )
    expect(page.locator(".no-picture")).to_contain_text("The camera does not answer.")
    expect(page.locator(".live-head")).to_contain_text("Offline")
    site.steer("sessions/ses_1/state", status="online", error=None, error_code=None, retry_in_s=None)
    expect(page.locator(".no-picture")).to_have_count(0)
    expect(page.locator(".live-head")).to_contain_text("Online")


def test_the_picture_is_fetched_again_and_old_ones_are_given_back(watched: Watched) -> None:
    page = watched.page
    picture = page.get_by_role("img", name="Live picture of Front door")
    seen: list[str | None] = []
    deadline = time.time() + 4
    while len(seen) < 4 and time.time() < deadline:
        if (src := picture.get_attribute("src")) not in seen:
            seen.append(src)
        page.wait_for_timeout(50)
    assert len(seen) >= 4, "about three pictures a second"
    page.wait_for_timeout(1200)
    loads = """src => new Promise((done) => {
        const image = new Image();
        image.onload = () => done(true);
        image.onerror = () => done(false);
        image.src = src;
    })"""
    first = seen[0]
    assert page.evaluate(loads, picture.get_attribute("src")) is True
    assert page.evaluate(loads, first) is False, "a picture that is no longer shown is given back"
    watched.forgive("Failed to load resource: net::ERR_FILE_NOT_FOUND")  # that was us


def test_names_and_texts_are_text_never_html(browser: Browser) -> None:
    evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    world = World()
    camera = world.add_camera(evil, "rtsp://192.168.1.9/x")
    session = world.sessions[camera.session_id]
    watch = session.add_watch(evil)
    session.zones = [{"name": evil, "points": []}]
    with page_site(world) as site:
        context = browser.new_context(viewport=DESKTOP)
        watched = Watched(context, site.base, expected=("503",))
        page = watched.page
        for place in ("#/live", "#/cameras", "#/live/ses_1"):
            page.goto(f"{site.base}/{place}")
            expect(page.get_by_text(evil).first).to_be_visible()
        site.tick("ses_1", decision="speak", text=evil, kind=evil, zone=evil, question=evil, watches=[watch["id"]])
        session.ask(evil)
        site.steer("sessions/ses_1/state", status="offline", error=evil)
        expect(page.locator(".said-text")).to_have_text(evil)
        expect(page.locator(".asked-text")).to_have_text(evil)
        expect(page.locator(".no-picture")).to_contain_text(evil)
        assert page.evaluate("window.hit") is None
        assert page.locator("#app script, #app img[onerror]").count() == 0
        context.close()
    assert watched.complaints == []
