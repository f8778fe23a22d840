"""What each frame may cost: who gets a full look, a glance, or is skipped."""

import numpy as np
import pytest

from fakes.media.frames import make_frame
from fakes.media.looking import room, shot, with_figure
from fakes.server.configs import make_config
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Pressure
from joyvl_server.core.gaze.gaze import Gaze
from joyvl_server.core.prompt.turns import Look

FULL, GLANCE, SKIP = Look.FULL, Look.GLANCE, Look.SKIP
STILL = shot(room())
CAME = shot(with_figure(room(), 60))


def at(column: int) -> np.ndarray:
    """Somebody on the way through the room."""
    return shot(with_figure(room(), column, contrast=90))


def gaze(**settings) -> Gaze:
    return Gaze(ObserverConfig(fidelity="adaptive", **settings))


def look(eye: Gaze, t: float, grey: np.ndarray | None = None, *, wanted: bool = False, glance: bool = True) -> Look:
    frame = make_frame(t, shot(room()) if grey is None else grey, glance=glance)
    looked = eye.judge(frame, wanted=wanted)
    if looked.look is not Look.SKIP:
        eye.saw(frame, looked)
    return looked.look


def test_faithful_looks_at_everything_in_full() -> None:
    eye = Gaze(ObserverConfig())
    assert [look(eye, t) for t in range(20)] == [FULL] * 20


@pytest.mark.parametrize("fidelity", ["faithful", "adaptive", "eco"])
def test_an_engine_that_needs_every_frame_gets_every_frame(fidelity) -> None:
    eye = Gaze(make_config(fidelity=fidelity, needs_every_frame=True))
    eye.press(Pressure.FULL)
    assert [look(eye, t) for t in range(20)] == [FULL] * 20


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


def test_a_new_size_is_looked_at_in_full() -> None:
    eye = gaze()
    look(eye, 0)
    small = make_frame(1, shot(room(0, 54, 96)), glance=True)
    looked = eye.judge(small, wanted=False)
    assert (looked.look, looked.change) == (Look.FULL, 1.0)
    eye.saw(small, looked)
    assert look(eye, 2, small.grey) is Look.GLANCE


def test_time_that_jumps_back_is_looked_at_in_full_and_goes_on_from_there() -> None:
    eye = gaze()
    assert [look(eye, t) for t in range(100, 104)] == [FULL, GLANCE, GLANCE, GLANCE]
    looks = [look(eye, t) for t in range(5, 19)]
    assert looks == [FULL] + [GLANCE] * 9 + [SKIP, GLANCE, SKIP, GLANCE]


def test_a_frame_the_model_never_got_counts_for_nothing() -> None:
    eye = gaze()
    look(eye, 0)
    came = make_frame(1, shot(with_figure(room(), 60)), glance=True)
    assert eye.judge(came, wanted=False).look is FULL  # the engine failed: `saw` is not called
    assert look(eye, 2, at(80)) is FULL
    assert look(eye, 3, at(100)) is GLANCE


def test_the_first_sign_is_looked_at_in_full_after_a_hush() -> None:
    eye, foot = gaze(), room()
    foot[60:72, :4] += 35
    assert [look(eye, t) for t in range(4)] == [FULL, GLANCE, GLANCE, GLANCE]
    sign = make_frame(4, shot(foot), glance=True)
    looked = eye.judge(sign, wanted=False)
    assert looked.change < eye._config.full_look_change
    assert looked.look is FULL
    assert eye.judge(make_frame(5, shot(foot), glance=True), wanted=False).look is FULL  # it failed: still owed
    assert look(eye, 6) is GLANCE  # gone again, before it was looked at


def test_a_sign_without_a_hush_is_no_first_sign() -> None:
    eye, foot = gaze(), room()
    foot[60:72, :4] += 35
    assert [look(eye, 0), look(eye, 1, shot(foot))] == [FULL, GLANCE]


def test_what_lasts_is_looked_at_every_second_time_and_when_it_ends() -> None:
    eye = gaze()
    assert [look(eye, t) for t in range(3)] == [FULL, GLANCE, GLANCE]
    walk = [look(eye, 3 + n, at(20 + 15 * n)) for n in range(7)]
    assert walk == [FULL, GLANCE] * 3 + [FULL]
    assert look(eye, 10) is FULL  # as it was at rest before
    assert [look(eye, t) for t in range(11, 15)] == [GLANCE] * 4


def test_what_comes_to_rest_is_looked_at_once_more() -> None:
    eye = gaze()
    assert [look(eye, t) for t in range(3)] == [FULL, GLANCE, GLANCE]
    assert [look(eye, 3, at(20)), look(eye, 4, at(60))] == [FULL, GLANCE]
    assert [look(eye, t, at(60)) for t in range(5, 10)] == [FULL] + [GLANCE] * 4


def test_something_new_in_the_midst_of_movement_is_looked_at_at_once() -> None:
    eye = gaze(motion_look_s=100.0)
    assert [look(eye, t) for t in range(3)] == [FULL, GLANCE, GLANCE]
    small = [look(eye, 3 + n, shot(with_figure(room(), 20 + 6 * n, contrast=35))) for n in range(4)]
    assert small == [FULL, GLANCE, GLANCE, GLANCE]
    large = with_figure(with_figure(room(), 44, contrast=35), 100, height=50, width=40, contrast=150)
    assert look(eye, 7, shot(large)) is FULL


def test_a_still_picture_is_looked_at_every_other_second_and_at_once_when_it_changes() -> None:
    eye = gaze()
    looks = [look(eye, t) for t in range(16)]
    assert looks == [FULL] + [GLANCE] * 9 + [SKIP, GLANCE, SKIP, GLANCE, SKIP, GLANCE]
    assert look(eye, 16, CAME) is FULL
    assert look(eye, 17, CAME) is GLANCE


def test_frames_that_come_early_or_late_are_taken_as_they_come() -> None:
    eye = gaze()
    looks = [look(eye, t + (0.2 if t % 4 < 2 else 0.0)) for t in range(16)]
    assert looks[11:] == [SKIP, GLANCE, SKIP, GLANCE, SKIP]


def test_eco_looks_at_a_still_picture_ever_less_often() -> None:
    eye = Gaze(ObserverConfig(fidelity="eco", max_glance_s=1e9))
    looks = [look(eye, t) for t in range(100)]
    seen = [t for t, seen in enumerate(looks) if seen is not SKIP]
    assert seen[:11] == [*range(10), 11]
    gaps = np.diff(seen[9:])
    assert list(gaps) == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (2, 8)
    assert look(eye, 100, CAME) is FULL
    assert [look(eye, 101 + t, CAME) for t in range(9)] == [GLANCE] * 9


@pytest.mark.parametrize("pressure", list(Pressure))
@pytest.mark.parametrize("fidelity", ["adaptive", "eco"])
def test_a_watch_that_depends_on_time_gets_every_second(fidelity, pressure) -> None:
    eye = Gaze(ObserverConfig(fidelity=fidelity))
    eye.press(pressure)
    eye.timed = True
    assert SKIP not in [look(eye, t) for t in range(100)]


def test_nothing_is_skipped_where_no_blindness_is_allowed() -> None:
    eye = gaze(max_blind_s=0.0)
    assert SKIP not in [look(eye, t) for t in range(100)]


def test_a_skipped_second_needs_no_small_picture() -> None:
    eye = gaze(still_after_s=0.0)
    assert [look(eye, t, glance=False) for t in range(4)] == [FULL, SKIP, FULL, SKIP]


@pytest.mark.parametrize("fidelity", ["faithful", "adaptive"])
def test_under_pressure_only_large_changes_and_questions_get_full_looks(fidelity) -> None:
    eye = Gaze(ObserverConfig(fidelity=fidelity, max_blind_s=0.0))
    eye.press(Pressure.GLANCES)
    assert [look(eye, t) for t in range(45)] == [FULL] + [GLANCE] * 44
    assert look(eye, 45, wanted=True) is FULL
    faint = shot(with_figure(room(), 60, contrast=30))
    assert [look(eye, t, faint) for t in range(46, 50)] == [GLANCE] * 4
    walk = [look(eye, 50 + n, at(20 + 8 * n)) for n in range(14)]
    assert walk == [GLANCE] * 7 + [FULL] + [GLANCE] * 6, walk
    eye.press(Pressure.NONE)
    assert look(eye, 64, at(124)) is FULL


def test_slower_makes_still_pictures_of_every_session_rarer() -> None:
    eye = Gaze(ObserverConfig(max_glance_s=1e9))
    assert [look(eye, t) for t in range(20)] == [FULL] * 20
    eye.press(Pressure.GLANCES)
    assert [look(eye, t) for t in range(20, 40)] == [GLANCE] * 20
    eye.press(Pressure.SLOWER)
    looks = [look(eye, t) for t in range(40, 120)]
    assert looks.count(GLANCE) == 10
    assert looks.count(SKIP) == 70


def test_a_change_that_none_can_reach_counts_from_the_largest_on() -> None:
    eye = gaze(full_look_change=0.9)
    eye.press(Pressure.GLANCES)
    look(eye, 0)
    assert look(eye, 12, shot(255.0 - room())) is FULL


def test_under_pressure_a_large_change_that_comes_to_rest_is_looked_at_too() -> None:
    eye = gaze()
    eye.press(Pressure.GLANCES)
    assert [look(eye, t) for t in range(3)] == [FULL, GLANCE, GLANCE]
    assert [look(eye, 13, at(20)), look(eye, 14, at(60))] == [FULL, GLANCE]
    assert [look(eye, t, at(60)) for t in range(24, 28)] == [GLANCE, FULL, GLANCE, GLANCE]


def test_as_before_means_as_it_last_was_at_rest() -> None:
    eye, changed = gaze(motion_look_s=100.0), with_figure(room(), 130, contrast=60)
    look(eye, 0)
    assert [look(eye, t, shot(changed)) for t in range(1, 4)] == [FULL, GLANCE, GLANCE]
    assert look(eye, 4, shot(changed), wanted=True) is FULL  # at rest
    walk = [look(eye, 5 + n, shot(with_figure(changed, 20 + 15 * n, contrast=90))) for n in range(4)]
    assert walk == [FULL, GLANCE, GLANCE, GLANCE]
    assert look(eye, 9, shot(changed)) is FULL
