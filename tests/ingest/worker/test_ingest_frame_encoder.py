"""What main gets of a frame: right size, right colours, right way up."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from fakes.media.video import draw_clip, picture
from joyvl_server.ingest.worker.frame_encoder import GLANCE_PIXELS, FrameEncoder, fit
from joyvl_server.ingest.worker.publisher import aspect_of


def frame_of(rgb: np.ndarray, pixel_format: str = "yuv420p") -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixel_format)


def test_a_small_frame_keeps_its_size_and_its_look() -> None:
    rgb = picture(10, (320, 240))
    encoded = FrameEncoder(262_144, 192, 90).encode(frame_of(rgb), glance=False)
    assert (encoded.image.width, encoded.image.height) == (320, 240)
    assert encoded.glance is None
    back = simplejpeg.decode_jpeg(encoded.image.jpeg).astype(int)
    assert np.abs(back - rgb).mean() < 4
    assert encoded.grey.shape == (144, 192)
    assert encoded.grey.dtype == np.uint8
    assert abs(int(encoded.grey[5, 5]) - 60) <= 2


def test_a_large_frame_is_scaled_and_the_glance_is_smaller_still() -> None:
    encoded = FrameEncoder(262_144, 192, 85).encode(frame_of(picture(0, (1920, 1080))), glance=True)
    assert (encoded.image.width, encoded.image.height) == (682, 384)
    assert encoded.glance is not None
    assert encoded.glance.width * encoded.glance.height <= GLANCE_PIXELS
    assert encoded.grey.shape == (108, 192)


def test_one_encoder_takes_every_size_and_format() -> None:
    painter = FrameEncoder(65_536, 96, 80)
    for size, pixel_format in [
        ((640, 480), "yuv420p"), ((64, 36), "gray"), ((101, 77), "yuv444p"), ((640, 480), "rgb24"), ((2, 2), "yuv420p"),
        ((1280, 720), "nv12"), ((800, 600), "yuv420p10le"), ((16, 400), "bgr24"),
    ]:  # fmt: skip
        image = painter.encode(frame_of(picture(3, size), pixel_format), glance=True).image
        height, width = simplejpeg.decode_jpeg(image.jpeg).shape[:2]
        assert (width, height) == (image.width, image.height)
        assert width % 2 == height % 2 == 0


def test_colours_of_hd_are_not_those_of_sd() -> None:
    """A BT.709 picture, as HD cameras send it, comes out in its own colours."""
    green = np.full((720, 1280, 3), (30, 160, 60), np.uint8)
    frame = av.VideoFrame.from_ndarray(green, "rgb24").reformat(format="yuv420p", dst_colorspace="itu709")
    image = FrameEncoder(262_144, 192, 95).encode(frame, glance=False).image
    back = simplejpeg.decode_jpeg(image.jpeg).reshape(-1, 3).mean(axis=0)
    assert back == pytest.approx((30, 160, 60), abs=4)


def test_pixels_that_are_not_square_are_made_square() -> None:
    image = FrameEncoder(262_144, 192, 85).encode(frame_of(picture(0, (360, 288))), glance=False, aspect=2.0).image
    assert (image.width, image.height) == (720, 288)


def test_the_frame_is_only_read() -> None:
    frame = frame_of(picture(5, (320, 240)))
    before = frame.to_ndarray().copy()
    FrameEncoder(65_536, 96, 80).encode(frame, glance=True)
    assert (frame.to_ndarray() == before).all()


def test_a_phone_held_upright_gives_upright_pictures(tmp_path: Path) -> None:
    plain = draw_clip(tmp_path / "a.mp4", size=(160, 120), seconds=0.2)
    turned = tmp_path / "turned.mp4"
    data = plain.read_bytes()
    track = data.index(b"tkhd") + 4 + 4 + 4 * 5 + 16  # past version, times, id, duration, layer, volume
    matrix = np.array([0, 1, 0, -1, 0, 0, 120 / 65536, 0, 16384], float)  # 90 degrees
    fixed = b"".join(int(v * 65536).to_bytes(4, "big", signed=True) for v in matrix)
    turned.write_bytes(data[:track] + fixed + data[track + 36 :])
    with av.open(str(turned)) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation in (90, -90)
        encoded = FrameEncoder(262_144, 96, 85).encode(frame, glance=True)
    assert (encoded.image.width, encoded.image.height) == (120, 160)
    assert encoded.grey.shape == (96, 72)
    assert encoded.glance is not None
    assert simplejpeg.decode_jpeg(encoded.glance.jpeg).shape == (160, 120, 3)


@given(st.integers(1, 8000), st.integers(1, 8000), st.sampled_from([65_536, 262_144]))
def test_fit_is_even_small_enough_and_never_larger(width: int, height: int, limit: int) -> None:
    w, h = fit(width, height, limit)
    assert w % 2 == h % 2 == 0
    assert w <= max(2, width)
    assert h <= max(2, height)
    assert w * h <= limit or 2 in (w, h)


@pytest.mark.parametrize(
    ("ratio", "aspect"), [(None, 1.0), (Fraction(0, 1), 1.0), (Fraction(16, 11), 16 / 11), (99, 1.0)]
)
def test_aspects(ratio: object, aspect: float) -> None:
    assert aspect_of(ratio) == pytest.approx(aspect)
