"""The cameras page and the landing page in real Chromium, before a stand-in of the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from fakes.page.demo import demo_world
from fakes.page.site import Site, page_site
from fakes.page.world import World
from fakes.server.browser import PHONE, Watched
from joyvl_server.api.schemas.settings import described
from joyvl_server.settings import Settings

pytestmark = pytest.mark.browser


@pytest.fixture
def empty() -> Iterator[Site]:
    with page_site(World()) as site:
        yield site


@pytest.fixture
def full() -> Iterator[Site]:
    with page_site(demo_world()) as site:
        yield site


def add_form(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/#/cameras")
    page.get_by_role("link", name="Add a camera").click()


def test_without_cameras_it_explains_what_is_needed(empty: Site, context: BrowserContext) -> None:
    watched = Watched(context, empty.base)
    page = watched.page
    page.goto(empty.base)
    expect(page.get_by_role("button", name="Use this webcam")).to_be_visible()
    page.get_by_role("link", name="Add your first camera").click()
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="No camera yet")).to_be_visible()
    expect(page.get_by_text("user:password@")).to_be_visible()
    assert watched.complaints == []


def test_a_probe_says_in_words_what_is_wrong_and_what_was_found(empty: Site, context: BrowserContext) -> None:
    watched = Watched(context, empty.base)
    page = watched.page
    add_form(page, empty)
    page.get_by_label("URL", exact=True).fill("rtsp://cam:wrong@192.168.1.9/x")
    page.get_by_role("button", name="Test").click()
    told = page.get_by_role("status").filter(has_text="refused")
    expect(told).to_contain_text("The camera refused the user name or the password.")
    expect(told).to_contain_text("Write them into the URL")
    page.get_by_label("URL", exact=True).fill("rtsp://cam:right@192.168.1.9/x")
    expect(told).to_have_count(0)
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("It works: 1280 × 720, 25 pictures a second, H.264.")).to_be_visible()
    assert watched.complaints == []


def test_a_camera_is_registered_with_its_first_watch(empty: Site, context: BrowserContext) -> None:
    watched = Watched(context, empty.base)
    page = watched.page
    add_form(page, empty)
    page.get_by_label("Name").fill("Front door")
    page.get_by_label("URL", exact=True).fill("rtsp://cam:secret@192.168.1.20/s")
    page.get_by_label("First watch").fill("Tell me when somebody comes")
    expect(page.get_by_label("URL", exact=True)).to_have_value("rtsp://cam:***@192.168.1.20/s")
    page.get_by_role("button", name="Add camera").click()
    expect(page.get_by_role("heading", name="Front door")).to_be_visible()
    expect(page.locator(".camera")).to_contain_text("1 watch: Tell me when somebody comes")
    held = next(iter(empty.world.cameras.values()))
    assert held.url == "rtsp://cam:secret@192.168.1.20/s", "masking is for the eye only"
    assert watched.complaints == []


def test_what_the_first_watch_fires_at(empty: Site, context: BrowserContext) -> None:
    watched = Watched(context, empty.base)
    page = watched.page
    add_form(page, empty)
    page.get_by_label("Name").fill("Yard")
    page.get_by_label("URL", exact=True).fill("rtsp://192.168.1.20/s")
    expect(page.get_by_label("It fires at what its words name")).to_have_count(0)
    page.get_by_label("First watch").fill("Tell me when somebody comes")
    page.get_by_label("It fires at what its words name").uncheck()
    page.get_by_label("Goes away").check()
    page.get_by_label("Engine").select_option("openai")
    expect(page.get_by_label("Goes away")).to_have_count(0)
    page.get_by_label("Engine").select_option("motion")
    expect(page.get_by_label("Goes away")).to_be_checked()
    page.get_by_role("button", name="Add camera").click()
    expect(page.get_by_role("heading", name="Yard")).to_be_visible()
    (session,) = empty.world.sessions.values()
    assert session.watches[0]["kinds"] == ["leave"]
    assert watched.complaints == []


def test_what_a_cameras_pictures_cost_is_set_and_changed(empty: Site, context: BrowserContext) -> None:
    watched = Watched(context, empty.base)
    page = watched.page
    add_form(page, empty)
    page.get_by_label("Name").fill("Yard")
    page.get_by_label("URL", exact=True).fill("rtsp://192.168.1.20/s")
    page.get_by_label("Pictures", exact=True).select_option("adaptive")
    expect(page.get_by_text("In full where much changed, small where little changed.")).to_be_visible()
    page.get_by_label("Frames per decision").select_option("4")
    page.get_by_role("button", name="Add camera").click()
    expect(page.get_by_role("heading", name="Yard")).to_be_visible()
    (held,) = empty.world.cameras.values()
    assert (held.spec["fidelity"], held.spec["frames_per_tick"]) == ("adaptive", 4)
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_label("Pictures", exact=True)).to_have_value("adaptive")
    page.get_by_label("Pictures", exact=True).select_option("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    assert held.spec["fidelity"] is None, "the server's default again"
    assert watched.complaints == []


def test_the_form_shows_every_plain_setting_that_the_server_describes(empty: Site, context: BrowserContext) -> None:
    watched = Watched(context, empty.base)
    page = watched.page
    add_form(page, empty)
    page.get_by_label("Name").fill("Yard")
    page.get_by_label("URL", exact=True).fill("rtsp://192.168.1.20/s")
    wanted = {}
    for setting in described(Settings()):
        field = page.get_by_label(setting["title"], exact=True)
        if setting["name"] == "engine":
            expect(field.locator("option").first).to_have_text("Server default (motion)")
            field.select_option("openai")
            wanted["engine"] = "openai"
        elif setting["type"] == "choice":
            named = {choice["value"]: choice["title"] for choice in setting["choices"]}
            expect(field.locator("option").first).to_have_text(f"Server default ({named[setting['default']]})")
            wanted[setting["name"]] = value = setting["choices"][-1]["value"]
            field.select_option(str(value))
            expect(page.get_by_text(setting["choices"][-1]["description"])).to_be_visible()
        elif setting["type"] in ("number", "integer"):
            wanted[setting["name"]] = value = setting["minimum"] or 0
            expect(field).to_have_attribute("placeholder", f"Server default ({setting['default']:g})")
            field.fill(str(value))
    assert len(wanted) >= 4
    page.get_by_role("button", name="Add camera").click()
    expect(page.get_by_role("heading", name="Yard")).to_be_visible()
    (held,) = empty.world.cameras.values()
    assert {name: held.spec[name] for name in wanted} == wanted
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Threshold").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    assert {name: held.spec[name] for name in wanted} == {**wanted, "threshold": None}
    assert watched.complaints == []


def test_a_name_used_twice_is_told(full: Site, context: BrowserContext) -> None:
    watched = Watched(context, full.base, expected=("409",))
    page = watched.page
    add_form(page, full)
    page.get_by_label("Name").fill("Garage")
    page.get_by_label("URL", exact=True).fill("rtsp://192.168.1.9/x")
    page.get_by_role("button", name="Add camera").click()
    expect(page.get_by_role("alert").filter(has_text="Garage")).to_have_text(
        "There is already a camera named “Garage”."
    )
    assert watched.complaints == []


def test_each_camera_tells_its_state(full: Site, context: BrowserContext) -> None:
    watched = Watched(context, full.base)
    page = watched.page
    page.goto(f"{full.base}/#/cameras")
    garage = page.locator(".camera", has_text="Garage")
    expect(garage).to_contain_text("Offline")
    expect(garage).to_contain_text("The camera refused the user name or the password. Offline for 21 min.")
    expect(garage).to_contain_text("Next try within 5 s, 7 tries so far.")
    expect(page.locator(".camera", has_text="Attic")).to_contain_text("Switched off")
    expect(page.locator(".camera", has_text="Front door")).to_contain_text(
        "640 × 360, 25 pictures a second, H.264. Online for"
    )
    expect(page.locator(".camera", has_text="Front door").locator("img")).to_be_visible()
    assert watched.complaints == []


def test_a_camera_is_switched_changed_and_deleted(full: Site, context: BrowserContext) -> None:
    watched = Watched(context, full.base)
    page = watched.page
    page.goto(f"{full.base}/#/cameras")
    switch = page.get_by_role("switch", name="Watch Workshop")
    expect(switch).to_be_checked()
    switch.click()
    expect(switch).not_to_be_checked()
    assert full.world.cameras["cam_2"].enabled is False

    page.locator("[data-camera=cam_2]").get_by_role("button", name="Edit").click()
    page.get_by_label("Name").fill("Workbench")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Workbench")).to_be_visible()

    page.locator("[data-camera=cam_2]").get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete Workbench?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert "cam_2" in full.world.cameras
    page.locator("[data-camera=cam_2]").get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Workbench")).to_have_count(0)
    assert "cam_2" not in full.world.cameras
    assert watched.complaints == []


def test_the_landing_page_opens_a_camera_by_keyboard(full: Site, context: BrowserContext) -> None:
    watched = Watched(context, full.base)
    page = watched.page
    page.goto(full.base)
    tile = page.get_by_role("link", name="Open Front door")
    expect(tile).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        if tile.evaluate("e => e === document.activeElement"):
            break
    expect(tile).to_be_focused()
    assert tile.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", "the focus can be seen"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Front door")).to_be_visible()
    assert watched.complaints == []


def test_a_webcam_that_cannot_be_had_is_told_in_words(empty: Site, context: BrowserContext) -> None:
    watched = Watched(context, empty.base)
    watched.page.goto(empty.base)
    watched.page.get_by_role("button", name="Use this webcam").click()
    expect(watched.page.locator(".webcam-card [role=alert]")).to_have_text(
        "No webcam was found. Plug one in, then try again."
    )
    expect(watched.page.get_by_role("button", name="Use this webcam")).to_be_enabled()
    assert watched.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_keeps_its_contrast(full: Site, browser: Browser, scheme: str) -> None:
    full.world.sessions["ses_3"].zones = [{"name": "drive", "points": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}]
    context = browser.new_context(viewport=PHONE, color_scheme=scheme)
    watched = Watched(context, full.base)
    page = watched.page
    for place in ("#/live", "#/live/ses_1", "#/live/ses_3", "#/cameras", "#/cameras/new"):
        page.goto(f"{full.base}/{place}")
        page.locator("h1").wait_for()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], place
        assert page.evaluate(CUT_OFF) == [], place
    for ink, ground in INKS:
        assert page.evaluate(CONTRAST, [ink, ground]) >= 4.5, f"{ink} on {ground} in {scheme}"
    for mark in ("silent", "spoke", "delegated", "suppressed", "skipped", "failed"):
        assert page.evaluate(CONTRAST, [f"--mark-{mark}", "--surface"]) >= 3, mark
    context.close()
    assert watched.complaints == []


INKS = [
    ("--ink", "--ground"),
    ("--ink", "--surface"),
    ("--muted", "--ground"),
    ("--muted", "--surface"),
    ("--muted", "--raised"),
    ("--on-accent", "--accent"),
    ("--accent-ink", "--surface"),
    ("--accent-ink", "--accent-soft"),
    ("--accent-ink", "--ground"),
    ("--violet-ink", "--violet-soft"),
    ("--violet-ink", "--surface"),
    ("--amber-ink", "--amber-soft"),
    ("--amber-ink", "--ground"),
    ("--amber-ink", "--surface"),
    ("--red-ink", "--red-soft"),
    ("--red-ink", "--surface"),
    ("--surface", "--red"),
]

# Placeholders, and what selects show, that are wider than their fields; a select's arrow takes 20 pixels.
CUT_OFF = """() => [...document.querySelectorAll('input[placeholder], select')].filter((field) => {
  if (!field.checkVisibility()) return false;
  const style = getComputedStyle(field);
  const paint = new OffscreenCanvas(1, 1).getContext('2d');
  paint.font = `${style.fontSize} ${style.fontFamily}`;
  const inside = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const [text, arrow] = field.matches('select') ? [field.selectedOptions[0].text, 20] : [field.placeholder, 0];
  return paint.measureText(text).width > inside - arrow;
}).map((field) => field.id || field.getAttribute('aria-label'))"""

# WCAG's contrast ratio of two colours that are named by custom properties.
CONTRAST = """([ink, ground]) => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    const hex = style.getPropertyValue(name).trim();
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""
