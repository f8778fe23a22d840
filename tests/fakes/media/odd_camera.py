"""RTSP servers that no camera maker would own up to, in a thread: what they answer and send is up to the test.

with OddCamera(after_play=lambda send: send(garbage)) as camera: open(camera.url)
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from fakes.patience import PATIENCE_S

H264 = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:trackID=1\r\n"
UNKNOWN = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 X-FANCY/90000\r\na=control:trackID=1\r\n"
Send = Callable[[bytes], None]


class OddCamera:
    """`answer(request) -> bytes | None` overrides every reply (None: silence). `requests` is what it was asked."""

    def __init__(
        self,
        sdp: str = H264,
        after_play: Callable[[Send], None] | None = None,
        answer: Callable[[bytes], bytes | None] | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._host = host
        self._sdp = sdp
        self._after_play = after_play
        self._answer = answer
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((host, port))
        self._listener.listen(8)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"rtsp://{self._host}:{self.port}/odd"

    def __enter__(self) -> OddCamera:
        self._go(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        for end in (self._listener, *self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def send(self, data: bytes) -> None:
        """To the newest connection, as a segment of its own."""
        self._open[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open[-1].sendall(data)

    def _go(self, what: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=what, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                self._go(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while request := connection.recv(4096):
                self.requests.append(request)
                reply = self._answer(request) if self._answer else self.reply(request)
                if reply is not None:
                    connection.sendall(reply)
                if request.startswith(b"PLAY") and self._after_play:
                    self._after_play(connection.sendall)

    def reply(self, request: bytes) -> bytes:
        """What a usual camera answers."""
        lines = request.split(b"\r\n")
        number = next((line for line in lines if line.lower().startswith(b"cseq")), b"CSeq: 1").decode()
        head, body = f"RTSP/1.0 200 OK\r\n{number}\r\n", ""
        if request.startswith(b"DESCRIBE"):
            body = f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=odd\r\nt=0 0\r\na=control:*\r\n{self._sdp}"
            head += f"Content-Type: application/sdp\r\nContent-Base: {self.url}/\r\n"
        elif request.startswith(b"SETUP"):
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        elif request.startswith(b"PLAY"):
            head += "Session: 1\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def rtp(number: int, payload: bytes, *, stamp: int | None = None) -> bytes:
    """One RTP packet, interleaved on channel 0."""
    stamp = number * 3600 if stamp is None else stamp
    packet = b"\x80\xe0" + number.to_bytes(2, "big") + stamp.to_bytes(4, "big") + b"\0\0\0\1" + payload
    return b"$\0" + len(packet).to_bytes(2, "big") + packet
