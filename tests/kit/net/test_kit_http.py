import asyncio

import httpx2
import pytest

from joyvl_server import __version__
from joyvl_server.kit.net.http import client


async def serve(answer, seen):
    async def handle(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_environment_has_no_say(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login bob password geheim\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    seen = []
    server, url = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", seen)
    async with server, client(headers={"x-test": "1"}) as http:
        assert (await http.get(url)).text == "ok"
    request = seen[0].lower()
    assert f"user-agent: joyvl-server/{__version__}".encode() in request
    assert b"x-test: 1" in request
    assert b"authorization" not in request


async def test_no_redirect_is_followed():
    seen = []
    reply = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    server, url = await serve(reply, seen)
    async with server, client() as http:
        assert (await http.get(url)).status_code == 302
    assert len(seen) == 1


async def test_a_server_that_says_nothing_is_given_up():
    server, url = await serve(None, [])
    async with server, client(timeout_s=0.5) as http:
        with pytest.raises(httpx2.TimeoutException):  # of connecting, where the machine is full
            await http.get(url)


async def test_connections_are_bounded():
    server, url = await serve(None, [])
    async with server, client(timeout_s=1.0, max_connections=1) as http:
        outcomes = await asyncio.gather(http.get(url), http.get(url), return_exceptions=True)
    assert {type(o) for o in outcomes} == {httpx2.ReadTimeout, httpx2.PoolTimeout}


async def test_base_url_and_transport():
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, text=str(request.url)))
    async with client(base_url="http://engine.lan/v1/", transport=transport) as http:
        assert (await http.get("models")).text == "http://engine.lan/v1/models"
