"""A call with a microphone in real Chromium against the real server: heard there, heard here."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from fakes.page.voice import STUB
from fakes.server.browser import DESKTOP, Watched, fake_webcam, start_call, stop_call, write_y4m
from fakes.server.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.clips, pytest.mark.slow]

SPEAKS_BY_ITSELF = """
  speechSynthesis.speak = (utterance) => {
    window.said.push(utterance);
    setTimeout(() => utterance.onstart?.(new Event("start")));
    setTimeout(() => utterance.onend?.(new Event("end")), 50);
  };
"""
DENIED = """
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (what) =>
    what.audio ? Promise.reject(new DOMException("", "NotAllowedError")) : ask(what);
"""
HEARS = """
  window.played = [];
  window.pieces = 0;
  const peers = [];
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(...how) { super(...how); peers.push(this); }
  };
  const { play } = HTMLMediaElement.prototype;
  HTMLMediaElement.prototype.play = function () {
    if (this instanceof HTMLAudioElement) window.played.push(this);
    return play.call(this);
  };
  const { start } = AudioBufferSourceNode.prototype;
  AudioBufferSourceNode.prototype.start = function (...how) { window.pieces += 1; return start.apply(this, how); };
  window.energy = async () => {
    const all = await Promise.all(peers.map((peer) => peer.getStats()));
    const sounds = all.flatMap((stats) => [...stats.values()]).filter((one) => one.type === "inbound-rtp");
    return Math.max(0, ...sounds.map((one) => one.totalAudioEnergy ?? 0));
  };
"""


@pytest.fixture(scope="module")
def browser(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("webcam")
    video = write_y4m(clips / "people-one-by-one.mp4", folder / "people.y4m", seconds=25)
    with fake_webcam(video, _tone(folder / "tone.wav")) as browser:
        yield browser


def _tone(path: Path) -> Path:
    """What the microphone hears: a tone, in a loop."""
    samples = 8000 * np.sin(2 * np.pi * 440 * np.arange(2 * 48_000) / 48_000)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 48_000, 0, "NONE", ""))
        out.writeframes(samples.astype("<i2").tobytes())
    return path


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


def speech(server: ServerProcess, session_id: str) -> dict[str, object]:
    found: dict[str, object] = server.call("GET", f"/v1/sessions/{session_id}")["speech"]
    return found


def loud(page: Page) -> None:
    page.wait_for_function("() => Number(document.querySelector('.meter')?.dataset.level) > 0.2")


def test_the_microphone_is_heard_muted_lost_and_back(server: ServerProcess, context: BrowserContext) -> None:
    watched = Watched(context, server.url)
    page = watched.page
    session_id = start_call(page, server.url)
    server.wait(lambda: speech(server, session_id)["hears"] and speech(server, session_id)["plays"])
    loud(page)
    page.get_by_role("button", name="Microphone", exact=True).click()
    expect(page.get_by_role("button", name="Muted")).to_be_visible()
    page.wait_for_function("() => document.querySelector('.meter').dataset.level === '0.00'")
    page.get_by_role("button", name="Muted").click()
    loud(page)

    of_this_page = "new URL('call/microphone.js', document.querySelector('script[type=module]').src).href"
    page.evaluate(
        f"""async () => {{
          const {{ microphone }} = await import({of_this_page});
          microphone.value.track.stop();
          microphone.value.track.dispatchEvent(new Event("ended"));
        }}"""
    )
    expect(page.get_by_text("The microphone is gone.")).to_be_visible()
    page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    expect(page.get_by_text("The microphone is gone.")).to_have_count(0)
    loud(page)
    page.get_by_text("Sound settings", exact=True).click()
    microphones = page.get_by_label("Microphone", exact=True)
    other = microphones.evaluate("select => select.options[select.options.length - 1].value")
    microphones.select_option(other)
    loud(page)
    assert page.evaluate("localStorage.getItem('joyvl.microphone-id')") == other
    stop_call(page)
    assert watched.complaints == []


def test_without_a_microphone_the_picture_goes_on_and_it_is_said(
    server: ServerProcess, context: BrowserContext
) -> None:
    watched = Watched(context, server.url)
    page = watched.page
    page.add_init_script(DENIED)
    session_id = start_call(page, server.url)
    expect(page.get_by_text("The browser may not use the microphone")).to_be_visible()
    server.wait(lambda: server.call("GET", f"/v1/sessions/{session_id}")["state"]["status"] == "online")
    expect(page.get_by_role("button", name="Use the microphone")).to_be_visible()
    stop_call(page)
    assert watched.complaints == []


def test_a_call_without_the_microphone_asks_for_none_and_can_take_it_later(
    server: ServerProcess, context: BrowserContext
) -> None:
    watched = Watched(context, server.url)
    page = watched.page
    page.goto(f"{server.url}/#/live")
    page.get_by_label("With microphone").uncheck()
    page.get_by_role("button", name="Use this webcam").click()
    expect(page.locator(".live[data-call=connected]")).to_be_visible()
    page.get_by_role("button", name="Use the microphone").click()
    loud(page)
    stop_call(page)
    assert watched.complaints == []


def test_the_browsers_voice_says_what_the_server_wants_said_and_the_server_knows_it_was_heard(
    server: ServerProcess, context: BrowserContext
) -> None:
    watched = Watched(context, server.url)
    page = watched.page
    page.add_init_script(STUB + SPEAKS_BY_ITSELF)
    session_id = start_call(page, server.url)
    server.wait(lambda: speech(server, session_id)["audible"])
    expect(page.locator(".line.said .hearing").filter(has_text="Heard").first).to_be_visible()
    said = page.evaluate("window.said.map((one) => one.text).join('')")
    assert page.locator(".said-text").first.inner_text().strip() in said
    page.get_by_role("button", name="Voice", exact=True).click()
    server.wait(lambda: not speech(server, session_id)["audible"])
    stop_call(page)
    assert watched.complaints == []


def test_push_to_talk_sends_sound_only_while_the_button_is_held(server: ServerProcess, context: BrowserContext) -> None:
    watched = Watched(context, server.url)
    page = watched.page
    told: list[str] = []
    page.on("request", lambda r: told.append(r.post_data or "") if r.url.endswith("/talking") else None)
    session_id = start_call(page, server.url)
    server.call("PATCH", f"/v1/sessions/{session_id}", {"listen": "push_to_talk"})
    button = page.get_by_role("button", name="Hold to talk")
    page.wait_for_function("() => document.querySelector('.meter').dataset.level === '0.00'")
    expect(button).to_be_visible()
    while button.is_visible():  # a note above it that comes just now moves it away from under the mouse
        page.mouse.up()
        button.hover()
        page.mouse.down()
        page.wait_for_timeout(50)
    loud(page)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('.meter').dataset.level === '0.00'")
    page.locator("h1").click()
    page.keyboard.down("Space")
    expect(page.get_by_role("button", name="Talk now")).to_be_visible()
    loud(page)
    with page.expect_request(lambda r: r.url.endswith("/talking") and "false" in (r.post_data or "")):
        page.keyboard.up("Space")
    expect(button).to_be_visible()
    assert "true" in told[0]
    stop_call(page)
    assert watched.complaints == []


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="the system has no voice")
def test_the_servers_voice_is_heard_in_a_call_and_switched_off(server: ServerProcess, context: BrowserContext) -> None:
    watched = Watched(context, server.url)
    page = watched.page
    page.add_init_script(HEARS)
    session_id = start_call(page, server.url)
    server.call("PATCH", f"/v1/sessions/{session_id}", {"voice": "espeak"})
    page.wait_for_function("async () => await window.energy() > 0")
    page.wait_for_function("() => window.played.some((one) => !one.paused && !one.muted && one.currentTime > 0)")
    expect(page.locator(".line.said .hearing").filter(has_text="Heard").first).to_be_visible()
    page.get_by_role("button", name="Voice", exact=True).click()
    server.wait(lambda: speech(server, session_id)["speaks"] == "off")
    page.wait_for_function("() => window.played.every((one) => one.muted)")
    page.get_by_role("button", name="Voice", exact=True).click()
    server.wait(lambda: server.call("GET", f"/v1/sessions/{session_id}")["voice"] == "espeak")
    stop_call(page)
    assert watched.complaints == []


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="the system has no voice")
def test_the_servers_voice_is_heard_by_those_who_watch_a_call(server: ServerProcess, context: BrowserContext) -> None:
    watched = Watched(context, server.url)
    session_id = start_call(watched.page, server.url)
    server.call("PATCH", f"/v1/sessions/{session_id}", {"voice": "espeak"})
    other = context.new_page()
    other.add_init_script(HEARS)
    other.goto(f"{server.url}/#/live/{session_id}")
    button = other.get_by_role("button", name="Voice", exact=True)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    other.wait_for_function("() => window.pieces > 2")
    other.close()
    stop_call(watched.page)
    assert watched.complaints == []
