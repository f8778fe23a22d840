"""The webcam in real Chromium against the real server: dial, see decisions, hang up, dial again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from fakes.server.browser import DESKTOP, Watched, fake_webcam, start_call, stop_call, write_y4m
from fakes.server.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.clips, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    video = write_y4m(clips / "people-one-by-one.mp4", tmp_path_factory.mktemp("webcam") / "people.y4m", seconds=25)
    with fake_webcam(video) as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def context(browser: Browser, server: ServerProcess) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP)
    yield context
    context.close()
    print("".join(server.log[-20:]))  # pytest shows it beside a failure


def sessions(server: ServerProcess) -> list[str]:
    return [session["id"] for session in server.call("GET", "/v1/sessions")["data"]]


def size(server: ServerProcess, session_id: str) -> tuple[int, int]:
    state = server.call("GET", f"/v1/sessions/{session_id}")["state"]
    return state["width"] or 0, state["height"] or 0


def webcam_is_off(page: Page) -> bool:
    of_this_page = "new URL('call/call.js', document.querySelector('script[type=module]').src).href"
    return bool(page.evaluate(f"import({of_this_page}).then(({{ call }}) => call.value === null)"))


def test_it_dials_as_soon_as_it_knows_its_addresses(server: ServerProcess, context: BrowserContext) -> None:
    """In a browser that looks for further ones for ever."""
    watched = Watched(context, server.url)
    watched.page.add_init_script(
        """
        Object.defineProperty(RTCPeerConnection.prototype, "iceGatheringState", { get: () => "gathering" });
        const listen = RTCPeerConnection.prototype.addEventListener;
        RTCPeerConnection.prototype.addEventListener = function (type, heard, ...more) {
          return listen.call(this, type, (event) => event.candidate === null || heard(event), ...more);
        };
        const later = window.setTimeout;
        window.setTimeout = (done, ms) => later(() => { window.gaveUp ||= ms === 2000; done(); }, ms);
        const reach = window.fetch;
        window.fetch = (what, ...more) => {
          if (String(what).endsWith("/realtime/calls")) window.dialled = window.gaveUp ? "late" : "soon";
          return reach(what, ...more);
        };
        """
    )
    start_call(watched.page, server.url)
    assert watched.page.evaluate("window.dialled") == "soon"
    stop_call(watched.page)
    assert watched.complaints == []


def test_a_call_is_seen_in_full_size_at_once_and_hang_up_frees_it(
    server: ServerProcess, context: BrowserContext
) -> None:
    watched = Watched(context, server.url)
    page = watched.page
    session_id = start_call(page, server.url)
    server.wait(lambda: size(server, session_id) >= (640, 480))
    assert len(server.ticks(session_id)) <= 30  # left alone, Chromium sends a quarter of it for most of a minute

    marks = page.locator(".strip-marks")
    expect(marks).not_to_have_attribute("data-silent", "0")
    expect(page.locator(".said-text").first).to_be_visible()
    expect(page.locator(".latency")).to_contain_text("ms")
    assert page.locator("video").evaluate("v => v.videoWidth >= 640 && !v.paused")
    page.wait_for_function("() => Number(document.querySelector('.strip-marks').dataset.marks) >= 8")
    assert size(server, session_id) >= (640, 480), "it stays in full size"

    stop_call(page)
    server.wait(lambda: sessions(server) == [])
    assert server.call("GET", "/v1/realtime/calls")["data"] == []
    expect(page.locator(".live-head")).to_contain_text("This session is over")
    expect(page.locator(".live-head")).not_to_contain_text("Online")
    expect(page.get_by_role("button", name="Use this webcam again")).to_be_visible()
    assert webcam_is_off(page)
    assert watched.complaints == []


def test_a_call_goes_on_beside_the_other_pages(server: ServerProcess, context: BrowserContext) -> None:
    watched = Watched(context, server.url)
    page = watched.page
    session_id = start_call(page, server.url)
    page.get_by_role("link", name="Cameras", exact=True).click()
    expect(page.get_by_role("heading", name="Cameras", exact=True)).to_be_visible()
    page.get_by_role("link", name="Webcam on").click()
    expect(page.locator(".live[data-call=connected]")).to_be_visible()
    assert sessions(server) == [session_id]
    page.get_by_role("link", name="Cameras", exact=True).click()
    page.get_by_role("button", name="Hang up").click()
    server.wait(lambda: sessions(server) == [])
    assert webcam_is_off(page)
    assert watched.complaints == []


def test_a_tab_that_is_left_hangs_up(server: ServerProcess, context: BrowserContext) -> None:
    watched = Watched(context, server.url)
    session_id = start_call(watched.page, server.url)
    assert sessions(server) == [session_id]
    watched.page.goto("about:blank")
    server.wait(lambda: sessions(server) == [])
    assert watched.complaints == []


def test_a_call_hung_up_from_elsewhere_is_not_dialled_again(server: ServerProcess, context: BrowserContext) -> None:
    watched = Watched(context, server.url, expected=("404",))
    page = watched.page
    start_call(page, server.url)
    call_id = server.call("GET", "/v1/realtime/calls")["data"][0]["id"]
    server.call("DELETE", f"/v1/realtime/calls/{call_id}")
    expect(page.get_by_text("The call was hung up from elsewhere.")).to_be_visible()
    page.wait_for_timeout(1500)
    assert sessions(server) == []
    page.get_by_role("button", name="Use this webcam again").click()
    expect(page.locator(".live[data-call=connected]")).to_be_visible()
    stop_call(page)
    server.wait(lambda: sessions(server) == [])
    assert watched.complaints == []


def test_what_a_calls_pictures_cost_is_chosen_before_it(server: ServerProcess, context: BrowserContext) -> None:
    watched = Watched(context, server.url)
    page = watched.page
    page.goto(f"{server.url}/#/live")
    page.get_by_text("Pictures: Server default (Faithful)").click()
    page.get_by_label("What frames may cost").select_option("eco")
    expect(page.get_by_text("Pictures: Eco")).to_be_visible()
    page.get_by_role("button", name="Use this webcam").click()
    expect(page.locator(".live[data-call=connected]")).to_be_visible()
    assert server.call("GET", f"/v1/sessions/{page.url.rpartition('/')[2]}")["fidelity"] == "eco"
    stop_call(page)
    server.wait(lambda: sessions(server) == [])
    assert watched.complaints == []


def test_an_engine_that_is_full_is_told_and_not_called_again(server: ServerProcess, context: BrowserContext) -> None:
    watched = Watched(context, server.url, expected=("503",))
    page = watched.page
    dialled = []
    detail = "The engine motion serves 9 sessions at a load of 97% and cannot take another session."

    def refuse(route: Route) -> None:
        dialled.append(route.request.url)
        body = {"status": 503, "code": "engine_full", "detail": detail}
        route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(body))

    page.route("**/v1/realtime/calls", refuse)
    page.goto(f"{server.url}/#/live")
    page.get_by_role("button", name="Use this webcam").click()
    expect(page.get_by_role("alert").filter(has_text=detail)).to_be_visible()
    page.wait_for_timeout(1500)
    assert len(dialled) == 1, "a refusal is final: nobody is called again and again"
    assert watched.complaints == []


def test_a_call_is_dialled_again_when_the_server_comes_back(tmp_path: Path, context: BrowserContext) -> None:
    with ServerProcess(tmp_path) as first:
        port = first.url.rpartition(":")[2].rstrip("/")
        watched = Watched(context, first.url, expected=("Failed to load resource", "WebSocket connection"))
        page = watched.page
        before = start_call(page, first.url)
        first.kill()
        expect(page.get_by_text("The connection to the server is lost.")).to_be_visible()
        with ServerProcess(tmp_path, "--port", port) as second:
            second.wait(lambda: len(sessions(second)) == 1)
            expect(page.locator(".live[data-call=connected]")).to_be_visible()
            after = page.url.rpartition("/")[2]
            assert after != before
            assert sessions(second) == [after]
            stop_call(page)
            second.wait(lambda: sessions(second) == [])
        assert watched.complaints == []


def test_a_call_whose_line_goes_silent_says_that_nobody_sees_it(server: ServerProcess, context: BrowserContext) -> None:
    """The server itself answers, but the pictures no longer arrive anywhere."""
    watched = Watched(context, server.url, expected=("Failed to load resource", "404", "WebSocket connection"))
    page = watched.page
    start_call(page, server.url)
    badge = page.locator(".live-head .badge").first
    expect(badge).to_have_text("Online")
    stopped = server.media_workers()
    for worker in stopped:
        worker.suspend()
    try:
        expect(badge).not_to_have_text("Online")
        expect(page.locator(".unseen")).to_be_visible()
        expect(page.get_by_text("The strip shows each look")).to_have_count(0)
    finally:
        for worker in stopped:
            worker.resume()
    expect(badge).to_have_text("Online")
    expect(page.locator(".unseen")).to_have_count(0)
    expect(page.locator(".live[data-call=connected]")).to_be_visible()
    stop_call(page)
    server.wait(lambda: sessions(server) == [])
    assert watched.complaints == []


def test_a_server_that_is_away_for_longer_is_called_until_it_is_there(
    server: ServerProcess, context: BrowserContext
) -> None:
    watched = Watched(context, server.url, expected=("Failed to load resource",))
    page = watched.page
    page.goto(f"{server.url}/#/live")
    page.route("**/v1/realtime/calls", lambda route: route.abort())
    page.get_by_role("button", name="Use this webcam").click()
    page.wait_for_timeout(24_000)
    expect(page.get_by_text("Reconnecting…")).to_be_visible()
    expect(page.locator(".webcam-card [role=alert]")).to_have_count(0)
    page.unroute("**/v1/realtime/calls")
    expect(page.locator(".live[data-call=connected]")).to_be_visible()
    stop_call(page)
    server.wait(lambda: sessions(server) == [])
    assert watched.complaints == []
