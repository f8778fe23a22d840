"""Calls into a container: Chromium elsewhere, the server behind the translation of addresses that Docker's bridge does.

Network namespaces and nftables play the container, its host, a neighbour in the host's network, and somebody behind a
router of their own. No address of the container can be reached from outside.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from fakes.patience import wait_until
from fakes.server.browser import CHROMIUM, FLAGS, Watched, start_call, stop_call
from fakes.server.server import ServerProcess
from fakes.server.two_hosts import TCP_PORTS, UDP_PORTS, Bridged, behind_bridge

pytestmark = [pytest.mark.browser]

KEY = "a-key-of-a-browser"

TOLD, UNTOLD = TCP_PORTS
"""Two servers in the container share the UDP ports: one advertises the addresses of its host, the other one doesn't."""


@pytest.fixture(scope="module")
def bridged() -> Iterator[Bridged]:
    with behind_bridge() as made:
        yield made


@pytest.fixture(scope="module")
def servers(bridged: Bridged, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, ServerProcess]]:
    addresses = f"{bridged.host.address},{bridged.public}"
    env = {
        "JOYVL_SERVER__API_KEYS": KEY,
        "JOYVL_SERVER__ALLOWED_HOSTS": addresses,
        "JOYVL_WEBRTC__UDP_PORTS": UDP_PORTS,
        "JOYVL_MEDIA__CALL_TIMEOUT_S": "120",
    }
    with ExitStack() as stack:
        started = {}
        for port, more in ((TOLD, {"JOYVL_WEBRTC__ADVERTISED_ADDRESSES": addresses}), (UNTOLD, {})):
            args = ("--host", "0.0.0.0", "--port", str(port))
            folder = tmp_path_factory.mktemp("server")
            server = ServerProcess(folder, *args, env={**env, **more}, within=bridged.container.within)
            started[port] = stack.enter_context(server)
        yield started


@pytest.fixture(scope="module")
def browsers(bridged: Bridged, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    """One on the host itself, one at the neighbour's and one far away, each with a camera."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"Chromium is not at {CHROMIUM}; name it in JOYVL_CHROMIUM")
    started = {}
    with sync_playwright() as playwright:
        for who, host in (("host", bridged.host), ("neighbour", bridged.neighbour), ("far", bridged.far)):
            start = tmp_path_factory.mktemp(who) / "chromium"
            start.write_text(f'#!/bin/sh\nexec {shlex.join((*host.within, CHROMIUM))} "$@"\n')
            start.chmod(0o755)
            safe = ",".join(base(bridged, who, port) for port in (TOLD, UNTOLD))
            flags = (
                f"--unsafely-treat-insecure-origin-as-secure={safe}",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
            )
            started[who] = playwright.chromium.launch(executable_path=str(start), headless=True, args=[*FLAGS, *flags])
        yield started
        for browser in started.values():
            browser.close()


def base(bridged: Bridged, who: str, port: int) -> str:
    return f"http://{bridged.public if who == 'far' else bridged.host.address}:{port}"


@contextmanager
def page_of(browser: Browser, base: str) -> Iterator[Page]:
    context = browser.new_context(extra_http_headers={"Authorization": f"Bearer {KEY}"})
    watched = Watched(context, base)
    yield watched.page
    context.close()
    assert watched.complaints == []


def state(page: Page, session_id: str) -> dict[str, Any]:
    asked = "id => fetch('/v1/sessions/' + id).then(answer => answer.json())"
    return page.evaluate(asked, session_id)["state"]


def its_pictures_arrive(page: Page, address: str) -> None:
    session_id = start_call(page, address)
    wait_until(lambda: (state(page, session_id)["width"] or 0) >= 320, lambda: str(state(page, session_id)))
    expect(page.locator(".strip-marks")).not_to_have_attribute("data-silent", "0")  # it decides about the pictures
    stop_call(page)


@pytest.mark.parametrize("who", ["host", "neighbour", "far"])
def test_with_advertised_addresses_calls_come_through(
    bridged: Bridged, servers: dict[int, ServerProcess], browsers: dict[str, Browser], who: str
) -> None:
    address = base(bridged, who, TOLD)
    with page_of(browsers[who], address) as page:
        its_pictures_arrive(page, address)


CALLED = """async () => {
  const peer = new RTCPeerConnection();
  const canvas = document.createElement("canvas");
  canvas.getContext("2d").fillRect(0, 0, 8, 8);
  peer.addTrack(canvas.captureStream(5).getVideoTracks()[0]);
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise((done) => { peer.onicegatheringstatechange = done; setTimeout(done, 2000); });
  const answer = await fetch("/v1/realtime/calls", {
    method: "POST", headers: { "Content-Type": "application/sdp" }, body: peer.localDescription.sdp });
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  window.peer = peer;
}"""


def test_without_them_the_neighbour_comes_through_and_nobody_far_away(
    bridged: Bridged, servers: dict[int, ServerProcess], browsers: dict[str, Browser]
) -> None:
    """The server sends first: it can reach the neighbour's own address, and not that of somebody behind a router."""
    near, far = (base(bridged, who, UNTOLD) for who in ("neighbour", "far"))
    with page_of(browsers["far"], far) as page, page_of(browsers["neighbour"], near) as other:
        page.goto(f"{far}/#/live")
        page.evaluate(CALLED)
        its_pictures_arrive(other, near)  # a call that began later
        assert page.evaluate("peer.connectionState") in ("new", "connecting")
