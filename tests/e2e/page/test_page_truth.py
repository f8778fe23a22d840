"""What the page shows is true: history over restarts and edits, states while engine, server or network are away."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from fakes.media.proxy import silent_proxy
from fakes.page.site import Site, open_live
from fakes.page.world import Session
from fakes.server.browser import Watched

pytestmark = pytest.mark.browser


# ------------------------------------------------------------------------------------------------------------- history


def test_a_session_that_begins_anew_loses_and_mixes_nothing(site: Site, page: Page) -> None:
    for n in range(3):
        site.tick("ses_1", decision="speak", text=f"Before {n}.", wall=time.time() - 30 + n)
    site.steer("sessions/ses_1/end", reason="the camera was changed", code="camera_changed")
    site.world.begin_anew("cam_1")
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    for n in range(3):
        site.tick("ses_1", decision="speak", text=f"After {n}.")
    everything = [f"{when} {n}." for when in ("Before", "After") for n in range(3)]
    expect(page.locator(".said-text")).to_have_text(everything)
    page.reload()
    expect(page.locator(".said-text")).to_have_text(everything)


def test_records_of_an_older_server_that_used_epochs_twice_are_told_apart(page: Page, session: Session) -> None:
    for run, ago in (("first", 7200), ("second", 3600)):
        for epoch in (1, 2):
            spoken(session, f"The {run} run, {epoch}.", epoch=epoch, ago_s=ago - epoch)
    page.reload()
    texts = ["The first run, 1.", "The first run, 2.", "The second run, 1.", "The second run, 2."]
    expect(page.locator(".said-text")).to_have_text(texts)


def test_the_transcript_is_the_same_after_a_reload(site: Site, page: Page, session: Session) -> None:
    """Questions, what became of them, and notices too."""
    spoken(session, "Long ago.", epoch=5, ago_s=7200)  # further back than the strip's ticks
    page.reload()
    expect(page.locator(".said-text")).to_have_text(["Long ago."])
    withdrawn = session.ask("How many people?")
    session.close_query(withdrawn["id"], "withdrawn")
    session.change_state(status="offline", error="The camera does not answer.")
    session.change_state(status="online", error=None)
    session.change_engine("away", "The engine does not answer.")
    session.change_engine("ready")
    site.tick("ses_1", decision="speak", text="Somebody comes in.", kind="enter")
    open_question = session.ask("And now?")
    expect(page.locator(".line.asked")).to_have_count(2)
    expect(page.locator(".said-text").last).to_have_text("Somebody comes in.")
    before = transcript(page)
    assert before[-7:-1] == [
        "How many people? Withdrawn",
        "No picture: The camera does not answer.",
        "The picture is there.",
        "The engine is away. The engine does not answer.",
        "The engine decides again.",
        "Somebody comes in. Comes in",
    ]
    page.reload()
    expect(page.locator(".said-text")).to_have_count(2)
    expect(page.locator(".line.asked")).to_have_count(2)
    assert transcript(page) == before
    session.close_query(open_question["id"], "expired")


def spoken(session: Session, text: str, *, epoch: int, ago_s: float) -> None:
    """A remark that is in the record only."""
    about = {"epoch": epoch, "watches": [], "kind": None, "zone": None, "query": None, "question": ""}
    session.note("spoke", text, wall=time.time() - ago_s, **about)


def transcript(page: Page) -> list[str]:
    return [" ".join(text.split()) for text in page.locator(".line-body").all_inner_texts()]


def test_what_was_being_said_when_the_server_died_is_broken_off(site: Site, page: Page, session: Session) -> None:
    session.publish("response.created", epoch=77)
    session.publish("response.output_text.delta", epoch=77, delta="A van st")
    expect(page.locator(".line[data-streaming]")).to_be_visible()
    site.world.begin_anew("cam_1")
    session.closing = True  # as a killed server's sockets do
    expect(page.locator(".line[data-streaming]")).to_have_count(0)
    expect(page.locator(".line.said")).to_contain_text("It broke off here")


# -------------------------------------------------------------------------------------------------------------- engine


@pytest.mark.parametrize(
    ("status", "title", "badge"),
    [
        ("away", "The engine is away.", "Engine away"),
        ("cannot", "The engine can't decide.", "Engine can't decide"),
        ("loading", "The engine is loading.", "Engine loading"),
        ("slow", "The engine is slow.", "Engine slow"),
    ],
)
def test_an_engine_in_trouble_is_told_everywhere_with_its_reason(
    page: Page, session: Session, site: Site, status: str, title: str, badge: str
) -> None:
    note = page.locator(".engine-state")
    expect(note).to_have_count(0)
    session.change_engine(status, "It does not answer at 127.0.0.1:8000", ago_s=90)
    expect(note).to_contain_text(f"{title} It does not answer at 127.0.0.1:8000.")
    expect(note).to_contain_text("Since ")
    expect(page.locator(".live-head .badge")).to_have_text(["Online", badge])
    for place in ("#/live", "#/cameras"):
        page.goto(f"{site.base}/{place}")
        card = page.locator(".tile, .camera", has_text="Front door")
        expect(card).to_contain_text(f"{title} It does not answer at 127.0.0.1:8000. For 1 min.")
        expect(card.locator(".badge")).to_have_text([badge])
    open_live(page, site.base)
    expect(note).to_be_visible()
    session.change_engine("loading")  # nobody has asked it yet
    expect(note).to_have_count(0)
    session.change_engine("ready")
    expect(note).to_have_count(0)
    expect(page.locator(".live-head .badge")).to_have_text(["Online"])


def test_a_session_that_cannot_look_does_not_say_that_it_is_awake(page: Page, session: Session) -> None:
    quiet = page.locator(".quiet")
    expect(quiet).to_contain_text("The strip shows each look")
    session.change_engine("away", "The engine does not answer.")
    expect(quiet).not_to_contain_text("The strip shows each look")
    session.change_engine("ready")
    expect(quiet).to_contain_text("The strip shows each look")
    session.change_state(status="offline", error="The camera does not answer.")
    expect(quiet).to_contain_text("There is no picture, so there is nothing to look at.")


# ------------------------------------------------------------------------------------------------------- silent network


def test_a_network_that_goes_silent_is_noticed_and_its_return_too(site: Site, context: BrowserContext) -> None:
    with silent_proxy(site.base) as line:
        watched = Watched(context, line.base, expected=("Failed to load resource", "WebSocket"))
        page = watched.page
        open_live(page, line.base)
        site.tick("ses_1", decision="speak", text="One.")
        expect(page.locator(".said-text")).to_have_text(["One."])
        expect(page.get_by_role("img", name="Live picture of Front door")).to_be_visible()
        expect(page.locator(".live-head .badge")).to_have_text(["Online"])
        line.silence()
        expect(page.locator(".live-head .badge")).to_have_text(["No contact"])
        expect(page.locator(".live-head")).to_contain_text("The connection to the server is lost. No message for")
        expect(page.locator(".no-picture")).to_contain_text("Last seen")
        expect(page.locator(".stage img.stale")).to_be_visible()
        site.tick("ses_1", decision="speak", text="Two, said into the silence.")
        page.wait_for_timeout(6000)
        expect(page.locator(".live-head .badge")).to_have_text(["No contact"])
        line.flow()
        expect(page.locator(".live-head .badge")).to_have_text(["Online"])
        expect(page.locator(".no-picture")).to_have_count(0)
        site.tick("ses_1", decision="speak", text="Three.")
        expect(page.locator(".said-text")).to_have_text(["One.", "Two, said into the silence.", "Three."])
        expect(page.locator(".strip-marks")).to_have_attribute("data-marks", "3")
        assert watched.complaints == []


@pytest.mark.parametrize("place", ["live", "cameras"])
def test_lists_say_that_they_are_old_and_take_it_back(site: Site, context: BrowserContext, place: str) -> None:
    with silent_proxy(site.base) as line:
        watched = Watched(context, line.base, expected=("Failed to load resource", "WebSocket"))
        page = watched.page
        page.goto(f"{line.base}/#/{place}")
        badge = page.locator(".tile .badge, .camera .badge")
        expect(badge).to_have_text(["Online"])
        line.silence()
        expect(page.locator(".banner")).to_contain_text("The server does not answer. What you see is")
        expect(badge).to_have_text(["No contact"])
        line.flow()
        expect(page.locator(".banner")).to_have_count(0)
        expect(badge).to_have_text(["Online"])
        assert watched.complaints == []


def test_a_page_that_asks_for_nothing_takes_the_banner_back_too(site: Site, context: BrowserContext) -> None:
    watched = Watched(context, site.base, expected=("Failed to load resource", "WebSocket"))
    page = watched.page
    page.goto(f"{site.base}/#/cameras")
    expect(page.locator(".camera .badge")).to_have_text(["Online"])
    context.set_offline(True)
    expect(page.locator(".banner")).to_be_visible()
    page.evaluate("location.hash = '#/live/ses_1'")
    page.wait_for_timeout(1500)
    context.set_offline(False)
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    expect(page.locator(".banner")).to_have_count(0)
    assert watched.complaints == []


def test_a_line_without_anything_to_tell_is_not_taken_for_dead(page: Page, site: Site) -> None:
    """A slow session or an ended camera: signs of life are enough."""
    page.wait_for_timeout(7000)
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    assert site.world.resumed_from == [None]


def test_a_proxy_that_answers_for_an_absent_server_is_not_the_server(site: Site, context: BrowserContext) -> None:
    watched = Watched(context, site.base, expected=("502", "WebSocket"))
    page = watched.page
    page.goto(f"{site.base}/#/cameras")
    expect(page.locator(".camera")).to_be_visible()
    page.route("**/*", lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway</h1>"))
    expect(page.locator(".banner")).to_contain_text("The server does not answer.")
    page.wait_for_timeout(2500)
    expect(page.locator(".banner")).to_be_visible()
    page.unroute("**/*")
    expect(page.locator(".banner")).to_have_count(0)
    assert watched.complaints == []
