"""https over real sockets: what works, who speaks http instead, who never finishes the greeting."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import warnings

import httpx2
import pytest
import structlog
from websockets.asyncio.client import connect

from fakes.patience import PATIENCE_S
from fakes.server.https_site import HttpsSite, https_site
from joyvl_server.api.http import connections
from joyvl_server.api.http.connections import ConnectionPhase
from joyvl_server.kit.tls.self_signed import SelfSigned

SHORT_S = 0.3
HELLO = bytes.fromhex("1603010200010001fc0303")
"""The beginning of a greeting."""


async def gone(reader: asyncio.StreamReader) -> bool:
    """Waits until the server has closed the connection."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await reader.read(65_536):
                pass
    except ConnectionError:
        pass
    return True


def client(here: HttpsSite, **more: object) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=here.url, verify=here.trust(), timeout=PATIENCE_S, trust_env=False, **more)


async def test_pages_api_streams_and_websockets_go_over_https(tmp_path):
    async with https_site(tmp_path) as here, client(here) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        page = await http.get("/")
        assert page.status_code == 200
        assert "strict-transport-security" not in page.headers  # it is self-signed
        assert (await http.get("/v1/cameras", headers={"Origin": here.url})).status_code == 200
        foreign = {"Origin": here.url.replace("https", "http")}
        assert (await http.get("/v1/cameras", headers=foreign)).status_code == 403
        updates = f"/v1/sessions/{here.session}/updates"
        async with http.stream("GET", updates) as stream:
            assert stream.status_code == 200
            assert (await anext(stream.aiter_lines())).startswith("retry:")
        async with connect(f"wss://127.0.0.1:{here.port}{updates}", ssl=here.trust()) as ws:
            assert json.loads(await ws.recv())["type"] == "session.created"
            await asyncio.wait_for(await ws.ping(), PATIENCE_S)


async def test_links_begin_with_https(tmp_path):
    async with https_site(tmp_path) as here, client(here) as http:
        path = f"/v1/sessions/{here.session}/snapshot.jpg"
        made = await http.post("/v1/signed_urls", json={"path": path})
        assert made.json()["url"].startswith(f"{here.url}/v1/sessions/")


async def test_no_old_tls_and_nothing_unchecked(tmp_path):
    async with https_site(tmp_path) as here:
        old = here.trust()
        with warnings.catch_warnings(action="ignore"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", here.port, ssl=old)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", here.port, ssl=ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await asyncio.open_connection("127.0.0.1", here.port, ssl=here.trust(), server_hostname="evil.example")


# ------------------------------------------------------------------------------------------------------ who speaks http


async def test_a_browser_that_speaks_http_is_sent_on_a_program_is_told(tmp_path):
    async with https_site(tmp_path) as here:
        plain = here.url.replace("https", "http")
        async with httpx2.AsyncClient(base_url=plain, timeout=PATIENCE_S, trust_env=False) as http:
            page = await http.get("/x%20y?z=1", headers={"Accept": "text/html,*/*"})
            assert (page.status_code, page.headers["location"]) == (307, f"{here.url}/x%20y?z=1")
            for answer in (
                await http.get("/healthz"),
                await http.post("/v1/cameras", json={"name": "x", "url": "rtsp://x"}, headers={"Accept": "text/html"}),
                await http.get(f"/v1/sessions/{here.session}/updates", headers={"Upgrade": "websocket"}),
            ):
                assert answer.status_code == 400
                assert answer.json()["code"] == "https_only"
                assert here.url in answer.json()["detail"]
            foreign = await http.get("/", headers={"Host": "evil.example", "Accept": "text/html"})
            assert foreign.status_code == 400
            assert "evil" not in foreign.text
        async with client(here) as http:
            assert len((await http.get("/v1/cameras")).json()["data"]) == 1  # nothing was carried out


async def test_garbage_is_answered_and_closed(tmp_path):
    async with https_site(tmp_path) as here:
        reader, writer = await here.raw()
        writer.write(b"\x00\x01garbage\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), PATIENCE_S)).startswith(b"HTTP/1.1 400")
        assert await gone(reader)
        writer.close()


# ------------------------------------------------------------------------------------------------ greetings without end


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.TIMEOUTS_S, ConnectionPhase.HANDSHAKE, SHORT_S)


@pytest.mark.parametrize("sent", [b"", HELLO, HELLO[:1]])
async def test_a_greeting_that_never_ends_is_cut_off(tmp_path, short, sent):
    async with https_site(tmp_path) as here:
        reader, writer = await here.raw()
        writer.write(sent)
        assert await gone(reader)
        writer.close()


async def test_byte_by_byte_gives_no_more_time(tmp_path, short):
    async with https_site(tmp_path) as here:
        reader, writer = await here.raw()
        ended = asyncio.create_task(gone(reader))
        for byte in HELLO * 100:
            if ended.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(SHORT_S / 5)
        assert await ended
        writer.close()


@pytest.mark.parametrize("sent", [b"", HELLO])
async def test_greetings_without_end_keep_nobody_out(tmp_path, sent):
    """More of them than there are places; the time of a greeting (10 s) plays no part."""
    async with https_site(tmp_path, max_connections=8) as here, client(here) as http:
        held = [await here.raw() for _ in range(30)]
        for _, writer in held:
            writer.write(sent)
        for _ in range(3):
            assert (await http.get("/healthz")).status_code == 200
        assert await gone(held[0][0])
        for _, writer in held:
            writer.close()


async def test_a_greeting_that_goes_wrong_leaves_nothing_behind(tmp_path, caplog):
    async with https_site(tmp_path) as here, client(here) as http:
        with structlog.testing.capture_logs() as logs:
            for sent in (HELLO, HELLO + b"\xff" * 600, b"\x16\x03\x01\x00\x02hi"):
                for _ in range(5):
                    _, writer = await here.raw()
                    writer.write(sent)
                    await writer.drain()
                    writer.close()
            with pytest.raises(ssl.SSLError):
                await asyncio.open_connection("127.0.0.1", here.port, ssl=ssl.create_default_context())
            assert (await http.get("/healthz")).status_code == 200
            async with asyncio.timeout(PATIENCE_S):
                while len(here.server._connections) > 1:
                    await asyncio.sleep(0.02)
        assert logs == []
        assert caplog.records == []


async def test_a_stop_does_not_wait_for_greetings_nor_for_clients_that_do_not_say_goodbye(tmp_path):
    async with https_site(tmp_path) as here:
        _, silent = await here.raw()
        _, half = await here.raw()
        half.write(HELLO)
        _, idle = await here.secure()
        idle.transport.pause_reading()
        await asyncio.wait_for(here.stop(), PATIENCE_S)
        for writer in (silent, half, idle):
            writer.transport.abort()


async def test_who_does_not_say_goodbye_keeps_nobody_out(tmp_path):
    async with https_site(tmp_path, max_connections=8) as here, client(here) as http:
        closing = []
        for _ in range(12):
            _, writer = await here.secure()
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            await writer.drain()
            writer.transport.pause_reading()
            closing.append(writer)
        assert (await http.get("/healthz")).status_code == 200
        for writer in closing:
            writer.transport.abort()


# ---------------------------------------------------------------------------------------------------- a new certificate


async def test_a_new_certificate_is_for_the_next_connection_and_open_ones_go_on(tmp_path):
    async with https_site(tmp_path) as here:
        updates = f"wss://127.0.0.1:{here.port}/v1/sessions/{here.session}/updates"
        async with connect(updates, ssl=here.trust()) as ws:
            await ws.recv()
            before = here.certificate.facts
            own = here.certificate.own
            assert isinstance(own, SelfSigned)
            own.ensure(["nas.example"], time.time())
            assert here.certificate.refresh(time.time())
            assert here.certificate.facts.fingerprint != before.fingerprint
            await asyncio.wait_for(await ws.ping(), PATIENCE_S)
            _, writer = await here.secure()
            shown = writer.get_extra_info("peercert")
            assert ("DNS", "nas.example") in shown["subjectAltName"]
            writer.close()
