"""The door: Host, Origin, keys, sizes, content types, headers; over the real app."""

from __future__ import annotations

import pytest

from fakes.media.wire import Wire
from fakes.server.house import KEY, URL, House, house
from joyvl_server.api.http import auth
from joyvl_server.api.http.guard import SECURITY_HEADERS

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def locked(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY, "another-key"]}) as opened:
        yield opened


async def get(h: House, path: str = "/v1/cameras", **headers: str) -> int:
    return (await h.client.get(path, headers=headers)).status_code


# --------------------------------------------------------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8099", "localhost:8099", "LOCALHOST", "localhost.:1", "[::1]:8099", "127.0.0.1"]
)
async def test_loopback_names_are_answered_to(h: House, host: str):
    assert await get(h, host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8099",
        "127.0.0.1.evil.example",
        "192.168.1.5:8099",
        "169.254.169.254",
        "localhost.evil",
    ],
)
async def test_a_forged_host_is_refused_everywhere(h: House, host: str):
    for path in ("/", "/healthz", "/v1/cameras", "/assets/main.js", "/nope"):
        answer = await h.client.get(path, headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")
        assert host not in answer.text


@pytest.mark.parametrize("host", ["", "a b", "user@localhost", "localhost:x", "localhost:99999", "localhost/", "[::1"])
async def test_a_host_that_is_none_is_a_bad_request(h: House, host: str):
    wire = Wire(h.app, "/v1/cameras")
    wire.scope["headers"] = [(b"host", host.encode())]
    assert (await wire.open())["status"] == 400
    assert (await wire.problem())["code"] == "bad_host"


async def test_no_host_and_two_hosts_are_bad_requests(h: House):
    for headers in ([], [(b"host", b"localhost"), (b"host", b"localhost")]):
        wire = Wire(h.app, "/v1/cameras")
        wire.scope["headers"] = headers
        assert (await wire.open())["status"] == 400


# -------------------------------------------------------------------------------------------------------------- origins


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost.evil:8099", ""]
)
async def test_a_foreign_origin_is_refused_on_every_method(h: House, method: str, origin: str):
    answer = await h.client.request(method, "/v1/cameras", json={"name": "x", "url": URL}, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert "access-control-allow-origin" not in answer.headers
    assert h.registry.cameras.all() == []


async def test_our_own_page_may_call(h: House):
    for host in ("127.0.0.1:8099", "localhost:8099"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        answer = await h.client.post("/v1/cameras", json={"name": host, "url": URL}, headers=headers)
        assert answer.status_code == 201


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_a_foreign_page_embeds_is_refused(h: House, site: str):
    assert await get(h, **{"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}) == 403
    # A link elsewhere that leads here is fine.
    assert await get(h, "/", **{"sec-fetch-site": site, "sec-fetch-mode": "navigate"}) == 200
    assert await get(h, **{"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}) == 200


async def test_an_allowed_origin_may_call_and_read(tmp_path):
    page = "https://my.page"
    async with house(tmp_path, server={"allowed_origins": [page], "api_keys": [KEY]}) as h:
        preflight = await h.client.options(
            "/v1/cameras", headers={"Origin": page, "Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code == 204
        allowed = preflight.headers["access-control-allow-headers"]
        assert "Idempotency-Key" in allowed
        for name in ("X-Streaming-Session", "X-Session-Id", "X-Frame-Time-Range", "X-System-Prompt-Key"):
            assert name in allowed  # clients of the reference's API may be pages
        assert preflight.headers["access-control-allow-origin"] == page
        answer = await h.client.post(
            "/v1/cameras", json={"name": "x", "url": URL}, headers={"Origin": page, "Authorization": f"Bearer {KEY}"}
        )
        assert answer.status_code == 201
        assert answer.headers["access-control-allow-origin"] == page
        assert "Location" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"
        refused = await h.client.options(
            "/v1/cameras", headers={"Origin": "https://my.page.evil", "Access-Control-Request-Method": "POST"}
        )
        assert refused.status_code == 403


# ----------------------------------------------------------------------------------------------------------------- keys


async def test_everything_but_health_and_the_page_asks_for_a_key(locked: House):
    for path in ("/", "/healthz", "/assets/main.js"):
        assert await get(locked, path) == 200
    for path in ("/v1/cameras", "/readyz", "/metrics", "/version", "/openapi.json", "/nope", "/healthz/x", "/asset"):
        answer = await locked.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == 'Bearer realm="joyvl"'
    for key in (KEY, "another-key"):
        assert await get(locked, authorization=f"Bearer {key}") == 200
        assert await get(locked, authorization=f"bearer {key}") == 200


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer", "Bearer ", "Basic " + KEY, KEY, f"Bearer {KEY}x", "Bearer a-key"]
)
async def test_wrong_keys_are_refused_and_not_repeated(locked: House, header: str):
    answer = await locked.client.get("/v1/cameras", headers={"Authorization": header})
    assert answer.status_code == 401
    assert "wrong" not in answer.text
    assert KEY not in answer.text


async def test_a_key_on_a_server_without_keys_changes_nothing(h: House):
    assert await get(h, authorization="Bearer whatever") == 200


async def test_an_address_that_guesses_is_slowed_down_and_then_let_go(locked: House):
    for _ in range(auth.MAX_FAILURES):
        assert await get(locked, authorization="Bearer wrong") == 401
    slowed = await locked.client.get("/v1/cameras", headers={"Authorization": "Bearer another-guess"})
    assert (slowed.status_code, slowed.json()["code"]) == (429, "too_many_failed_keys")
    assert 0 < int(slowed.headers["retry-after"]) <= auth.WINDOW_S + 1
    assert await get(locked, "/healthz") == 200
    assert await get(locked, authorization=f"Bearer {KEY}") == 200  # who shares its address is not shut out
    await locked.clock.advance(auth.WINDOW_S)
    assert await get(locked, authorization="Bearer wrong") == 401


async def test_requests_without_a_key_do_not_count_as_guesses(locked: House):
    for _ in range(auth.MAX_FAILURES * 2):
        assert await get(locked) == 401
    assert await get(locked, authorization=f"Bearer {KEY}") == 200


# --------------------------------------------------------------------------------------------------------------- bodies


async def chunks(total: int, size: int = 65_536):
    for _ in range(total // size):
        yield b"x" * size


async def test_a_body_that_is_too_large_is_refused_declared_or_streamed(h: House):
    ten_mb = 10 * 1024 * 1024
    for content in (b"x" * ten_mb, chunks(ten_mb)):
        answer = await h.client.post("/v1/cameras", content=content, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert answer.headers["connection"] == "close"


FLOODS = {
    "fields": b"{" + b",".join(b'"%x":1' % n for n in range(90_000)) + b"}",
    "fields in a list": b'{"watches":[' + b",".join(b'{"%x":1}' % n for n in range(60_000)) + b"]}",
    "spaced fields": b"{" + b",".join(b'"%x" :1' % n for n in range(80_000)) + b"}",
    "values": b'{"name":"a","watches":[' + b",".join([b"1"] * 400_000) + b"]}",
    "points": b'{"zones":[{"name":"z","points":[' + b",".join([b"[9,9]"] * 150_000) + b"]}]}",
}


@pytest.mark.parametrize("what", FLOODS)
async def test_a_body_of_countless_fields_is_refused_before_any_of_them_is_judged(h: House, what: str, monkeypatch):
    judged = []
    monkeypatch.setattr("joyvl_server.api.http.problems.field_error", lambda error: judged.append(error))
    for method, path in (("POST", "/v1/cameras"), ("PATCH", "/v1/sessions/x"), ("POST", "/v1/realtime/calls")):
        answer = await h.client.request(method, path, content=FLOODS[what], headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert judged == []


async def test_the_largest_bodies_that_we_ask_for_are_taken(h: House):
    view = (await h.client.post("/v1/cameras", json={"name": "a", "url": URL})).json()
    points = [[n / 64, 0.123456789012345] for n in range(64)]
    zones = [{"name": f"zone {n}", "points": points} for n in range(32)]
    answer = await h.client.put(f"/v1/cameras/{view['id']}/zones", json={"zones": zones})
    assert answer.status_code == 200
    odd = 'x, "a": \\" \\\\'  # commas, colons, quotes and backslashes in a text are no fields
    watches = [{"text": odd * 130 + str(n), "zones": []} for n in range(64)]
    answer = await h.client.post("/v1/cameras", json={"name": "b", "url": URL, "watches": watches})
    assert answer.status_code == 201


async def test_the_limit_is_the_settings(tmp_path):
    async with house(tmp_path, server={"max_body_bytes": 1024}) as h:
        body = b'{"name":"x","url":"rtsp://127.0.0.1/x"}'
        fits = await h.client.post("/v1/cameras", content=body + b" " * (1024 - len(body)), headers=JSON)
        assert fits.status_code == 201
        over = await h.client.post("/v1/cameras", content=body + b" " * (1025 - len(body)), headers=JSON)
        assert over.status_code == 413
        assert over.json()["detail"] == "The body is larger than 1024 bytes (setting server.max_body_bytes)."
        chat = await h.client.post("/v1/chat/completions", content=b" " * (2**23 + 1), headers=JSON)
        assert chat.status_code == 413
        assert "larger than 8388608 bytes, the limit of /v1/chat/completions" in chat.text
        assert "max_body_bytes" not in chat.text


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/sdp",
        "",
        "json",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE", "GET"])
async def test_only_json_is_read(h: House, kind: str, method: str):
    headers = {"Content-Type": kind} if kind else {}
    answer = await h.client.request(
        method, "/v1/cameras", content=b'{"name":"x","url":"rtsp://127.0.0.1/x"}', headers=headers
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert h.registry.cameras.all() == []


async def test_compressed_bodies_are_not_read(h: House):
    answer = await h.client.post("/v1/cameras", content=b"x", headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize("body", [b"{", b"nul", b"\xff\xfe", b'{"name":"x"', b"[" * 100_000, b'{"a":' * 2_000])
async def test_json_that_is_none_is_a_bad_request(h: House, body: bytes):
    answer = await h.client.post("/v1/cameras", content=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("bad_json", "bad_request")


async def test_a_client_that_hangs_up_inside_its_body_leaves_nothing(h: House):
    wire = Wire(
        h.app, "/v1/cameras", method="POST", headers={"content-type": "application/json", "content-length": "50"}
    )
    wire.say({"type": "http.request", "body": b'{"name":', "more_body": True})
    wire.leave()
    import asyncio

    wire.task = asyncio.ensure_future(h.app(wire.scope, wire._in.get, wire._send))
    await wire.done()
    assert h.registry.cameras.all() == []


# -------------------------------------------------------------------------------------------------------------- headers


async def test_every_answer_carries_the_security_headers(h: House):
    for method, path in (
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/nope"),
        ("PUT", "/v1/cameras"),
        ("GET", "/assets/main.js"),
    ):
        answer = await h.client.request(method, path)
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers[name] == value, (path, name)
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    for part in ("default-src 'self'", "frame-ancestors 'none'", "img-src 'self' blob: data:"):
        assert part in policy
    assert "unsafe" not in policy
