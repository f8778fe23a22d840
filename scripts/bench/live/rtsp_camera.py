"""A camera for `joyvl bench ingest`: draws a scene, encodes it once, and serves it over RTSP at real speed.

    python -m bench.live.rtsp_camera WIDTH HEIGHT FPS        prints its port, then serves until it is killed

Just enough of RTSP for RTP inside the TCP connection, without passwords. Every client gets the same bytes, so that
what is measured beside each other decodes the same pictures.
"""

from __future__ import annotations

import asyncio
import base64
import struct
import sys
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

SECONDS = 4
PAYLOAD = 1400
CLOCK = 90_000
BITS_PER_PIXEL = 0.08
"""About what cameras send: 2.2 Mbit/s for 720p at 30 a second."""

Unit = list[bytes]
"""The NAL units of one picture."""


def pictures(width: int, height: int, count: int) -> Iterator[np.ndarray]:
    """A textured room with noise, through which bright figures walk. Each of shape (height, width, 3)."""
    random = np.random.default_rng(1)
    texture = random.integers(60, 150, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    room = texture.repeat(8, 0).repeat(8, 1)[:height, :width]
    noise = random.integers(0, 6, (4, height, width, 1), np.uint8)
    for number in range(count):
        rgb = room + noise[number % 4]
        for figure in range(3):
            x = int((number * (2 + figure) + figure * width // 3) % (width - width // 10))
            rgb[height // 3 : height - 20 * figure, x : x + width // 12] = (200 - 40 * figure, 120, 80 + 40 * figure)
        yield rgb


def encode(width: int, height: int, fps: int) -> list[Unit]:
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base = Fraction(1, fps)
    codec.framerate = Fraction(fps)
    codec.gop_size = fps
    codec.bit_rate = int(width * height * fps * BITS_PER_PIXEL)
    codec.options = {"preset": "veryfast", "tune": "zerolatency", "x264-params": "sliced-threads=0:scenecut=0"}
    packets = []
    for number, rgb in enumerate(pictures(width, height, fps * SECONDS)):
        frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
        frame.pts = number
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [_split(bytes(packet)) for packet in packets]


def _split(picture: bytes) -> Unit:
    return [nal for nal in picture.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if nal]


def packetise(unit: Unit) -> list[bytes]:
    """RTP payloads of one picture (RFC 6184): small units whole, large ones in fragments."""
    payloads = []
    for nal in unit:
        if len(nal) <= PAYLOAD:
            payloads.append(nal)
            continue
        kind, body = nal[0], nal[1:]
        pieces = [body[at : at + PAYLOAD] for at in range(0, len(body), PAYLOAD)]
        for number, piece in enumerate(pieces):
            edge = 0x80 if number == 0 else 0x40 if number == len(pieces) - 1 else 0
            payloads.append(bytes([kind & 0xE0 | 28, edge | kind & 0x1F]) + piece)
    return payloads


class Camera:
    def __init__(self, units: list[Unit], fps: int) -> None:
        self._packets = [packetise(unit) for unit in units]
        self._fps = fps
        sets = [nal for nal in units[0] if nal[0] & 0x1F in (7, 8)]
        sprop = ",".join(base64.b64encode(nal).decode() for nal in sets)
        self._sdp = (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=bench\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n"
            f"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\n"
            f"a=framerate:{fps}\r\na=control:track\r\n"
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                while request := await reader.readuntil(b"\r\n\r\n"):
                    method, address, *_ = request.decode(errors="replace").split(" ")
                    writer.write(self._answer(method, address, request))
                    if method == "PLAY":
                        group.create_task(self._play(writer))
        except* (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.close()

    def _answer(self, method: str, address: str, request: bytes) -> bytes:
        number = next((line for line in request.split(b"\r\n") if line.lower().startswith(b"cseq")), b"CSeq: 0")
        head, body = f"RTSP/1.0 200 OK\r\n{number.decode()}\r\nSession: 1\r\n", ""
        if method == "DESCRIBE":
            head, body = f"{head}Content-Type: application/sdp\r\nContent-Base: {address}/\r\n", self._sdp
        elif method == "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        start, sequence, number = loop.time(), 0, 0
        while True:
            await asyncio.sleep(start + number / self._fps - loop.time())
            packets = self._packets[number % len(self._packets)]
            stamp = number * CLOCK // self._fps
            for index, payload in enumerate(packets):
                last = 0x80 if index == len(packets) - 1 else 0
                head = struct.pack(">BBHII", 0x80, last | 96, sequence & 0xFFFF, stamp & 0xFFFFFFFF, 1)
                writer.write(struct.pack(">BBH", 0x24, 0, 12 + len(payload)) + head + payload)
                sequence += 1
            await writer.drain()
            number += 1


async def main(width: int, height: int, fps: int) -> None:
    camera = Camera(encode(width, height, fps), fps)
    server = await asyncio.start_server(camera.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:4])))
