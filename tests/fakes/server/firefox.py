"""Real Firefox for the page's tests, led by its Marionette protocol: JSON over a socket, lengths before it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fakes.patience import PATIENCE_S, wait_until
from fakes.server.sound_card import MICROPHONE, SoundCard

FIREFOX = os.environ.get("JOYVL_FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox") or ""
ALLOWED = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    # As after a person has allowed the webcam; else all of its addresses are mDNS names.
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # A fake webcam, and this real device as the microphone.
    "media.audio_loopback_dev": MICROPHONE,
    "media.autoplay.default": 0,
}
QUIET = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}


class FirefoxFault(Exception):
    """What Firefox answered instead of a result."""


class Firefox:
    """One window. `run` gives the function's result, an awaited one too; `until` waits for a true one."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._read()  # who it is
        self.ask("WebDriver:NewSession", {"timeouts": {"script": 1000 * PATIENCE_S, "pageLoad": 1000 * PATIENCE_S}})

    def ask(self, command: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, number, fault, result = self._read()
        assert number == self._number
        if fault is not None:
            raise FirefoxFault(f"{command}: {fault['error']}: {fault['message']}")
        return result

    def _read(self) -> Any:
        size = b""
        while (byte := self._file.read(1)) != b":":
            if not byte:
                raise FirefoxFault("it has gone")
            size += byte
        return json.loads(self._file.read(int(size)))

    def open(self, url: str) -> None:
        self.ask("WebDriver:Navigate", {"url": url})

    def run(self, function: str) -> Any:
        """The result of a function of the page, as JSON."""
        script = (
            f"const done = arguments[0]; Promise.resolve(({function})()).then(done, (e) => done({{ fault: `${{e}}` }}))"
        )
        found = self.ask("WebDriver:ExecuteAsyncScript", {"script": script, "args": [], "sandbox": None})["value"]
        if isinstance(found, dict) and "fault" in found:
            raise FirefoxFault(found["fault"])
        return found

    def until(self, function: str) -> Any:
        """Its first result that is true."""
        found: list[Any] = []

        def asked() -> Any:
            found[:] = [self.run(function)]
            return found[0]

        wait_until(asked, lambda: f"never: {function}\non the page: {self.run('() => document.body.innerText')}")
        return found[0]

    def click(self, name: str) -> None:
        """The button with this name, as a person clicks it: Firefox counts it as one's own act."""
        named = f"one.textContent.trim() === {json.dumps(name)} && !one.disabled"
        self.until(f"() => [...document.querySelectorAll('button')].some((one) => {named})")
        xpath = f"//button[normalize-space(.)={json.dumps(name)}]"
        element = self.ask("WebDriver:FindElement", {"using": "xpath", "value": xpath})["value"]
        self.ask("WebDriver:ElementClick", {"id": next(iter(element.values()))})

    def screenshot(self) -> bytes:
        """A PNG of the window."""
        return base64.b64decode(self.ask("WebDriver:TakeScreenshot", {"full": False})["value"])

    def close(self) -> None:
        with suppress(OSError, FirefoxFault):
            self.ask("Marionette:Quit", {"flags": ["eForceQuit"]})
        self._file.close()
        self._socket.close()


@contextmanager
def firefox(folder: Path, card: SoundCard) -> Iterator[Firefox]:
    """With a fake webcam, the microphone and loudspeaker of `card`, and nobody who is asked for permission."""
    if not FIREFOX:
        pytest.skip("Firefox is missing (Debian: firefox-esr); or name it in JOYVL_FIREFOX")
    folder.mkdir(parents=True, exist_ok=True)
    given = {**ALLOWED, **QUIET, "marionette.port": 0}
    lines = [f'user_pref("{name}", {json.dumps(value)});\n' for name, value in given.items()]
    (folder / "user.js").write_text("".join(lines))
    command = [FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", str(folder)]
    log = (folder / "firefox.log").open("wb")
    environment = {**os.environ, **card.environment, "HOME": str(folder), "MOZ_CRASHREPORTER_DISABLE": "1"}
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    port = folder / "MarionetteActivePort"
    try:
        wait_until(lambda: (port.exists() and port.read_text().strip()) or process.poll() is not None)
        assert process.poll() is None, f"Firefox did not start:\n{(folder / 'firefox.log').read_text()}"
        browser = Firefox(int(port.read_text()))
        try:
            yield browser
        finally:
            browser.close()
    finally:
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
        process.kill()
        process.wait()
        log.close()
