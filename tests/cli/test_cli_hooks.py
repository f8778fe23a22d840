"""`joyvl hooks` against a real server, before a real receiver in this process."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.request
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fakes.server.server import ServerProcess
from joyvl_server.cli.main import app

pytestmark = pytest.mark.processes


class Receiver(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(Receiver.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def hooks(server: ServerProcess, *args: str) -> Result:
    return CliRunner().invoke(app, ["hooks", *args], env={"JOYVL_URL": server.url})


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"ok": False, "last_error": "Connection refused.", "waiting": 23}, "Connection refused; 23 messages wait"),
        ({"ok": False, "last_error": "Connection refused.", "waiting": 0}, "Connection refused"),
        ({"ok": True, "last_error": None, "waiting": 1}, "works; 1 message waits"),
        ({"ok": None, "last_error": None, "waiting": 2}, "nothing sent yet; 2 messages wait"),
    ],
)
def test_how_a_hook_is_doing(monkeypatch: pytest.MonkeyPatch, state: dict[str, object], words: str):
    hook = {"name": "phone", "kind": "webhook", "enabled": True, "state": state}
    monkeypatch.setattr("joyvl_server.cli.alerts.hooks.call", lambda *_: {"data": [hook]})
    assert CliRunner().invoke(app, ["hooks", "list"]).stdout == f"{'phone':<20} {'webhook':<10} {words}\n"


def test_list_and_test(tmp_path: Path):
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    try:
        with ServerProcess(tmp_path, env={"JOYVL_ALERTS__ALLOW": '["127.0.0.1"]'}) as server:
            assert "No hook yet" in hooks(server, "list").stdout
            options = {"url": f"http://127.0.0.1:{receiver.server_port}/x"}
            body = json.dumps({"name": "phone", "kind": "webhook", "options": options}).encode()
            headers = {"Content-Type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(f"{server.url}/v1/hooks", body, headers)).close()
            assert "nothing sent yet" in hooks(server, "list").stdout
            tried = hooks(server, "test", "phone")
            assert tried.exit_code == 0, tried.output
            assert "It answers 200." in tried.stdout
            Receiver.status = 410
            tried = hooks(server, "test", "phone")
            assert (tried.exit_code, "It answers 410" in tried.stdout) == (1, True)
            assert json.loads(hooks(server, "list", "--json").stdout)[0]["options"]["secret"] == "***"
            assert "There is no hook nobody" in hooks(server, "test", "nobody").output
    finally:
        receiver.shutdown()
        receiver.server_close()
