"""From pts to capture time: anchored, free of jitter, never backwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.ingest.stream_clock import STEP_S, WINDOW_S, FileStreamClock, LiveStreamClock


def test_live_time_counts_from_the_first_picture_and_follows_the_pts() -> None:
    line = LiveStreamClock()
    line.begin()
    assert line.clock is None
    assert line.place(5.0, 103.0).t == 0.0
    assert line.clock == (103.0, 0.0)
    late = line.place(5.04, 103.5)  # half a second in the network does not change when it was seen
    assert (late.t, late.moment) == pytest.approx((0.04, 103.04))


def test_live_time_goes_on_where_another_worker_stopped() -> None:
    line = LiveStreamClock(zero=100.0)
    line.begin()
    assert line.place(5.0, 103.0).t == pytest.approx(3.0)
    late = line.place(5.04, 103.5)  # half a second in the network does not change when it was seen
    assert (late.t, late.moment) == pytest.approx((3.04, 103.04))


def test_a_slow_first_frame_does_not_put_later_ones_in_the_future() -> None:
    line = LiveStreamClock(0.0)
    line.begin()
    line.place(0.0, 1.0)
    assert line.place(0.5, 1.1).moment == pytest.approx(1.1)
    assert line.place(1.0, 1.65).moment == pytest.approx(1.6)


def test_frames_without_pts_are_seen_when_they_come() -> None:
    line = LiveStreamClock(10.0)
    line.begin()
    assert line.place(None, 12.0).t == pytest.approx(2.0)
    assert line.place(0.1, 12.1).t == pytest.approx(2.1)


def test_a_jump_back_sets_a_new_anchor() -> None:
    line = LiveStreamClock(0.0)
    line.begin()
    line.place(1000.0, 5.0)
    assert line.place(0.0, 5.04).moment == pytest.approx(5.04)
    assert line.place(0.04, 5.08).moment == pytest.approx(5.08)


def test_a_jump_ahead_is_not_a_frame_of_tomorrow() -> None:
    line = LiveStreamClock(0.0)
    line.begin()
    line.place(0.0, 5.0)
    assert line.place(90_000.0, 5.04).moment == pytest.approx(5.04)


def test_a_gap_shows_as_a_gap() -> None:
    line = LiveStreamClock(0.0)
    line.begin()
    line.place(7.0, 2.0)
    line.begin()
    assert line.place(0.0, 30.0).t == pytest.approx(30.0)


def test_a_pause_of_the_cameras_clock_does_not_make_frames_old_for_ever() -> None:
    line = LiveStreamClock(0.0)
    line.begin()
    line.place(0.0, 0.0)
    arrival = 5.0  # its clock stood still for five seconds
    while arrival < 5.0 + 2.5 * WINDOW_S:
        pts = arrival - 5.0 + 0.04
        moment = line.place(pts, arrival).moment
        arrival += 0.04
    assert moment == pytest.approx(arrival - 0.04, abs=0.05)


def test_drift_of_the_cameras_clock_is_followed() -> None:
    line = LiveStreamClock(0.0)
    line.begin()
    worst = 0.0
    for number in range(20_000):
        arrival = number * 0.04
        worst = max(worst, abs(line.place(arrival * 0.9999, arrival).moment - arrival))
    assert worst < 0.01  # 0.1 ms a second, 80 ms in all


@given(st.lists(st.tuples(st.none() | st.floats(-1e6, 1e6), st.floats(0.0, 10.0)), min_size=1, max_size=60))
def test_live_never_runs_backwards_whatever_comes(frames: list[tuple[float | None, float]]) -> None:
    line = LiveStreamClock(0.0)
    line.begin()
    now, last = 0.0, 0.0
    for pts, gap in frames:
        now += gap
        placed = line.place(pts, now)
        assert placed.t > last
        assert placed.moment <= now + STEP_S * (len(frames) + 1)
        last = placed.t


def test_a_files_time_is_its_position_and_it_is_due_at_its_speed() -> None:
    line = FileStreamClock(speed=4.0)
    line.begin(0.1)
    assert line.clock is None
    first = line.place(0.0, 50.0)
    assert (first.t, first.moment) == (0.0, 50.0)
    assert line.clock == (50.0, 0.0)
    second = line.place(2.0, 50.1)
    assert (second.t, second.moment) == pytest.approx((2.0, 50.5))


def test_loops_follow_one_another() -> None:
    line = FileStreamClock(1.0)
    line.begin(0.5)
    for position in (0.0, 0.5, 1.0):
        line.place(position, 0.0)
    line.begin(0.5)
    assert line.place(0.0, 1.5).t == pytest.approx(1.5)
    assert line.place(0.5, 2.0).moment == pytest.approx(2.0)


def test_another_worker_goes_on_where_the_first_was() -> None:
    line = FileStreamClock(1.0, start=42.0)
    line.begin(0.1, skip=12.0)  # a file of 30 s that loops
    assert line.place(12.3, 7.0).t == pytest.approx(42.3)


def test_a_machine_too_slow_moves_the_clock() -> None:
    line = FileStreamClock(100.0)
    line.begin(0.04)
    line.place(0.0, 0.0)
    assert line.place(10.0, 0.9).moment == pytest.approx(0.1)
    assert line.clock == (0.0, 0.0)
    late = line.place(11.0, 2.0)
    assert (late.t, late.moment) == (11.0, 2.0)
    assert line.clock == (2.0, 11.0)


def test_file_frames_without_pts_take_the_frame_rate() -> None:
    line = FileStreamClock(1.0)
    line.begin(0.2)
    assert [round(line.place(None, 0.0).t, 3) for _ in range(3)] == [0.0, 0.2, 0.4]


@pytest.mark.processes
@given(st.lists(st.none() | st.floats(0, 1e5), min_size=1, max_size=40))
def test_files_never_run_backwards(positions: list[float | None]) -> None:
    line = FileStreamClock(2.0)
    line.begin()
    times = [line.place(position, 0.0).t for position in positions]
    assert all(a < b for a, b in zip(times, times[1:], strict=False))
