"""The apprise sender, with receivers of its generic services on this machine."""

from __future__ import annotations

import base64
import json
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fakes.mqtt import JPEG, LocalNet, delivery, hook_context
from fakes.patience import PATIENCE_S
from joyvl_server.core.errors import ConfigError, NotAllowed
from joyvl_server.notify.apprise import FORBIDDEN, HOSTED, PLUGINS, SERVICES, AppriseSender
from joyvl_server.notify.base import DeliveryFailed, Links
from joyvl_server.notify.direct import DirectMail, DirectRequests

TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/987654321"


class Receiver:
    """`answers`: the status of each request, the last one for all that follow. `at`: what follows a redirect."""

    def __init__(self) -> None:
        self.answers = [200]
        self.got: list[tuple[str, dict]] = []
        self.hosts: list[str] = []
        self.logins: list[str | None] = []
        self.hang = threading.Event()
        self.hangs = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.got.append((self.path, body))
                receiver.hosts.append(self.headers["host"])
                receiver.logins.append(self.headers["authorization"])
                if receiver.hangs:
                    receiver.hang.wait(PATIENCE_S)
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://localhost:{self._server.server_port}/SecretPath?:token=SecretToken"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


def sender(folder: Path, *urls: str, net: LocalNet | None = None, timeout_s: float = 10.0) -> AppriseSender:
    return AppriseSender(replace(hook_context(folder, {"urls": list(urls)}, net=net), timeout_s=timeout_s))


async def test_an_alert_with_its_picture_attached(receiver, tmp_path):
    net = LocalNet()
    sent = await sender(tmp_path, receiver.url, net=net).send(delivery(3))
    [(path, body)] = receiver.got
    assert path.startswith("/SecretPath")
    assert body["title"] == "Person"
    assert body["message"] == "Somebody came, number 3"
    [attached] = body["attachments"]
    assert base64.b64decode(attached["base64"]) == JPEG
    assert attached["mimetype"] == "image/jpeg"
    assert net.asked == ["localhost"]
    assert "Secret" not in sent.words


async def test_without_a_picture_its_address_and_a_link(receiver, tmp_path):
    message = replace(delivery(1, picture=b""), links=Links("http://pic", None, "http://page"))
    await sender(tmp_path, receiver.url).send(message)
    assert receiver.got[0][1]["message"] == "Somebody came, number 1\nhttp://pic\nhttp://page"


async def test_no_redirect_is_followed(receiver, tmp_path):
    receiver.answers = [302]
    with pytest.raises(DeliveryFailed, match=r"json://localhost:\d+/\*\*\* did not take the message"):
        await sender(tmp_path, receiver.url).send(delivery())
    assert [path for path, _ in receiver.got if "elsewhere" in path] == []


async def test_who_has_taken_a_message_is_not_told_twice(receiver, tmp_path):
    other = Receiver()
    other.answers = [500, 200]
    both = sender(tmp_path, receiver.url, other.url)
    try:
        with pytest.raises(DeliveryFailed) as failed:
            await both.send(delivery(1))
        assert failed.value.retry
        await both.send(replace(delivery(1), attempt=2))
        assert (len(receiver.got), len(other.got)) == (1, 2)
        await both.send(delivery(2))
        assert (len(receiver.got), len(other.got)) == (2, 3)
    finally:
        other.close()


async def test_one_that_hangs_is_given_up(receiver, tmp_path):
    receiver.hangs = True
    with pytest.raises(DeliveryFailed, match="did not answer in time"):
        await sender(tmp_path, receiver.url, timeout_s=0.3).send(delivery())


async def test_a_host_that_may_not_be_reached_is_sent_nothing(receiver, tmp_path):
    net = LocalNet(NotAllowed("localhost is a private address."))
    with pytest.raises(DeliveryFailed, match="private address"):
        await sender(tmp_path, receiver.url, net=net).send(delivery())
    assert receiver.got == []


async def test_the_checked_address_is_connected_to(receiver, tmp_path):
    """Whatever name server answers a moment later: the name itself is resolved by nobody else."""
    net = LocalNet()
    await sender(tmp_path, receiver.url.replace("localhost", "push.test"), net=net).send(delivery())
    assert net.asked == ["push.test"]
    assert receiver.hosts[0].startswith("push.test:")


async def test_proxies_and_logins_of_the_environment_are_not_used(receiver, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text("machine localhost login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    await sender(tmp_path, receiver.url).send(delivery())
    assert receiver.logins == [None]


async def test_mail_goes_to_the_checked_address_too(tmp_path):
    net = LocalNet(NotAllowed("mail.test is a private address."))
    for scheme in ("mailto", "mailtos"):
        with pytest.raises(DeliveryFailed, match="private address"):
            await sender(tmp_path, f"{scheme}://me:secret@mail.test?to=you@mail.test", net=net).send(delivery())
    assert net.asked == ["mail.test", "mail.test"]


async def test_services_that_apprise_knows_the_address_of_are_checked_too(tmp_path):
    net = LocalNet(NotAllowed("it is a private address."))
    with pytest.raises(DeliveryFailed, match="private address"):
        await sender(tmp_path, TELEGRAM, net=net).send(delivery())
    assert set(net.asked) == {"api.telegram.org"}


def test_no_service_that_is_allowed_connects_in_another_way():
    for scheme in sorted(SERVICES | HOSTED):
        module = sys.modules[PLUGINS[scheme].__module__]
        ours = [getattr(module, name, None) for name in ("requests", "smtplib")]
        assert any(isinstance(one, DirectRequests | DirectMail) for one in ours), scheme


@pytest.mark.parametrize(
    "url",
    [
        "dbus://",
        "syslog://",
        "gnome://",
        "macosx://",
        "windows://",
        "exec://ls",
        "file:///etc/passwd",
        "kde://",
        "blink1://",
        "rsyslog://host",
        "vapid://me@host/",
        "fcm://project@key/",
        "mqtt://host/topic",
        "https://discord.com/api/webhooks/1/2",
        "python://",
        "deltachat://x",
        "growl://host",
        "smpp://a:b@host",
    ],
)
def test_what_is_not_asked_over_the_network_is_refused(url):
    with pytest.raises(ConfigError, match=r"options\.urls\.0: .* is not allowed"):
        AppriseSender.checked({"urls": [url]})


@pytest.mark.parametrize("parameter", sorted(FORBIDDEN))
def test_parameters_that_name_files_or_send_elsewhere_are_refused(parameter):
    for name in (parameter, parameter.upper()):
        with pytest.raises(ConfigError, match=f"{parameter} is not allowed") as refused:
            AppriseSender.checked({"urls": [f"json://host/SecretPath?{name}=/etc/passwd"]})
        assert "Secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["", "x", "tgram://", "json://", "json://a b", "json://h\nx", "json://" + "x" * 5000, "\0"]
)
def test_what_is_no_url_is_told_without_it(url):
    with pytest.raises(ConfigError, match=r"options\.urls\.0: "):
        AppriseSender.checked({"urls": [url]})


def test_urls_are_masked_and_come_back():
    stored, _ = AppriseSender.checked({"urls": [TELEGRAM, "gotify://push.lan/AbCdEfGhIjKlMnO"]})
    shown = AppriseSender.masked(stored)
    assert shown == {"urls": ["tgram://***", "gotify://push.lan/***"]}
    assert AppriseSender.checked(shown, stored)[0] == stored
    assert AppriseSender.checked({"urls": shown["urls"][::-1]}, stored)[0]["urls"] == stored["urls"][::-1]
    with pytest.raises(ConfigError, match=r"still contains \*\*\*"):
        AppriseSender.checked({"urls": ["gotify://elsewhere.lan/***"]}, stored)
    with pytest.raises(ConfigError, match=r"still contains \*\*\*"):
        AppriseSender.checked({"urls": ["tgram://***"]})


async def test_nothing_of_a_url_reaches_the_log(receiver, tmp_path, caplog):
    receiver.answers = [500]
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DeliveryFailed) as failed:
        await sender(tmp_path, receiver.url).send(delivery())
    assert "Secret" not in caplog.text + str(failed.value) + repr(sender(tmp_path, receiver.url)._services)
