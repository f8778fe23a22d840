"""Reading bodies: whole, bounded, and over in time."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from starlette.datastructures import Headers

from joyvl_server.api.http import bodies
from joyvl_server.api.http.bodies import BodyRefused, ClientGone, check_type, has_body, read

GONE = {"type": "http.disconnect"}


class Line:
    """What the client sends; after that it says nothing, or hangs up."""

    def __init__(self, *chunks: bytes, ends: bool = True, leaves: bool = False) -> None:
        last = len(chunks) - 1
        self.messages = deque(
            {"type": "http.request", "body": chunk, "more_body": n < last or not ends} for n, chunk in enumerate(chunks)
        )
        self.leaves = leaves

    async def __call__(self) -> dict:
        if self.messages:
            return self.messages.popleft()
        if self.leaves:
            return GONE
        await asyncio.Event().wait()
        raise AssertionError


def declared(length: object, **more: str) -> Headers:
    return Headers({"content-length": str(length), **more})


CHUNKED = Headers({"transfer-encoding": "chunked"})


@pytest.mark.parametrize("headers", [declared(6), CHUNKED])
async def test_a_body_is_given_whole_once_then_the_line_speaks(headers: Headers):
    line = Line(b"abc", b"def", leaves=True)
    receive = await read(headers, line, "/v1/x", 6, known=True)
    assert await receive() == {"type": "http.request", "body": b"abcdef", "more_body": False}
    assert await receive() == GONE


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        (declared(7), Line(b"abcdefg")),
        (declared(7), Line(b"abc", b"defg")),
        (CHUNKED, Line(b"abcdefg")),
        (CHUNKED, Line(b"abc", b"defg", b"hij")),
        (declared(3), Line(b"abcdefg")),  # the declaration was a lie
    ],
)
async def test_one_byte_too_many_is_read_off_and_refused(headers: Headers, line: Line):
    with pytest.raises(BodyRefused) as refused:
        await read(headers, line, "/v1/x", 6, known=True)
    assert (refused.value.status, refused.value.code) == (413, "body_too_large")
    assert "6 bytes" in refused.value.detail
    assert not line.messages


async def test_who_asks_first_is_told_at_once():
    line = Line(b"abcdefg")
    with pytest.raises(BodyRefused):
        await read(declared(7, expect="100-continue"), line, "/v1/x", 6, known=True)
    assert len(line.messages) == 1


async def test_what_never_ends_is_not_read_off_for_ever(monkeypatch):
    monkeypatch.setattr(bodies, "DRAIN_TIMEOUT_S", 0.01)
    with pytest.raises(BodyRefused):
        await read(declared(100), Line(b"abcdefg", ends=False), "/v1/x", 6, known=True)
    monkeypatch.setattr(bodies, "DRAIN_BYTES", 4)
    line = Line(b"abcdefg", b"abc", b"abc", ends=False)
    with pytest.raises(BodyRefused):
        await read(declared(100), line, "/v1/x", 6, known=True)
    assert len(line.messages) == 2


async def test_a_body_that_does_not_come_is_given_up(monkeypatch):
    monkeypatch.setattr(bodies, "READ_TIMEOUT_S", 0.01)
    with pytest.raises(BodyRefused) as refused:
        await read(declared(6), Line(b"abc", ends=False), "/v1/x", 6, known=True)
    assert (refused.value.status, refused.value.code) == (408, "body_timeout")


@pytest.mark.parametrize("headers", [declared(6), declared(100), CHUNKED])
async def test_a_client_that_hangs_up_is_noticed(headers: Headers):
    with pytest.raises(ClientGone):
        await read(headers, Line(b"abc", ends=False, leaves=True), "/v1/x", 6, known=True)


@pytest.mark.parametrize("length", ["x", "-1", "1.0", "²"])
async def test_a_length_that_is_none(length: str):
    with pytest.raises(BodyRefused) as refused:
        await read(Headers(raw=[(b"content-length", length.encode("latin-1"))]), Line(b""), "/v1/x", 6, known=True)
    assert refused.value.status == 400


def test_which_requests_have_a_body():
    assert has_body(declared(1))
    assert has_body(CHUNKED)
    assert not has_body(declared(0))
    assert not has_body(Headers({}))


@pytest.mark.parametrize(
    ("path", "kind", "fine"),
    [
        ("/v1/cameras", "application/json", True),
        ("/v1/cameras", "Application/JSON; charset=utf-8", True),
        ("/v1/cameras", "application/sdp", False),
        ("/v1/cameras", "application/json-seq", False),
        ("/v1/realtime/calls", "application/sdp", True),
        ("/v1/realtime/calls", "multipart/form-data; boundary=x", True),
        ("/v1/realtime/calls/", "application/sdp", False),
        ("/v1/realtime/calls", "text/plain", False),
    ],
)
def test_kinds_of_bodies(path: str, kind: str, fine: bool):
    if fine:
        check_type(path, Headers({"content-type": kind}))
    else:
        with pytest.raises(BodyRefused) as refused:
            check_type(path, Headers({"content-type": kind}))
        assert refused.value.status == 415
