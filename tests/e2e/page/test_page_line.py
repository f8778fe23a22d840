"""The page when the connection to the server breaks, the session ends or a key is asked for."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, expect

from fakes.page.site import Site, page_site
from fakes.page.world import World
from fakes.server.browser import Watched

pytestmark = pytest.mark.browser


def test_a_cut_line_is_taken_up_where_it_broke(site: Site, context: BrowserContext) -> None:
    watched = Watched(context, site.base, expected=("WebSocket connection",))
    page = watched.page
    page.goto(f"{site.base}/#/live/ses_1")
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    site.tick("ses_1", decision="speak", text="One.")
    expect(page.locator(".said-text")).to_have_count(1)
    last = site.world.sessions["ses_1"].log[-1]["id"]
    site.steer("cut", for_s=1.5)
    expect(page.locator(".live[data-stream=away]")).to_be_visible()
    expect(page.get_by_text("The connection to the server is lost.")).to_be_visible()
    site.tick("ses_1", decision="speak", text="Two, said while nobody listened.")
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    expect(page.locator(".said-text")).to_have_text(["One.", "Two, said while nobody listened."])
    site.tick("ses_1", decision="speak", text="Three.")
    expect(page.locator(".said-text")).to_have_count(3)
    expect(page.locator(".strip-marks")).to_have_attribute("data-marks", "3")
    assert site.world.resumed_from == [None, last], "it asks for what came after the last update it has"
    assert watched.complaints == []


def test_a_session_that_ends_says_why(site: Site, context: BrowserContext) -> None:
    watched = Watched(context, site.base, expected=("404",))
    page = watched.page
    page.goto(f"{site.base}/#/live/ses_1")
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    site.tick("ses_1", decision="speak", text="The last words.")
    site.steer("sessions/ses_1/end", reason="the camera was deleted")
    expect(page.locator(".live-head")).to_contain_text("This session is over: the camera was deleted")
    expect(page.get_by_label("Ask about what it sees")).to_be_disabled()
    expect(page.locator(".said-text")).to_have_text(["The last words."])
    assert watched.complaints == []


def test_a_camera_whose_session_begins_anew_is_followed_on(site: Site, context: BrowserContext) -> None:
    watched = Watched(context, site.base, expected=("404",))
    page = watched.page
    page.goto(f"{site.base}/#/live/ses_1")
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    site.tick("ses_1", decision="speak", text="Before.")
    expect(page.locator(".said-text")).to_have_text(["Before."])
    site.steer("sessions/ses_1/end", reason="the camera was changed")
    expect(page.locator(".live[data-stream=gone]")).to_be_visible()
    site.world.begin_anew("cam_1")
    expect(page.locator(".live[data-stream=live]")).to_be_visible()
    site.tick("ses_1", decision="speak", text="After.")
    expect(page.locator(".said-text")).to_have_text(["Before.", "After."])
    expect(page.get_by_label("Ask about what it sees")).to_be_enabled()
    assert watched.complaints == []


def test_an_unknown_session_leads_back(site: Site, context: BrowserContext) -> None:
    watched = Watched(context, site.base, expected=("WebSocket connection", "404"))
    page = watched.page
    page.goto(f"{site.base}/#/live/ses_77")
    expect(page.get_by_role("heading", name="This session is over")).to_be_visible()
    expect(page.get_by_text("There is no session ses_77.")).to_be_visible()
    page.get_by_role("link", name="Choose another one").click()
    expect(page.get_by_role("heading", name="What should be watched?")).to_be_visible()
    assert watched.complaints == []


def test_a_server_that_is_away_is_told_and_its_return_noticed(site: Site, context: BrowserContext) -> None:
    watched = Watched(context, site.base, expected=("Failed to load resource",))
    page = watched.page
    page.goto(f"{site.base}/#/cameras")
    expect(page.get_by_role("heading", name="Front door")).to_be_visible()
    page.route("**/*", lambda route: route.abort())
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    page.unroute("**/*")
    expect(page.get_by_text("The server does not answer.")).to_have_count(0)
    assert watched.complaints == []


def test_a_key_is_asked_for_once_and_used_for_pictures_and_updates(context: BrowserContext) -> None:
    world = World()
    world.add_camera("Front door", "rtsp://192.168.1.20/stream1")
    with page_site(world, api_key="geheim-2") as site:
        watched = Watched(context, site.base, expected=("401", "WebSocket connection"))
        page = watched.page
        page.goto(f"{site.base}/#/live/ses_1")
        expect(page.get_by_role("heading", name="This server asks for a key")).to_be_visible()
        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("The server does not know this key.")
        page.get_by_label("API key").fill("geheim-2")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".live[data-stream=live]")).to_be_visible()
        expect(page.get_by_role("img", name="Live picture of Front door")).to_be_visible()
        page.reload()
        expect(page.locator(".live[data-stream=live]")).to_be_visible()
        other = context.new_page()  # the browser is signed in, not the tab
        other.goto(f"{site.base}/#/live")
        expect(other.get_by_role("link", name="Open Front door")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="This server asks for a key")).to_be_visible()
        assert watched.complaints == []
