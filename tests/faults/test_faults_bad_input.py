"""Everything wrong that a client can hand in, at a real server: clear answers, no secrets, nothing left behind."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fakes.media.odd_camera import UNKNOWN, OddCamera, rtp
from fakes.media.rtsp_server import RtspServer, free_port
from fakes.patience import PATIENCE_S
from fakes.server.server import ServerProcess

pytestmark = [pytest.mark.rtsp, pytest.mark.slow]

SECRET = "s3cret-word"
ROUNDS = 3
POOLS = 8
"""Thread pools of a fixed size (requests, database readers, media worker) fill up as they are used."""


@pytest.fixture
def web_page() -> Iterator[str]:
    """An HTTP server where a camera was expected."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>not a camera</h1>")

        def log_message(self, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"rtsp://cam:{SECRET}@127.0.0.1:{server.server_port}/x"
    server.shutdown()
    thread.join()
    server.server_close()


def raw(server: ServerProcess, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict]:
    """One request with headers as given; every refusal must be a problem without the secret."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    assert SECRET.encode() not in content
    assert answer.headers.get_content_type() == "application/problem+json", (answer.status, content)
    problem = json.loads(content)
    assert problem["status"] == answer.status
    assert len(problem["detail"]) > 10
    return answer.status, problem


JSON = {"Content-Type": "application/json"}


def requests_that_are_wrong(server: ServerProcess) -> None:
    def camera(**fields: object) -> bytes:
        return json.dumps({"name": "door", "url": f"rtsp://cam:{SECRET}@127.0.0.1:1/x", **fields}).encode()

    assert raw(server, "POST", "/v1/cameras", camera(name="taken"), JSON)[0] == 409
    assert raw(server, "POST", "/v1/cameras", camera(colour="red"), JSON)[0] == 422
    assert raw(server, "POST", "/v1/cameras", camera(url=f"ftp://cam:{SECRET}@host/x"), JSON)[0] in (403, 422)
    assert raw(server, "POST", "/v1/cameras", camera(url="rtsp://169.254.169.254/x"), JSON)[0] == 403
    assert raw(server, "POST", "/v1/cameras", camera(url="file:///etc/passwd"), JSON)[0] == 403
    assert raw(server, "POST", "/v1/cameras", camera(engine="nonesuch"), JSON)[0] == 422
    assert raw(server, "POST", "/v1/cameras", camera(watches=[{"text": "x", "zones": ["nowhere"]}]), JSON)[0] == 422
    assert raw(server, "POST", "/v1/cameras", b"{not json", JSON)[0] == 400
    assert raw(server, "POST", "/v1/cameras", camera(), {"Content-Type": "text/plain"})[0] == 415
    assert raw(server, "POST", "/v1/cameras", b"x" * 10_000_000, JSON)[0] == 413
    assert raw(server, "GET", "/v1/cameras", b"", {"Host": "evil.example"})[0] in (400, 403, 421)
    assert raw(server, "GET", "/v1/cameras", b"", {"Origin": "https://evil.example"})[0] == 403
    sdp = {"Content-Type": "application/sdp"}
    for offer in (
        b"hello",
        b"v=0\r\n",
        b"\x00\xff" * 500,
        b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n",
    ):
        assert raw(server, "POST", "/v1/realtime/calls", offer, sdp)[0] == 400


def sources_that_are_wrong(server: ServerProcess, clip: Path, web_page: str) -> None:
    """Probed, each says what is wrong; registered and removed again, each leaves nothing."""

    def garbage(send) -> None:
        for number in range(50):
            send(rtp(number, b"\x65" + os.urandom(400)))

    with (
        RtspServer(clip, auth=("cam", "other")) as locked,
        RtspServer(clip, kind="audio") as sound,
        OddCamera(sdp=UNKNOWN) as odd,
        OddCamera(answer=lambda request: None) as silent,
        OddCamera(after_play=garbage) as noisy,
    ):
        wrong = {
            f"rtsp://127.0.0.1:{free_port()}/x": {"refused"},
            locked.url.replace("other", SECRET): {"unauthorized"},
            locked.url.replace("/cam", "/none"): {"not_found", "unauthorized"},
            web_page: {"not_a_stream", "refused", "lost"},
            sound.url: {"no_video"},
            odd.url: {"unknown_codec", "no_video"},
            silent.url: {"timeout"},
            noisy.url: {"not_a_stream", "timeout", "stalled", "unknown_codec", "no_video", "lost"},
        }
        for url, codes in wrong.items():
            report = server.call("POST", "/v1/cameras/probe", {"url": url})
            assert not report["ok"], url
            assert report["error_code"] in codes, (url, report)
            assert report["error"]
            assert SECRET not in json.dumps(report)
        ids = [server.camera(f"wrong {n}", url)["id"] for n, url in enumerate(wrong)]
        for camera_id in ids:
            server.wait(lambda c=camera_id: server._status(c) in ("offline", "connecting"))
        server.wait(lambda: all(server._status(c) == "offline" for c in ids))
        listed = json.dumps(server.call("GET", "/v1/cameras"))
        assert SECRET not in listed
        for camera_id in ids:
            server.call("DELETE", f"/v1/cameras/{camera_id}")


def rows(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "joyvl.db") as db:
        return {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("cameras", "watches")}


def test_nothing_wrong_leaves_anything_behind(tmp_path: Path, clip: Path, web_page: str) -> None:
    env = {"JOYVL_MEDIA__OPEN_TIMEOUT_S": "2", "JOYVL_MEDIA__STALL_TIMEOUT_S": "2"}
    env["JOYVL_SESSIONS__TICK_S"] = "10"  # a slow machine, too, has room for all these sessions
    with RtspServer(clip) as good, ServerProcess(tmp_path, env=env) as server:
        taken = server.camera("taken", good.url)
        server.wait_online(taken["id"])
        requests_that_are_wrong(server)
        sources_that_are_wrong(server, clip, web_page)
        before, held = rows(tmp_path), server.held()
        for _ in range(ROUNDS):
            requests_that_are_wrong(server)
            sources_that_are_wrong(server, clip, web_page)
        after = server.held()
        print(f"before {held}\nafter  {after}")
        assert rows(tmp_path) == before == {"cameras": 1, "watches": 0}
        assert [s["camera_id"] for s in server.call("GET", "/v1/sessions")["data"]] == [taken["id"]]
        assert after.processes <= held.processes
        assert after.threads <= held.threads + POOLS
        assert after.descriptors <= held.descriptors + 3
        assert server._status(taken["id"]) == "online"
        assert SECRET not in "".join(server.log)
