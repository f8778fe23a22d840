import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fakes.frames import make_frame
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.gaze import GRID, Gaze, coarse, difference
from joyvl_server.core.turns import Look

FULL_AT = ObserverConfig().full_look_change


def room(seed: int = 0, height: int = 108, width: int = 192) -> np.ndarray:
    """A textured picture, float, 40 to 215."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(40, 215, (9, 16))
    return np.kron(small, np.ones((height // 9, width // 16)))


def shot(picture: np.ndarray, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def with_figure(picture: np.ndarray, x: int, height: int = 30, width: int = 12, contrast: float = 45) -> np.ndarray:
    picture = picture.copy()
    part = picture[40 : 40 + height, x : x + width]
    part += np.where(part > 128, -contrast, contrast)
    return picture


def changed(now: np.ndarray, then: np.ndarray) -> float:
    return difference(coarse(now), coarse(then))


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0])
def test_noise_is_no_change_and_a_small_figure_is(noise) -> None:
    still = [changed(shot(room(), noise, seed), shot(room(), noise, 100 + seed)) for seed in range(20)]
    figure = [changed(shot(with_figure(room(), 20 * s), noise, s), shot(room(), noise, 100 + s)) for s in range(1, 8)]
    assert max(still) < FULL_AT / 2
    assert min(figure) > FULL_AT


def test_slow_light_is_no_change_and_a_sudden_dark_is() -> None:
    for gain, offset in [(0.9, 0), (1.1, 0), (1.0, 12), (1.0, -12)]:
        assert changed(shot(room() * gain + offset, 2.0, 1), shot(room(), 2.0, 2)) < FULL_AT
    assert changed(shot(room() * 0.2, 2.0, 1), shot(room(), 2.0, 2)) > FULL_AT


def test_coarse_compression_is_no_change() -> None:
    blocks = room().reshape(27, 4, 48, 4).mean(axis=(1, 3)).round(-1)
    assert changed(np.kron(blocks, np.ones((4, 4))).astype(np.uint8), shot(room())) < FULL_AT


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


@given(
    hnp.arrays(np.uint8, (12, 20)),
    hnp.arrays(np.uint8, (12, 20)),
)
def test_a_change_is_always_between_0_and_1(a, b) -> None:
    assert 0.0 <= changed(a, b) <= 1.0


def gaze(**settings) -> Gaze:
    return Gaze(ObserverConfig(fidelity="adaptive", **settings))


def look(eye: Gaze, t: float, grey: np.ndarray | None = None, *, wanted: bool = False, glance: bool = True) -> Look:
    frame = make_frame(t, shot(room()) if grey is None else grey, glance=glance)
    glimpse = eye.judge(frame, wanted=wanted)
    if glimpse.look is not Look.SKIP:
        eye.saw(frame, glimpse)
    return glimpse.look


def test_faithful_looks_at_everything_in_full() -> None:
    eye = Gaze(ObserverConfig(max_blind_s=10.0))
    assert [look(eye, t) for t in range(4)] == [Look.FULL] * 4


def test_an_engine_that_needs_every_frame_gets_every_frame() -> None:
    eye = gaze(needs_every_frame=True, max_blind_s=10.0)
    assert [look(eye, t) for t in range(4)] == [Look.FULL] * 4


def test_adaptive_glances_while_nothing_changes_and_looks_when_something_does() -> None:
    eye = gaze()
    came = shot(with_figure(room(), 60))
    assert [look(eye, t) for t in range(3)] == [Look.FULL, Look.GLANCE, Look.GLANCE]
    assert look(eye, 3, came) is Look.FULL
    assert look(eye, 4, came) is Look.GLANCE
    assert look(eye, 5) is Look.FULL  # gone again


def test_what_changes_slowly_is_compared_with_the_last_full_look() -> None:
    eye = gaze(max_glance_s=1e9)
    looks = [look(eye, t, shot(with_figure(room(), 60, contrast=2.0 * t))) for t in range(40)]
    assert looks[0] is Look.FULL
    assert Look.FULL in looks[1:]
    assert looks.count(Look.FULL) < 10


def test_somebody_who_asks_gets_a_full_look() -> None:
    eye = gaze()
    look(eye, 0)
    assert look(eye, 1, wanted=True) is Look.FULL


def test_a_glance_needs_a_small_picture() -> None:
    eye = gaze()
    look(eye, 0)
    assert look(eye, 1, glance=False) is Look.FULL


def test_glances_are_bounded() -> None:
    eye = gaze(max_glance_s=5.0)
    looks = [look(eye, t) for t in range(11)]
    assert [t for t, seen in enumerate(looks) if seen is Look.FULL] == [0, 5, 10]


def test_blindness_is_bounded() -> None:
    eye = gaze(max_blind_s=3.0, max_glance_s=8.0)
    looks = [look(eye, t) for t in range(9)]
    skip, glance, full = Look.SKIP, Look.GLANCE, Look.FULL
    assert looks == [full, skip, skip, glance, skip, skip, glance, skip, full]
    assert look(eye, 9, shot(with_figure(room(), 60))) is full


def test_a_new_size_is_looked_at_in_full() -> None:
    eye = gaze()
    look(eye, 0)
    small = make_frame(1, shot(room(0, 54, 96)), glance=True)
    glimpse = eye.judge(small, wanted=False)
    assert (glimpse.look, glimpse.change) == (Look.FULL, 1.0)
    eye.saw(small, glimpse)
    assert look(eye, 2, small.grey) is Look.GLANCE


def test_time_that_jumps_back_is_looked_at_in_full() -> None:
    eye = gaze(max_blind_s=3.0)
    look(eye, 100)
    assert look(eye, 5) is Look.FULL


def test_a_frame_the_model_never_got_counts_for_nothing() -> None:
    eye = gaze()
    look(eye, 0)
    came = make_frame(1, shot(with_figure(room(), 60)), glance=True)
    assert eye.judge(came, wanted=False).look is Look.FULL  # the engine failed: `saw` is not called
    assert eye.judge(came, wanted=False).look is Look.FULL
