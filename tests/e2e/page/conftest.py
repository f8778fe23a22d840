"""What tests of the page share: a browser a module, and a live page on a stand-in of the API that tests steer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from fakes.page.site import Site, open_live, page_site
from fakes.page.world import Session, World
from fakes.server.browser import DESKTOP, PATIENCE_MS, Watched, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A desktop's window, without anything from other tests."""
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def world() -> World:
    """One camera; modules that need another world override this."""
    world = World()
    world.add_camera("Front door", "rtsp://cam:***@192.168.1.20:554/stream1")
    return world


@pytest.fixture
def site(world: World) -> Iterator[Site]:
    with page_site(world) as site:
        yield site


@pytest.fixture
def session(site: Site) -> Session:
    return site.world.sessions["ses_1"]


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Iterator[Page]:
    """A tab on the camera's session; a complaint at the end fails the test."""
    watched = Watched(context, site.base, expected=("404", "503"))
    open_live(watched.page, site.base)
    yield watched.page
    assert watched.complaints == []
