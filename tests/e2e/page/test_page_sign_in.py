"""The first browser of a real server: it gets in by the link that the start prints, once, and out again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from fakes.patience import wait_until
from fakes.server.browser import DESKTOP, PHONE, Watched
from fakes.server.server import ServerProcess

pytestmark = pytest.mark.browser

ASKED = "This server asks for a key"
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
