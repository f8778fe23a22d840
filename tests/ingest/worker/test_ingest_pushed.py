"""Pictures and sound that a client sends as data."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from fakes.media.audio import silence
from fakes.media.hub import media_hub
from fakes.media.told import Told
from fakes.patience import until
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.audio.source_sound import SourceSound
from joyvl_server.ingest.base import MAX_PICTURE_BYTES
from joyvl_server.ingest.client_link import PIECE_BYTES
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.ingest.worker.pushed import AHEAD_S, PushedSource, decode, no_picture
from joyvl_server.kit.jpeg import encode

JPEG = encode(np.full((90, 160, 3), 200, np.uint8)).jpeg


def png(*channels: int) -> bytes:
    found, data = cv2.imencode(".png", np.full((30, 40, *channels), 90, np.uint8))
    assert found
    return data.tobytes()


@pytest.mark.parametrize("data", [JPEG, png(3), png(4), png()])
def test_pictures_are_decoded(data: bytes):
    frame = decode(data)
    assert frame.width in (160, 40)


def bomb() -> bytes:
    """A PNG that says it has 30000 x 30000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(bytes(100_000))
    chunks = (head, body, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a" + bytes(100), JPEG[:20], b"\xff\xd8\xff" + bytes(1000), png(3)[:30], bomb(), b"\x89PNG\r\n\x1a\n"],
)
def test_what_is_no_picture_is_said(data: bytes):
    with pytest.raises(SourceError, match="The picture cannot be used") as error:
        decode(data)
    assert error.value.code == "bad_picture"


def begin() -> tuple[PushedSource, FramePublisher, list[tuple[int, float]]]:
    told = Told()
    publisher, sound = FramePublisher(told, GreyHistory(96)), SourceSound(told)
    fed: list[tuple[int, float]] = []

    def feed(frame: AudioFrame, t: float, *, wait: bool = False) -> None:
        fed.append((frame.samples, t))

    sound.hearing.feed = feed  # type: ignore[method-assign]
    source = PushedSource(publisher, sound)
    source.start()
    return source, publisher, fed


def test_before_the_first_picture_one_says_that_there_is_none():
    source, publisher, _ = begin()
    assert publisher.newest is not None
    assert publisher.newest.frame.to_ndarray(format="gray").max() > 60
    assert no_picture().width == publisher.newest.frame.width
    first = publisher.newest.t
    source.pictures.show(JPEG)
    assert publisher.newest.frame.width == 160
    assert publisher.newest.t > first
    with pytest.raises(SourceError):
        source.pictures.show(b"nothing")
    assert publisher.newest.frame.width == 160
    source.close()
    assert publisher.newest is None


def test_a_picture_in_parts_is_bounded():
    source, _, _ = begin()
    source.pictures.take(JPEG[:100], first=True)
    source.pictures.take(JPEG[100:], first=False)
    assert source.pictures.whole() == JPEG
    source.pictures.take(bytes(MAX_PICTURE_BYTES), first=True)
    with pytest.raises(SourceError, match="bytes"):
        source.pictures.take(b"x", first=False)


def test_sound_follows_sound_and_is_not_far_before_its_time():
    source, _, fed = begin()
    for _ in range(3):
        source.hear(silence(0.5, 24_000))
    times = [t for _, t in fed]
    assert [round(b - a, 3) for a, b in zip(times, times[1:], strict=False)] == [0.5, 0.5]
    for _ in range(round(AHEAD_S) - 2):
        source.hear(silence(1.0, 24_000))
    source.hear(silence(30.0, 24_000))
    with pytest.raises(SourceError) as error:
        source.hear(silence(1.0, 24_000))
    assert error.value.code == "too_fast"


@pytest.mark.processes
async def test_a_client_pushes_through_a_worker():
    async with media_hub() as hub:
        told = Told()
        source = await hub.push("call_1", told)
        await until(lambda: told.statuses == ["online"])
        assert (await source.look()).image.width == 320
        large = encode(np.random.default_rng(1).integers(0, 255, (500, 700, 3), np.uint8)).jpeg
        assert len(large) > PIECE_BYTES  # in more than one part
        await source.client.show(large)
        frame = await source.look()
        assert frame.image.width > 400
        with pytest.raises(SourceError, match="cannot be used"):
            await source.client.show(b"nothing")
        assert (await source.look()).t == frame.t
        await source.client.say(silence(2.5, 24_000))
        with pytest.raises(SourceError, match="of its own"):
            await source.client.send("{}")
        await until(lambda: source.audio.hears)
        await source.aclose()
        with pytest.raises(SourceError):
            await source.client.show(JPEG)
