"""Alerts the whole way: a real server sees somebody come in, a program and a broker are told, somebody acknowledges."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fakes.mqtt import Mosquitto, free_port, kept_by, listening
from fakes.patience import PATIENCE_S, until
from fakes.server.server import ServerProcess
from joyvl_server.kit.net import http

CLIP = "people-one-by-one.mp4"


class WebhookReceiver:
    """`got`: (headers, body) of each message."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    running = WebhookReceiver()
    yield running
    running.close()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    running = Mosquitto(tmp_path)
    running.start()
    yield running
    running.stop()


def server_for(folder: Path, clips: Path) -> ServerProcess:
    """It knows its own address, for links, and may reach this machine."""
    port = free_port()
    settings = {
        "JOYVL_SERVER__PUBLIC_URL": f"http://127.0.0.1:{port}",
        "JOYVL_SERVER__AUTH": "off",
        "JOYVL_ALERTS__ALLOW": '["127.0.0.1"]',
        "JOYVL_MEDIA__FILE_ROOTS": json.dumps([str(clips)]),
    }
    return ServerProcess(folder / "data", "--port", str(port), env=settings)


async def test_somebody_comes_in_and_everybody_is_told(clips, tmp_path, receiver, mosquitto):
    with server_for(tmp_path, clips) as server:
        server.call("POST", "/v1/hooks", {"name": "Program", "kind": "webhook", "options": {"url": receiver.url}})
        broker = {"host": "127.0.0.1", "port": mosquitto.port, "username": "me", "password": "NeverShown"}
        hook = server.call("POST", "/v1/hooks", {"name": "Broker", "kind": "mqtt", "options": broker})
        assert hook["options"]["password"] == "***"
        async with listening(mosquitto.port) as heard:
            watch = {"name": "Somebody", "text": "Tell me when someone comes in"}
            camera = server.camera("Front door", f"file://{clips / CLIP}", watches=[watch])
            await until(lambda: fired(heard.on("joyvl/alerts")), lambda: "".join(server.log[-30:]))
            await until(lambda: fired([body for _, body in receiver.got]))
            by_mqtt, by_webhook = fired(heard.on("joyvl/alerts")), fired([body for _, body in receiver.got])
            assert by_mqtt["data"]["id"] == by_webhook["data"]["id"]
            assert by_mqtt["data"]["camera_id"] == camera["id"]
            async with http.client() as client:  # without a key
                assert (await client.get(by_webhook["data"]["picture_url"])).content[:2] == b"\xff\xd8"

            topics = f"joyvl/front_door-{camera['id']}"
            await until(lambda: heard.kept.get(f"{topics}/picture", b"")[:2] == b"\xff\xd8")
            [occupied] = [topic for topic in heard.kept if topic.startswith(f"{topics}/watches/")]
            await until(lambda: b"ON" in heard.on(occupied))

            alert = by_mqtt["data"]["id"]
            await heard.client.publish(f"{topics}/acknowledge", alert, qos=1)
            await until(lambda: server.call("GET", f"/v1/alerts/{alert}")["state"] == "acknowledged")
            assert "Broker" in server.call("GET", f"/v1/alerts/{alert}")["acknowledged_by"]

            shown = json.dumps(
                [server.call("GET", "/v1/hooks"), server.call("GET", f"/v1/hooks/{hook['id']}/deliveries")]
            )
            assert "NeverShown" not in shown + "".join(server.log)
            server.call("DELETE", f"/v1/hooks/{hook['id']}")
            async with asyncio.timeout(PATIENCE_S):
                while await kept_by(mosquitto.port):  # nothing of it stays at the broker
                    await asyncio.sleep(0.5)


def test_a_hook_says_what_is_wrong_with_it_before_any_alert(tmp_path):
    with server_for(tmp_path, tmp_path) as server:
        broker = {"host": "127.0.0.1", "port": free_port(), "password": "NeverShown", "username": "me"}
        hook = server.call("POST", "/v1/hooks", {"name": "Broker", "kind": "mqtt", "options": broker})
        server.wait(lambda: server.call("GET", f"/v1/hooks/{hook['id']}")["state"]["ok"] is False)
        assert "cannot be reached" in server.call("GET", f"/v1/hooks/{hook['id']}")["state"]["last_error"]
        tried = server.call("POST", f"/v1/hooks/{hook['id']}/test")
        assert tried["ok"] is False
        assert "cannot be reached" in tried["message"]
        assert "NeverShown" not in "".join(server.log)


def fired(bodies: list[bytes]) -> Any:
    """The first message about a fired watch."""
    found = [json.loads(body) for body in bodies]
    return next((message for message in found if message["data"]["kind"] == "watch_fired"), None)
