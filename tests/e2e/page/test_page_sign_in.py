"""The first browser of a real server: it gets in by the link that the start prints, once, and out again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from fakes.page.site import Site, page_site
from fakes.page.world import World
from fakes.patience import wait_until
from fakes.server.browser import DESKTOP, PHONE, Watched
from fakes.server.server import ServerProcess

pytestmark = pytest.mark.browser

ASKED = "This server asks for a key"
KEY = "geheim-3"
LINK = re.compile(r"http://\S+/#/login\?code=\S+")


def test_the_first_browser_gets_in_by_the_printed_link(browser: Browser, tmp_path: Path) -> None:
    with ServerProcess(tmp_path, env={"JOYVL_SERVER__AUTH": "on"}) as server:
        wait_until(lambda: LINK.search("\n".join(server.log)), lambda: server.log)
        found = LINK.search("\n".join(server.log))
        assert found is not None
        context = browser.new_context(viewport=DESKTOP)
        watched = Watched(context, server.url, expected=("401",))
        page = watched.page
        page.goto(found[0])
        expect(page.get_by_role("link", name="Admin", exact=True)).to_be_visible()
        assert "code" not in page.url
        assert page.evaluate("() => document.cookie") == ""
        page.reload()
        out = page.get_by_role("button", name="Sign out")
        expect(out).to_be_visible()
        page.set_viewport_size(PHONE)
        box = out.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= PHONE["width"]
        assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]

        other = browser.new_context(viewport=PHONE)
        again = other.new_page()
        again.goto(found[0])
        expect(again.get_by_role("heading", name=ASKED)).to_be_visible()
        expect(again.get_by_role("alert")).to_contain_text("This link was used before, or is over.")
        other.close()

        out.click()
        expect(page.get_by_role("heading", name=ASKED)).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name=ASKED)).to_be_visible()
        assert watched.complaints == []
        context.close()


def test_who_comes_by_a_link_sees_nothing_of_whoever_was_signed_in(context: BrowserContext, world: World) -> None:
    with page_site(world, api_key=KEY) as site:
        world.alarm.add("The door")
        watched = Watched(context, site.base, expected=("401", "403"))
        page = watched.page
        page.goto(f"{site.base}/#/cameras")
        page.get_by_label("API key").fill(KEY)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("link", name="Alerts, 1 open alert")).to_be_visible()
        page.route("**/v1/alerts?*", lambda route: route.fulfill(status=403, json={"status": 403, "title": "No"}))
        page.evaluate("code => { location.hash = `#/login?code=${code}`; }", KEY)
        expect(page.get_by_role("heading", name="What should be watched?")).to_be_visible()
        expect(page.get_by_role("link", name="Alerts", exact=True)).to_be_visible()
        assert watched.complaints == []


def test_an_answer_that_is_read_when_another_one_is_in_is_no_news(context: BrowserContext, site: Site) -> None:
    page = context.new_page()
    page.goto(f"{site.base}/#/cameras")
    for ok in (True, False):
        for same, told in ((True, "theirs" if ok else "403: theirs"), (False, "401: Somebody else is signed in now.")):
            assert read_slowly(page, ok=ok, same=same) == told
    page.close()


def read_slowly(page: Page, *, ok: bool, same: bool) -> str:
    """What comes of an answer whose body ends only when another reader is signed in, or the `same` one still is."""
    told: str = page.evaluate(
        """async ({ ok, same }) => {
            const of = (module) => import(new URL(module, document.querySelector("script[type=module]").src).href);
            const { get } = await of("net/api.js");
            const { me, signedIn } = await of("net/auth.js");
            let body, begun;
            const begins = new Promise((done) => { begun = done; });
            const ask = window.fetch;
            window.fetch = async (path, options) => {
                if (path !== "/v1/slow") return ask(path, options);
                const source = { start: (open) => { body = open; }, pull: () => begun() };
                const bytes = new ReadableStream(source, { highWaterMark: 0 });
                return new Response(bytes, { status: ok ? 200 : 403 });
            };
            const failed = ({ status, message }) => `${status}: ${message}`;
            const reading = get("/v1/slow").then(({ detail }) => detail, failed);
            await begins; // the headers were looked at, and somebody reads
            if (!same) signedIn(me.value);
            body.enqueue(new TextEncoder().encode('{"detail": "theirs"}'));
            body.close();
            window.fetch = ask;
            return reading;
        }""",
        {"ok": ok, "same": same},
    )
    return told
