"""The one JPEG encoder: what comes out decodes to what went in, and is named by its bytes."""

import hashlib

import numpy as np
import simplejpeg

from joyvl_server.kit import jpeg

RED = (200, 40, 40)


def test_rgb_comes_back_as_it_was() -> None:
    rgb = np.full((48, 64, 3), RED, np.uint8)
    image = jpeg.encode(rgb, quality=90)
    assert (image.width, image.height) == (64, 48)
    assert image.sha256 == hashlib.sha256(image.jpeg).hexdigest()
    back = simplejpeg.decode_jpeg(image.jpeg)
    assert back.shape == (48, 64, 3)
    assert np.abs(back.astype(int) - RED).max() <= 4


def test_a_view_that_is_not_contiguous_is_fine() -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)[::2, ::2]
    assert jpeg.encode(rgb).width == 50


def test_quality_costs_bytes() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert len(jpeg.encode(noise, 95).jpeg) > 1.3 * len(jpeg.encode(noise, 40).jpeg)
