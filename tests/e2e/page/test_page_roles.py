"""Who may not, is not asked: each role sees on the real server's page what is for it, and nothing is refused to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from fakes.patience import PATIENCE_S, wait_until
from fakes.server.browser import DESKTOP, Watched
from fakes.server.server import ServerProcess
from joyvl_server.api.access.roles import LEAST

pytestmark = pytest.mark.browser

KEY = "a-long-enough-key-of-letters-42"
WEB = Path(__file__).resolve().parents[3] / "web"
PAGES = ("live", "cameras", "timeline", "memory", "alerts", "alerts/snoozed", "tasks", "access")


def test_the_page_asks_for_routes_that_there_are() -> None:
    asked = {
        name
        for path in WEB.rglob("*.js")
        for name in re.findall(r'\bmay\(\s*"([^"]+)"', path.read_text())
        if "vendor" not in path.parts
    }
    assert len(asked) > 40
    assert asked - LEAST.keys() == set()
    for path in WEB.rglob("*.js"):
        if "vendor" not in path.parts:
            assert not re.search(r'\bmay\((?!\s*"|route\b)', path.read_text()), f"{path}: a route is named in full"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(
        tmp_path_factory.mktemp("server"), demo=True, env={"JOYVL_SERVER__API_KEYS": f'["{KEY}"]'}
    ) as server:
        yield server


@pytest.fixture(scope="module")
def api(server: ServerProcess) -> Iterator[httpx.Client]:
    """An admin beside the browsers."""
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture(scope="module")
def camera(api: httpx.Client) -> dict[str, Any]:
    """The demo's; there is another one."""
    wait_until(lambda: api.get("/v1/cameras").json()["data"])
    demo: dict[str, Any] = api.get("/v1/cameras").json()["data"][0]
    other = api.post("/v1/cameras", json={"name": "Garage", "url": demo["url"]})
    assert other.status_code == 201
    watch = api.post(f"/v1/sessions/{demo['session_id']}/watches", json={"text": "Tell me when somebody comes in"})
    assert watch.status_code == 201
    return demo


class Visitor:
    """A tab that notes what it was refused."""

    def __init__(self, browser: Browser, base: str) -> None:
        self.context = browser.new_context(viewport=DESKTOP)
        self.watched = Watched(self.context, base, expected=("401", "404", "422", "503", "WebSocket connection"))
        self.page: Page = self.watched.page
        self.base = base
        self.refused: list[str] = []
        self.page.on("response", lambda answer: self._note(answer.status, answer.request.method, answer.url))

    def _note(self, status: int, method: str, url: str) -> None:
        if status in (401, 403, 422, 429):
            self.refused.append(f"{status} {method} {url.removeprefix(self.base)}")

    def sign_in(self, key: str, shown: str) -> None:
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("link", name=shown, exact=True)).to_be_visible()
        self.refused.clear()

    def open(self, hash_: str) -> None:
        self.page.evaluate("hash => { location.hash = hash; }", f"#/{hash_}")

    def walk(self, camera: dict[str, Any]) -> None:
        """Every page, as far as it reads its lists: nothing is refused and no error is told."""
        for name in (*PAGES, f"live/{camera['session_id']}"):
            self.open(name)
            expect(self.page.locator("main h1")).to_be_visible()
            expect(self.page.get_by_text("Reading the", exact=False)).to_have_count(0)
            expect(self.page.locator(".note.bad, .banner, .toast")).to_have_count(0)
        expect(self.page.locator(".live[data-stream=live]")).to_be_visible()
        assert self.refused == []

    def sees(self, *names: str) -> None:
        for name in names:
            expect(
                self.page.get_by_role("button", name=name).or_(self.page.get_by_role("link", name=name)).first
            ).to_be_visible()

    def sees_no(self, *names: str) -> None:
        for name in names:
            expect(
                self.page.get_by_role("button", name=name).or_(self.page.get_by_role("link", name=name))
            ).to_have_count(0)

    def sign_out(self) -> None:
        self.page.get_by_role("button", name="Sign out").click()
        expect(self.page.get_by_role("heading", name="This server asks for a key")).to_be_visible()


@pytest.fixture
def visitor(browser: Browser, server: ServerProcess) -> Iterator[Visitor]:
    visitor = Visitor(browser, server.url)
    visitor.page.goto(f"{server.url}/#/live")
    yield visitor
    assert visitor.watched.complaints == []
    visitor.context.close()


def key_of(api: httpx.Client, role: str, *cameras: str) -> dict[str, str]:
    made = api.post("/v1/keys", json={"name": f"the {role}", "role": role, "cameras": list(cameras)})
    assert made.status_code == 201, made.text
    key: dict[str, str] = made.json()
    return key


def test_one_tab_follows_whoever_signs_in(visitor: Visitor, api: httpx.Client, camera: dict[str, Any]) -> None:
    page, session = visitor.page, f"live/{camera['session_id']}"
    keys = {role: key_of(api, role)["key"] for role in ("viewer", "operator", "ingest")}

    visitor.sign_in(keys["viewer"], "Viewer")
    visitor.walk(camera)
    expect(page.get_by_label("Ask about what it sees")).to_have_count(0)
    expect(page.get_by_label("New watch")).to_have_count(0)
    expect(page.get_by_role("slider", name="Sensitivity")).to_have_count(0)
    visitor.sees_no("Pause", "Remove", "Sound settings")
    for name, none in (
        ("live", ("Use this webcam", "Add a camera", "Manage")),
        ("cameras", ("Add a camera", "Edit", "Test", "Delete")),
        ("memory", ("Add a fact", "Forget", "Change")),
        ("tasks", ("Ask an agent",)),
        ("alerts", ("Acknowledge", "Sent elsewhere")),
    ):
        visitor.open(name)
        expect(page.locator("main h1")).to_be_visible()
        visitor.sees_no(*none)
    visitor.open("timeline")
    expect(page.locator(".event-row").first).to_be_visible()
    expect(page.locator(".event-pick")).to_have_count(0)
    for name in ("cameras/new", "memory/new", "tasks/new", "alerts/hooks"):
        visitor.open(name)
        expect(page.get_by_role("heading", name="Not for your key")).to_be_visible()
        expect(page.get_by_text("you are a viewer")).to_be_visible()
    assert visitor.refused == []

    visitor.sign_out()
    visitor.open("live")
    visitor.sign_in(keys["operator"], "Operator")
    visitor.sees("Use this webcam", "Manage")
    visitor.sees_no("Add a camera")
    visitor.walk(camera)
    visitor.open(session)
    expect(page.get_by_label("New watch")).to_be_visible()
    expect(page.get_by_label("Ask about what it sees")).to_be_visible()
    visitor.open("timeline")
    page.locator(".event-pick input").first.check()
    visitor.sees("Keep")
    visitor.sees_no("Delete")
    visitor.open("access")
    visitor.sees_no("Make a key")
    assert visitor.refused == []

    visitor.sign_out()
    page.get_by_label("API key").fill(keys["ingest"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This key only sends media")
    visitor.open("cameras")
    visitor.sign_in(KEY, "Admin")
    visitor.sees("Add a camera", "Edit", "Delete")
    visitor.walk(camera)


def test_an_admin_makes_a_key_that_ends_while_its_page_is_open(
    visitor: Visitor, browser: Browser, camera: dict[str, Any]
) -> None:
    page = visitor.page
    visitor.sign_in(KEY, "Admin")
    page.get_by_role("link", name="Admin").click()
    page.get_by_role("button", name="Make a key").click()
    page.get_by_label("Whose it is").fill("Ann")
    page.get_by_role("checkbox", name="demo").check()
    page.get_by_role("button", name="Make it").click()
    key = page.get_by_label("The key", exact=True).input_value()
    assert key.startswith("jvl_")
    page.get_by_role("button", name="I have it").click()
    row = page.locator(".key-row", has_text="Ann")
    expect(row).to_contain_text("Only demo")
    assert key not in page.content()

    guest = Visitor(browser, visitor.base)
    guest.page.goto(f"{visitor.base}/#/live")
    guest.sign_in(key, "Viewer of 1 camera")
    expect(guest.page.get_by_role("link", name="Open demo")).to_be_visible()
    expect(guest.page.get_by_text("Garage")).to_have_count(0)
    guest.walk(camera)

    row.get_by_role("button", name="Remove Ann").click()
    page.get_by_role("dialog", name="Remove Ann?").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    expect(guest.page.get_by_role("heading", name="This key has ended")).to_be_visible()
    expect(guest.page.locator(".toast, .banner")).to_have_count(0)
    guest.page.wait_for_timeout(1500)
    assert len(guest.refused) <= 12, guest.refused
    told = len(guest.refused)
    guest.page.wait_for_timeout(1500)
    assert len(guest.refused) == told, "nobody asks behind the sign-in"
    guest.sign_in(KEY, "Admin")
    expect(guest.page.get_by_label("New watch")).to_be_visible()

    page.reload()
    page.locator("[data-browser]").get_by_role("button", name="Sign out").last.click()
    page.get_by_role("dialog", name="Sign out").get_by_role("button", name="Sign out").click()
    expect(guest.page.get_by_role("heading", name="this browser was signed out")).to_be_visible()
    assert guest.watched.complaints == []
    guest.context.close()
