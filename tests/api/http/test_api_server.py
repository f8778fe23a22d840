"""Binding the address: what it says when it cannot be had."""

from __future__ import annotations

import asyncio
import socket

import pytest

from fakes.patience import PATIENCE_S
from joyvl_server.api.http.server import STUCK_MS, bind, url_of
from joyvl_server.app import serve
from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.settings import ServerSettings, Settings


def bound(**settings: object) -> list[socket.socket]:
    return bind(ServerSettings(**settings))


def test_port_0_gives_one_socket_and_its_real_port():
    (sock,) = bound(host="localhost", port=0)
    with sock:
        port = sock.getsockname()[1]
        assert port > 0
        assert url_of([sock]).endswith(f":{port}")
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == STUCK_MS


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux only")
def test_accepted_connections_inherit_the_timeout():
    (sock,) = bound(port=0)
    with sock, socket.create_connection(sock.getsockname()) as client:
        accepted, _ = sock.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == STUCK_MS
        assert client


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0"])
async def test_small_answers_are_sent_at_once(host):
    """asyncio turns Nagle's algorithm off only where the listening socket names its protocol: else 40 ms an answer."""
    accepted: asyncio.Queue[int] = asyncio.Queue()

    class Reader(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            sock = transport.get_extra_info("socket")
            accepted.put_nowait(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    for sock in bound(host=host, port=0):
        server = await asyncio.get_running_loop().create_server(Reader, sock=sock)
        async with server:
            _, writer = await asyncio.open_connection(*sock.getsockname()[:2])
            assert await asyncio.wait_for(accepted.get(), PATIENCE_S) != 0
            writer.close()


def test_an_ipv6_address_stands_in_brackets():
    class Six:
        def getsockname(self) -> tuple:
            return ("::1", 8099, 0, 0)

    assert url_of([Six()]) == "http://[::1]:8099"  # type: ignore[list-item]


def test_a_port_in_use_and_a_host_that_is_not_ours_are_sentences():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(JoyvlError, match=f"Cannot listen on 127.0.0.1 port {port}: .*server.port") as caught:
            bound(port=port)
        assert f"joyvl doctor port --host 127.0.0.1 --port {port} names it" in str(caught.value)
    # Whoever starts it again, like systemd, may try again.
    assert not isinstance(caught.value, ConfigError)
    with pytest.raises(ConfigError, match=r"server\.host: no\.such\.host\.invalid is not an address"):
        bound(host="no.such.host.invalid")
    with pytest.raises(ConfigError, match=r"Cannot listen on 203\.0\.113\.1 .* not an address of this machine"):
        bound(host="203.0.113.1", port=0)


def test_beyond_loopback_without_asking_for_keys_it_refuses_to_start(tmp_path):
    async def never(settings: Settings) -> None:
        raise AssertionError("it must not come to that")

    settings = Settings(data_dir=tmp_path, server={"host": "0.0.0.0", "port": 0, "auth": "off"})
    with pytest.raises(ConfigError, match="beyond loopback the server asks for keys"):
        serve(settings, open_registry=never)
