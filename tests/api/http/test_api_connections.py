"""Nobody keeps the others out by holding connections: over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from websockets.asyncio.client import connect

from fakes.server.house import KEY, URL, house
from fakes.server.server import ServerProcess
from joyvl_server.api.http import auth, connections
from joyvl_server.api.http.connections import ConnectionPhase, raise_descriptor_limit
from joyvl_server.api.http.server import ApiServer, bind
from joyvl_server.api.listening import listener
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.settings import ServerSettings

SHORT_S = 0.3
ASK = b"GET /v1/cameras HTTP/1.1\r\nHost: 127.0.0.1\r\n"
AUTHORISED = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
LIMIT_S = 10.0


class Client:
    """One connection, as raw as it gets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def status(self) -> int:
        """Of the next answer; 0 when the connection is gone instead."""
        try:
            head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), LIMIT_S)
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        lines = head.decode().lower().split("\r\n")
        length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length")), 0)
        await asyncio.wait_for(self._reader.readexactly(length), LIMIT_S)
        return int(head.split()[1])

    async def ask(self, more: bytes = b"") -> int:
        self.send(ASK + more + b"\r\n")
        return await self.status()

    async def gone(self, within_s: float = LIMIT_S) -> bool:
        """Has the server closed it, or does so in this time?"""
        try:
            async with asyncio.timeout(within_s):
                while await self._reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def close(self) -> None:
        self._writer.close()


class Site:
    """A server on a real port. `come` gives one more connection to it."""

    def __init__(self, server: ApiServer, running: asyncio.Task[None], port: int, session: str) -> None:
        self._server, self._running = server, running
        self.port = port
        self.updates = f"/v1/sessions/{session}/updates"
        self._clients: list[Client] = []

    async def come(self, source: str = "127.0.0.1") -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0)))
        self._clients.append(client)
        return client

    async def stream(self, source: str = "127.0.0.1", more: bytes = b"") -> Client:
        """A connection on which the server answers without end."""
        client = await self.come(source)
        client.send(f"GET {self.updates} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode() + more + b"\r\n")
        assert await client.status() == 200
        return client

    async def stop(self) -> None:
        """As a signal does. Clients stay where they are."""
        self._server.should_exit = True
        await asyncio.wait_for(asyncio.shield(self._running), LIMIT_S)

    def close(self) -> None:
        for client in self._clients:
            client.close()


@asynccontextmanager
async def site(folder: Path, probe: object = None, **server: object) -> AsyncIterator[Site]:
    settings = {"port": 0, "shutdown_timeout_s": 1.0, **server}
    async with house(folder, server=settings) as opened:
        view = await opened.registry.cameras.add(CameraDraft("door", URL))
        if probe is not None:
            opened.registry.cameras.probe = probe  # type: ignore[method-assign]
        sockets = bind(ServerSettings(port=0))
        started = asyncio.Event()
        running = ApiServer(opened.app, opened.app.state.api, started.set)
        task = asyncio.create_task(running.serve(sockets))
        await asyncio.wait_for(started.wait(), LIMIT_S)
        here = Site(running, task, sockets[0].getsockname()[1], view.record.session_id or "")
        try:
            yield here
        finally:
            here.close()
            await here.stop()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        connections,
        "TIMEOUTS_S",
        dict.fromkeys((ConnectionPhase.HEAD, ConnectionPhase.BODY, ConnectionPhase.IDLE), SHORT_S),
    )


# ---------------------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize("sent", [b"", b"GET", ASK, ASK + AUTHORISED, b"\x16\x03\x01"])
async def test_who_never_sends_a_whole_request_is_closed(tmp_path, short, sent: bytes):
    async with site(tmp_path) as here:
        client = await here.come()
        client.send(sent)
        assert await client.gone()


async def test_sending_byte_by_byte_gives_no_more_time(tmp_path, short):
    async with site(tmp_path) as here:
        client = await here.come()
        gone = asyncio.create_task(client.gone())
        while not gone.done():
            client.send(b"G")
            await asyncio.sleep(SHORT_S / 5)
        assert gone.result()


async def test_an_idle_connection_is_closed_and_one_in_use_is_not(tmp_path, monkeypatch):
    # Longer than a busy machine stands still between two requests: server and client share a loop.
    monkeypatch.setitem(connections.TIMEOUTS_S, ConnectionPhase.IDLE, 2.5)
    async with site(tmp_path) as here:
        idle, used = await here.come(), await here.come()
        assert await idle.ask() == 200
        waiting = asyncio.create_task(idle.gone())
        while not waiting.done():
            assert await used.ask() == 200
        assert waiting.result()
        assert await used.ask() == 200


async def test_a_body_that_never_ends_is_no_way_to_stay(tmp_path, short):
    """The key is refused before the body is read; the rest of the body must not keep the connection for ever."""
    async with site(tmp_path, api_keys=[KEY]) as here:
        client = await here.come()
        client.send(b"POST /v1/cameras HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
        client.send(b"Content-Length: 100000\r\n\r\n")
        assert await client.status() == 401
        gone = asyncio.create_task(client.gone())
        while not gone.done():
            client.send(b"x")
            await asyncio.sleep(SHORT_S / 5)
        assert gone.result()


async def test_streams_stay_as_long_as_they_like(tmp_path, short):
    async with site(tmp_path) as here:
        stream = await here.stream()
        async with connect(f"ws://127.0.0.1:{here.port}{here.updates}") as ws:
            assert json.loads(await ws.recv())["type"] == "session.created"
            assert not await stream.gone(SHORT_S * 3)
            await asyncio.wait_for(await ws.ping(), LIMIT_S)


# ------------------------------------------------------------------------------------------------------------- places


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n"])
async def test_when_all_places_are_taken_the_longest_waiting_one_goes(tmp_path, sent: bytes):
    async with site(tmp_path, max_connections=8) as here:
        waiting = []
        for _ in range(30):
            waiting.append(await here.come())
            waiting[-1].send(sent)
        client = await here.come()
        assert await client.ask() == 200
        assert await waiting[0].gone(1.0)
        assert not await waiting[-1].gone(0.1) or sent.startswith(b"POST")


async def test_who_has_a_key_is_not_closed_for_those_who_have_none(tmp_path):
    async with site(tmp_path, max_connections=8, api_keys=[KEY]) as here:
        friend = await here.come()
        assert await friend.ask(AUTHORISED) == 200
        for _ in range(30):
            stranger = await here.come()
            assert await stranger.ask() == 401
        assert await friend.ask(AUTHORISED) == 200


async def test_what_is_being_answered_is_never_taken_away(tmp_path):
    async with site(tmp_path, max_connections=8) as here:
        streams = [await here.stream() for _ in range(6)]  # three quarters of the places
        seventh = await here.come()
        assert await seventh.ask() == 503
        assert await (await here.come("127.0.0.2")).ask() == 200  # the rest is for others
        for stream in streams:
            assert not await stream.gone(0.05)
        streams[0].close()
        await asyncio.sleep(0.2)
        assert await (await here.come()).ask() == 200


async def test_a_trusted_proxy_may_hold_every_place(tmp_path):
    async with site(tmp_path, max_connections=8, trusted_proxies=["127.0.0.0/8"], auth="off") as here:
        for _ in range(7):
            await here.stream()
        assert await (await here.come()).ask() == 200


async def test_a_websocket_holds_its_place_until_it_ends(tmp_path):
    async with site(tmp_path, max_connections=8) as here:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(6):
                await stack.enter_async_context(connect(f"ws://127.0.0.1:{here.port}{here.updates}"))
            assert await (await here.come()).ask() == 503
        await asyncio.sleep(0.2)
        for _ in range(3):
            assert await (await here.stream()).gone(0.05) is False


async def test_the_limit_is_told_once_when_it_begins_and_once_when_it_ends(tmp_path):
    async with site(tmp_path, max_connections=8) as here:
        with structlog.testing.capture_logs() as logs:
            clients = [await here.come() for _ in range(40)]
            assert await (await here.come()).ask() == 200
            for client in clients:
                client.close()
            here.close()
            await asyncio.sleep(0.3)
        told = [entry["event"] for entry in logs if "limit" in entry]
        assert len(told) == 2, told
        assert "at their limit" in told[0]
        assert "below their limit" in told[1]


async def test_without_descriptors_it_waits_and_says_so_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(listener, "ACCEPT_PAUSE_S", 0.05)
    async with site(tmp_path) as here:
        accepting = socket.socket.accept
        tries = 0

        def full(listening: socket.socket):
            nonlocal tries
            tries += 1
            raise OSError(errno.EMFILE, "Too many open files")

        with structlog.testing.capture_logs() as logs, caplog.at_level(logging.WARNING):
            monkeypatch.setattr(socket.socket, "accept", full)
            client = await here.come()
            await asyncio.sleep(0.5)
            monkeypatch.setattr(socket.socket, "accept", accepting)
            assert await client.ask() == 200
        assert 2 <= tries <= 15  # with a pause in between
        told = [entry["event"] for entry in logs if "accepted" in entry["event"]]
        assert told == ["connections cannot be accepted", "connections are accepted again"]
        assert caplog.records == []


@pytest.fixture
def descriptor_limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_descriptor_limit_is_raised_as_far_as_it_goes(descriptor_limit):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    expected = min(hard, connections.MAX_DESCRIPTORS) if hard != resource.RLIM_INFINITY else connections.MAX_DESCRIPTORS
    assert raise_descriptor_limit() == expected
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == expected
    assert raise_descriptor_limit() == expected


async def test_requests_that_the_end_cuts_off_are_one_line(tmp_path, caplog):
    async def for_ever(url: str) -> None:
        await asyncio.sleep(600)

    async with site(tmp_path, probe=for_ever) as here:
        with caplog.at_level(logging.WARNING):
            for _ in range(20):
                client = await here.come()
                body = b'{"url": "rtsp://127.0.0.1/x"}'
                client.send(
                    b"POST /v1/cameras/probe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                    + b"Content-Length: %d\r\n\r\n" % len(body)
                    + body
                )
            await asyncio.sleep(0.2)
            await here.stop()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1, lines
    assert "20 running task" in lines[0]
    assert caplog.text.count("Traceback") == 0


# -------------------------------------------------------------------------------------------------------- who is asking


async def guesses(here: Site, forwarded: str) -> int:
    client = await here.come()
    return await client.ask(f"Authorization: Bearer wrong\r\nX-Forwarded-For: {forwarded}\r\n".encode())


async def test_a_forwarded_address_is_believed_from_trusted_proxies_only(tmp_path):
    async with site(tmp_path, api_keys=[KEY]) as here:
        for n in range(auth.MAX_FAILURES):
            assert await guesses(here, f"10.0.0.{n}") == 401
        assert await guesses(here, "10.0.1.1") == 429
        assert await (await here.come()).ask(AUTHORISED) == 200
    async with site(tmp_path / "proxied", api_keys=[KEY], trusted_proxies=["127.0.0.1"]) as here:
        for _ in range(auth.MAX_FAILURES):
            assert await guesses(here, "10.0.0.1") == 401
        assert await guesses(here, "10.0.0.1") == 429
        assert await guesses(here, "10.0.0.2") == 401
        assert await guesses(here, "10.0.0.2, 10.0.0.1") == 429  # the proxy's own word is the last one


# ------------------------------------------------------------------------------------------------------ a real server


@pytest.mark.processes
@pytest.mark.slow
def test_600_idle_connections_at_a_hard_limit_of_256_descriptors(tmp_path):
    with ServerProcess(tmp_path, descriptors=256) as server:
        host, port = server.url.removeprefix("http://").split(":")
        holds = (
            "import socket,sys,time\n"
            "held = []\n"
            "for n in range(600):\n"
            "    held.append(socket.create_connection((sys.argv[1], int(sys.argv[2])), 10))\n"
            "    held[-1].sendall(b'GET / HT' if n % 2 else b'')\n"
            "print('held', flush=True)\n"
            "time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", holds, host, port], stdout=subprocess.PIPE, text=True) as attacker:
            try:
                assert attacker.stdout is not None
                assert attacker.stdout.readline() == "held\n"
                before = sum(map(len, server.log))
                for _ in range(20):
                    server.call("GET", "/v1/cameras")
                assert sum(map(len, server.log)) - before < 1000
                assert sum("limit" in line for line in server.log) == 1
                assert "Traceback" not in "".join(server.log)
            finally:
                attacker.kill()
        assert server.stop() == 0
