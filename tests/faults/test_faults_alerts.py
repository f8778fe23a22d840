"""A full disk with a real server: that is told at once, out of memory, and once more when it is over."""

from __future__ import annotations

import http.server
import json
import threading
import time
from contextlib import suppress
from pathlib import Path

from fakes.patience import wait_until
from fakes.server.server import ServerProcess
from fakes.server.small_disk import small_disk


class Collector(http.server.BaseHTTPRequestHandler):
    titles: list[str] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Collector.titles.append(body["data"]["title"])
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def test_a_full_disk_is_told_and_its_end(tmp_path: Path):
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    env = {"JOYVL_ALERTS__ALLOW": '["127.0.0.1"]'}
    try:
        with small_disk(tmp_path / "disk", "24m") as disk, ServerProcess(disk.path, env=env) as server:
            options = {"url": f"http://127.0.0.1:{receiver.server_port}/x"}
            server.call("POST", "/v1/hooks", {"name": "phone", "kind": "webhook", "options": options})
            disk.fill()
            number = 0
            while not Collector.titles:  # until what is written needs more than the files have room for
                number += 1
                body = {"name": f"c{number}", "url": f"rtsp://192.0.2.1/?{'x' * 1500}", "enabled": False}
                with suppress(AssertionError):  # refused
                    server.call("POST", "/v1/cameras", body)
                time.sleep(0.05 if number > 300 else 0)
                assert number < 4000, "".join(server.log[-20:])
            assert Collector.titles == ["The disk fails"]
            disk.free()
            wait_until(lambda: len(Collector.titles) > 1)
            assert Collector.titles == ["The disk fails", "The disk works again"]
            found = server.call("GET", "/v1/alerts")["data"]
            assert [(alert["title"], alert["state"]) for alert in found] == [
                ("The disk works again", "closed"), ("The disk fails", "closed"),
            ]  # fmt: skip
    finally:
        receiver.shutdown()
        receiver.server_close()
