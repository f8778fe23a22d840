"""`serve` in a process of its own: what it prints, real sockets, signals."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from fakes.patience import PATIENCE_S, wait_until

pytestmark = pytest.mark.processes

ON_A_SLOW_MACHINE = ("a session begins without what is known", "it took too long")
"""in a line of the log: memories are not waited for"""
TESTS = Path(__file__).resolve().parents[2]


class Server:
    def __init__(self, folder: Path, *, fake: str = "", port: int = 0, shutdown_s: float = 3600.0) -> None:
        """`shutdown_s`: longer than a test lasts, where it must end by itself."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("JOYVL_")}
        env["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), env.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fakes.server.small_server", str(folder), str(port), str(shutdown_s)],
            cwd=TESTS,
            env={**env, "JOYVL_FAKE": fake},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.session = ""

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ready(self) -> Server:
        while not (self.url and self.session):
            line = self.line()
            assert line, self.process.communicate()[1]
            if found := re.fullmatch(r"joyvl-server is watching at (http://127\.0\.0\.1:\d+)", line):
                self.url = found[1]
            if line.startswith("session "):
                self.session = line.split()[1]
        return self

    @property
    def updates(self) -> str:
        return f"/v1/sessions/{self.session}/updates"

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """(exit code, what it still printed, stderr without what only slow machines tell)."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        told = [line for line in err.splitlines(keepends=True) if not all(words in line for words in ON_A_SLOW_MACHINE)]
        return self.process.returncode, out, "".join(told)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def start(tmp_path) -> Iterator:
    servers = []

    def starter(**more: object) -> Server:
        servers.append(Server(tmp_path, **more))
        return servers[-1]

    yield starter
    for server in servers:
        server.kill()


def test_the_address_is_printed_when_it_answers(start):
    server = start().ready()
    assert httpx2.get(f"{server.url}/healthz").json() == {"status": "ok"}
    answer = httpx2.get(f"{server.url}/")
    assert "server" not in answer.headers
    code, out, err = server.stop()
    assert (code, out, err) == (0, "closed\n", "")


def close_code(ws: ClientConnection) -> int | None:
    """Reads a WebSocket to its end."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            ws.recv(timeout=PATIENCE_S)
    return ws.close_code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_streams_do_not_delay_a_clean_stop(start, number):
    server = start().ready()
    socket_url = server.url.replace("http", "ws") + server.updates
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(socket_url)) for _ in range(3)]
        streams = [
            stack.enter_context(httpx2.stream("GET", server.url + server.updates, timeout=PATIENCE_S)) for _ in range(3)
        ]
        lines = [stream.iter_lines() for stream in streams]
        assert [next(each) for each in lines] == ["retry: 2000"] * 3
        assert '"session.created"' in sockets[0].recv(timeout=PATIENCE_S)
        code, out, err = server.stop(number)
        assert (code, out, err) == (0, "closed\n", "")
        for ws in sockets:
            assert close_code(ws) == 1012
        for each in lines:
            assert ": the server stops" in list(each)


def test_a_registry_that_does_not_stop_is_left_after_the_time_set(start):
    server = start(fake="slow_stop", shutdown_s=0.5).ready()
    code, out, err = server.stop()
    assert code == 0
    assert "closed" not in out
    assert "not everything stopped in time" in err


def test_a_process_that_hangs_in_a_thread_is_ended_hard(start):
    server = start(fake="stuck", shutdown_s=0.5).ready()
    code, _, err = server.stop()
    assert code == 1
    assert "and is killed" in err


def test_a_signal_while_it_starts_ends_it_cleanly(start):
    server = start(fake="slow_start")
    assert server.line() == "starting"
    code, out, err = server.stop()
    assert (code, out, err) == (0, "closed\n", "")


def test_a_second_signal_ends_it_at_once(start):
    server = start(fake="slow_stop").ready()
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    code, _, _ = server.stop()
    assert code == -signal.SIGTERM


def test_a_port_in_use_is_one_sentence(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start(port=port)
        out, err = server.process.communicate(timeout=PATIENCE_S)
    assert server.process.returncode == 1
    assert "watching" not in out
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use" in err
    assert "starting" not in out


def test_a_10_mb_body_gets_its_answer(start):
    server = start().ready()
    for content in (b"x" * 10_000_000, (b"x" * 100_000 for _ in range(100))):
        answer = httpx2.post(f"{server.url}/v1/cameras", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_client_that_announces_its_body_is_told_before_it_sends(start):
    server = start().ready()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as client:
        client.sendall(
            b"POST /v1/cameras HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10000000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_refused_websockets_are_answered_with_a_problem(start):
    server = start().ready()
    base = server.url.replace("http", "ws")
    for url, headers, status in (
        (f"{base}/v1/sessions/none/updates", {}, 404),
        (f"{base}/v1/cameras", {}, 404),
        (base + server.updates, {"Origin": "https://evil.example"}, 403),
    ):
        with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers):
            pass
        response = refused.value.response
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert f'"status":{status}'.encode() in response.body
    code, _, err = server.stop()
    assert (code, err) == (0, ""), err


def test_clients_that_never_read_cost_neither_memory_nor_others(start):
    server = start(fake="flood").ready()
    host, port = server.url.removeprefix("http://").split(":")
    stuck = []
    for _ in range(8):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(f"GET {server.updates} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        stuck.append(client)
    process = psutil.Process(server.process.pid)
    time.sleep(1.0)
    before = process.memory_info().rss
    # 200 updates of 50 kB a second: a queue per client would take 80 MB a second.
    time.sleep(2.0)
    assert process.memory_info().rss - before < 20_000_000
    assert httpx2.get(f"{server.url}/healthz", timeout=PATIENCE_S).status_code == 200
    for client in stuck:
        client.close()
    wait_until(
        lambda: 'joyvl_update_streams{transport="sse"} 0.0' in httpx2.get(f"{server.url}/metrics").text,
        lambda: "a client that went away still holds its stream",
    )
    code, _, err = server.stop()
    assert (code, err) == (0, ""), err
