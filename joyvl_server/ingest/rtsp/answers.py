"""A camera's side of an RTSP connection, read and written in one plain form.

A hostile camera may answer so that two readers understand two things. libav reads only what we wrote.
"""

from __future__ import annotations

import re

MAX_HEAD = 65_536
MAX_BODY = 1_048_576
PACKET_HEAD = 4
"""`$`, channel, two bytes of length"""
MAX_LINE = 2000
"""libav reads at most 4095 bytes of a line."""

_HEAD_END = re.compile(rb"\n\r*\n")
_STATUS = re.compile(r"RTSP/\d\.\d +(\d{3})(?: +(.*))?")
_REQUEST = re.compile(r"([A-Z_]{1,32}) +(\S+) +RTSP/\d\.\d")
_HEADER = re.compile(r"([A-Za-z0-9-]+)[ \t]*:[ \t]*(.*)")
_JUNK = re.compile(rb"[^\n$]*\n?")


class Redirected(Exception):
    """The camera answered with another address; empty where it named none. As it came: not checked, not masked."""

    def __init__(self, location: str) -> None:
        super().__init__("the camera redirects")
        self.location = location


class NotRtsp(Exception):
    """What came is no RTSP, or more than an answer may hold."""


class RtspAnswers:
    """A server's side of an RTSP connection: `feed` takes its bytes and returns what may be passed on.

    `whole`: nothing is held back. Raises `Redirected` and `NotRtsp`; it is of no use after that.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begun = False

    @property
    def whole(self) -> bool:
        return not self._buffer

    @property
    def missing(self) -> int | None:
        """Bytes until the packet that has begun is whole; None where that is not known."""
        buffer = self._buffer
        if buffer[:1] != b"$":
            return None
        return PACKET_HEAD - len(buffer) if len(buffer) < PACKET_HEAD else packet_size(buffer) - len(buffer)

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        pieces = []
        while (piece := self._next()) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    def _next(self) -> bytes | None:
        """The next packet or message; empty for something that was dropped; None while more has to come."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[:1] == b"$":
            size = packet_size(buffer) if len(buffer) >= PACKET_HEAD else MAX_HEAD
            return self._take(size) if len(buffer) >= size else None
        line_end = buffer.find(b"\n")
        first = _first_line(bytes(buffer[:line_end])) if line_end >= 0 else None
        if first is None:
            # What may still become a first line is waited for; behind a broken packet no line ending may ever come.
            waits = line_end < 0 and buffer[:1].isalpha() and len(buffer) <= MAX_HEAD
            return None if waits else self._drop()
        end = _HEAD_END.search(buffer)
        if end is None:
            if len(buffer) > MAX_HEAD:
                raise NotRtsp
            return None
        headers = _headers(bytes(buffer[line_end + 1 : end.start()]))
        length = _content_length(headers)
        if len(buffer) < end.end() + length:
            return None
        self._begun = True
        del buffer[: end.end()]
        return _written(first, headers, self._take(length))

    def _drop(self) -> bytes:
        """What belongs to no message: an empty line, the end of a body longer than it said, a broken packet."""
        junk = _JUNK.match(self._buffer)
        assert junk is not None
        if not self._begun and junk.group().strip():
            raise NotRtsp
        del self._buffer[: junk.end()]
        return b""

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def packet_size(head: bytes | bytearray) -> int:
    """Of an interleaved packet, its head included."""
    return PACKET_HEAD + int.from_bytes(head[2:PACKET_HEAD], "big")


def _first_line(line: bytes) -> str | None:
    """The first line of a message in plain form; None where it is none. Answers and requests of servers both exist."""
    text = line.decode("latin-1").replace("\r", "").strip(" \t")
    if found := _STATUS.fullmatch(text):
        return f"RTSP/1.0 {found[1]} {_plain(found[2] or '')}"
    if found := _REQUEST.fullmatch(text):
        return f"{found[1]} {_plain(found[2])} RTSP/1.0"
    return None


def _headers(lines: bytes) -> list[tuple[str, str]]:
    found = map(_HEADER.fullmatch, lines.decode("latin-1").replace("\r", "").split("\n"))
    return [(header[1], _plain(header[2])) for header in found if header is not None]


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:MAX_LINE]


def _content_length(headers: list[tuple[str, str]]) -> int:
    lengths = {value for name, value in headers if name.lower() == "content-length"}
    if not lengths:
        return 0
    (text,) = lengths if len(lengths) == 1 else ("",)
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) > MAX_BODY:
        raise NotRtsp
    return int(text)


def _written(first: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    if first.startswith("RTSP/1.0 3"):
        raise Redirected(next((value for name, value in headers if name.lower() == "location"), ""))
    kept = [f"{name}: {value}" for name, value in headers if name.lower() not in ("location", "content-length")]
    if body:
        kept.append(f"Content-Length: {len(body)}")
    return "\r\n".join([first, *kept, "", ""]).encode("latin-1", "replace") + body
