"""How much a picture changed: what a still scene does by itself is nothing, what happens in it is something."""

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fakes.media.looking import room, shot, with_figure
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.gaze.change import (
    GRID,
    UNREST_CEILING,
    UNREST_MARGIN,
    NoiseTracker,
    _median,
    apart,
    coarse,
    difference,
)

FULL_AT = ObserverConfig().full_look_change


def changed(now: np.ndarray, then: np.ndarray) -> float:
    return difference(coarse(now), coarse(then))


def compressed(picture: np.ndarray, quality: int) -> np.ndarray:
    data = simplejpeg.encode_jpeg(picture[..., None], quality=quality, colorspace="GRAY")
    return simplejpeg.decode_jpeg(data, colorspace="GRAY")[..., 0]


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0])
def test_noise_is_no_change_and_a_small_figure_is(noise) -> None:
    still = [changed(shot(room(), noise, seed), shot(room(), noise, 100 + seed)) for seed in range(20)]
    figure = [changed(shot(with_figure(room(), 20 * s), noise, s), shot(room(), noise, 100 + s)) for s in range(1, 8)]
    assert max(still) < FULL_AT / 2
    assert min(figure) > FULL_AT


def test_somebody_far_away_and_a_hand_in_a_corner_are_a_change() -> None:
    far = with_figure(room(), 101, height=16, width=6)
    hand = room()
    hand[:14, :12] += 60
    for picture in (far, hand):
        assert changed(shot(picture, 2.0, 1), shot(room(), 2.0, 2)) > FULL_AT


def test_slow_light_is_no_change_and_a_sudden_dark_is() -> None:
    for gain, offset in [(0.9, 0), (1.1, 0), (1.0, 12), (1.0, -12)]:
        assert changed(shot(room() * gain + offset, 2.0, 1), shot(room(), 2.0, 2)) < FULL_AT / 2
    assert changed(shot(room() * 0.2, 2.0, 1), shot(room(), 2.0, 2)) > FULL_AT


def test_light_on_a_bare_wall_is_no_change() -> None:
    wall = np.full((108, 192), 120.0)
    assert changed(shot(wall + 10, 2.0, 1), shot(wall, 2.0, 2)) == 0.0


def test_a_figure_does_not_pass_for_light() -> None:
    wall = np.full((108, 192), 120.0)
    half = wall.copy()
    half[:, :80] += 40
    assert changed(shot(half, 2.0, 1), shot(wall, 2.0, 2)) > FULL_AT


@pytest.mark.parametrize("quality", [20, 50, 80])
def test_compression_is_no_change(quality) -> None:
    assert changed(compressed(shot(room(), 4.0, 1), quality), shot(room(), 4.0, 2)) < FULL_AT / 2


def test_coarse_compression_is_no_change() -> None:
    blocks = room().reshape(27, 4, 48, 4).mean(axis=(1, 3)).round(-1)
    assert changed(np.kron(blocks, np.ones((4, 4))).astype(np.uint8), shot(room())) < FULL_AT


def test_edges_that_tremble_by_half_a_pixel_are_no_change() -> None:
    now, then = shot(room()), shot((room() + np.roll(room(), 1, axis=1)) / 2)
    assert changed(now, then) < 0.05


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40)))
def test_a_picture_of_any_size_is_no_change_against_itself(grey) -> None:
    cells = coarse(grey)
    assert difference(cells, cells) == 0.0
    assert max(cells.shape) <= GRID


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 255))
def test_cells_are_means_at_any_size(height, width, value) -> None:
    cells = coarse(np.full((height, width), value, np.uint8))
    assert max(cells.shape) <= GRID
    assert np.allclose(cells, value)


PICTURES = hnp.arrays(np.uint8, (12, 20))


@given(PICTURES, PICTURES, PICTURES)
def test_a_change_is_always_between_0_and_1_and_unrest_makes_it_no_larger(a, b, c) -> None:
    unrest = NoiseTracker()
    unrest.learn(apart(coarse(b), coarse(c)))
    calm = changed(a, b)
    assert 0.0 <= difference(coarse(a), coarse(b), unrest.tolerance(coarse(a))) <= calm <= 1.0


def flickering(seed: int, person: bool = False) -> np.ndarray:
    """Leaves in the right upper corner, another way every second; maybe somebody in front of them."""
    rng = np.random.default_rng(seed)
    picture = room()
    picture[:48, 120:] += np.kron(rng.normal(0, 10, (8, 12)), np.ones((6, 6)))
    if person:
        picture[10:48, 150:162] = 235 if picture[10:48, 150:162].mean() < 128 else 15
    return shot(picture, 2.0, seed)


def test_leaves_are_learnt_and_somebody_before_them_is_still_seen() -> None:
    unrest = NoiseTracker()
    cells = [coarse(flickering(seed)) for seed in range(30)]
    for then, now in zip(cells, cells[1:], strict=False):
        unrest.learn(apart(now, then))
    leaves, person = coarse(flickering(99)), coarse(flickering(99, person=True))
    tolerance = unrest.tolerance(leaves)
    assert difference(leaves, cells[-1]) > FULL_AT
    assert difference(leaves, cells[-1], tolerance) < FULL_AT
    assert difference(person, cells[-1], tolerance) > FULL_AT
    assert tolerance.max() <= UNREST_CEILING
    assert tolerance[10:, :15].max() < 4 * UNREST_MARGIN  # elsewhere nothing was learnt but noise


def test_one_passer_by_teaches_little_and_it_is_forgotten() -> None:
    unrest, empty = NoiseTracker(), coarse(shot(room()))
    unrest.learn(apart(coarse(shot(with_figure(room(), 60, contrast=100))), empty))
    after = unrest.tolerance(empty).max()
    for _ in range(60):
        unrest.learn(apart(empty, empty))
    assert 0 < after <= UNREST_MARGIN
    assert unrest.tolerance(empty).max() < after / 10


def test_unrest_of_another_shape_starts_from_nothing() -> None:
    unrest, wide, high = NoiseTracker(), coarse(flickering(1)), coarse(flickering(1).T)
    assert not unrest.tolerance(wide).any()
    unrest.learn(apart(wide, coarse(flickering(2))))
    assert unrest.tolerance(wide).any()
    assert not unrest.tolerance(high).any()
    unrest.learn(apart(high, high))
    assert not unrest.tolerance(high).any()


def test_an_empty_picture_has_no_unrest() -> None:
    unrest, nothing = NoiseTracker(), coarse(np.zeros((0, 7), np.uint8))
    unrest.learn(apart(nothing, nothing))
    assert unrest.tolerance(nothing).size == 0


def test_what_moves_in_one_cell_may_move_in_its_neighbours() -> None:
    unrest, still = NoiseTracker(), coarse(shot(room()))
    moving = still.copy()
    moving[8, 8] += 30
    for _ in range(20):
        unrest.learn(apart(moving, still))
    tolerance = unrest.tolerance(still)
    assert tolerance[7:10, 7:10].min() == tolerance[8, 8] > 30
    assert tolerance[6, 8] == tolerance[8, 10] == 0


@given(hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-300, 300, width=32)))
def test_the_quick_median_is_the_median_to_the_last_bit(values) -> None:
    assert _median(values) == float(np.median(values))
