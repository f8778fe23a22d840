"""A phone: Chromium on another host than the server opens the https page and gives its camera.

Both hosts are network namespaces of the test's own. The browser knows the server's self-signed certificate by its key,
as somebody does who has compared the fingerprint, and takes no other one.
"""

from __future__ import annotations

import base64
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from playwright.sync_api import Browser, Page, expect

from fakes.patience import PATIENCE_S, wait_until
from fakes.server.browser import CHROMIUM, PHONE, Watched, chromium, start_call, stop_call
from fakes.server.server import ServerProcess
from fakes.server.two_hosts import OwnHost, two_hosts

pytestmark = [pytest.mark.browser]

KEY = "a-key-of-the-phone"


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[OwnHost, OwnHost]]:
    with two_hosts() as made:
        yield made


@pytest.fixture(scope="module")
def server(hosts: tuple[OwnHost, OwnHost], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    args = ("--host", "0.0.0.0", "--tls", "self-signed")
    env = {"JOYVL_SERVER__API_KEYS": KEY}
    with ServerProcess(tmp_path_factory.mktemp("server"), *args, env=env, within=hosts[0].within) as server:
        wait_until(lambda: any("In your network" in line for line in server.log), lambda: "".join(server.log))
        yield server


@pytest.fixture(scope="module")
def base(server: ServerProcess, hosts: tuple[OwnHost, OwnHost]) -> str:
    """The address that the start prints for phones."""
    found = re.search(r"In your network: (https://\S+?)(,|\s|$)", "".join(server.log))
    assert found, server.log
    assert hosts[0].address in found[1]
    return found[1]


@pytest.fixture(scope="module")
def phone(
    hosts: tuple[OwnHost, OwnHost], server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"Chromium is not at {CHROMIUM}; name it in JOYVL_CHROMIUM")
    start = tmp_path_factory.mktemp("phone") / "chromium"
    start.write_text(f'#!/bin/sh\nexec {shlex.join((*hosts[1].within, CHROMIUM))} "$@"\n')
    start.chmod(0o755)
    certificate = x509.load_pem_x509_certificate(certificate_of(server).read_bytes())
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key)
    flags = (
        f"--ignore-certificate-errors-spki-list={base64.b64encode(digest.finalize()).decode()}",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
    )
    with chromium(*flags, executable=str(start)) as browser:
        yield browser


def certificate_of(server: ServerProcess) -> Path:
    return server.folder / "tls" / "cert.pem"


@pytest.fixture
def watched(phone: Browser, base: str) -> Iterator[Watched]:
    context = phone.new_context(viewport=PHONE, has_touch=True, extra_http_headers={"Authorization": f"Bearer {KEY}"})
    yield Watched(context, base)
    context.close()


def state(page: Page, session_id: str) -> dict:
    """What the server says about a session, asked from the phone."""
    asked = "id => fetch('/v1/sessions/' + id).then(answer => answer.json())"
    return page.evaluate(asked, session_id)["state"]


def test_its_camera_reaches_the_server(watched: Watched, base: str) -> None:
    page = watched.page
    session_id = start_call(page, base)
    assert page.evaluate("isSecureContext && location.protocol") == "https:"
    wait_until(lambda: (state(page, session_id)["width"] or 0) >= 320, lambda: str(state(page, session_id)))
    expect(page.locator(".strip-marks")).not_to_have_attribute("data-silent", "0")  # it decides about the pictures
    picture = page.evaluate(
        """id => fetch(`/v1/sessions/${id}/snapshot.jpg`).then(answer => answer.blob()).then(createImageBitmap)
             .then(image => [image.width, image.height])""",
        session_id,
    )
    assert picture[0] >= 320
    stop_call(page)
    assert watched.complaints == []


def test_http_leads_to_https(phone: Browser, base: str) -> None:
    context = phone.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto(base.replace("https", "http") + "/")
    assert page.url.startswith(base)
    context.close()


def test_a_command_on_the_phone_checks_the_address_in_the_certificate(
    hosts: tuple[OwnHost, OwnHost], server: ServerProcess, base: str
) -> None:
    command = [*hosts[1].within, sys.executable, "-m", "joyvl_server.cli", "cameras", "list"]
    known = {"JOYVL_URL": base, "JOYVL_KEY": KEY, "JOYVL_CA": str(certificate_of(server)), "PATH": "/usr/bin:/bin"}
    for env, code in ((known, 0), ({**known, "JOYVL_CA": ""}, 1)):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == code, done.stderr
        assert ("is not trusted" in done.stderr) == bool(code)
