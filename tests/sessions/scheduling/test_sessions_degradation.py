from __future__ import annotations

from joyvl_server.core.decisions import Pressure
from joyvl_server.sessions.scheduling.degradation import CALM_S, DegradationPolicy, LoadReading

EASY, HARD = LoadReading(0.3, 0.0, 4), LoadReading(1.1, 0.4, 4)


class Climb:
    """Reads every half second and lists the moves."""

    def __init__(self) -> None:
        self.policy = DegradationPolicy()
        self.now = 0.0
        self.moves: list[tuple[float, Pressure]] = []

    def read(self, reading: LoadReading, seconds: float) -> Climb:
        for _ in range(round(seconds * 2)):
            self.now += 0.5
            if self.policy.read(self.now, reading):
                self.moves.append((self.now, self.policy.step))
        return self

    @property
    def steps(self) -> list[Pressure]:
        return [step for _, step in self.moves]


def test_it_stays_down_while_all_is_well():
    assert Climb().read(EASY, 600).moves == []


def test_up_one_step_at_a_time_and_never_beyond_the_last():
    climb = Climb().read(HARD, 120)
    assert climb.steps == [Pressure.GLANCES, Pressure.SLOWER, Pressure.FULL]
    times = [at for at, _ in climb.moves]
    assert all(b - a >= 6 for a, b in zip(times, times[1:], strict=False))  # each step is given time to help


def test_a_short_peak_is_no_reason():
    climb = Climb()
    for _ in range(50):
        climb.read(HARD, 2).read(EASY, 2)
    assert climb.moves == []


def test_late_turns_alone_are_a_reason():
    assert Climb().read(LoadReading(0.5, 0.3, 2), 10).steps == [Pressure.GLANCES]


def test_down_again_when_it_was_calm():
    climb = Climb().read(HARD, 5)
    climb.read(EASY, 10)
    assert climb.steps == [Pressure.GLANCES]  # calm, but not for long enough
    # What that many sessions cost without pressure is known to be too much, until they are fewer.
    climb.read(EASY, 120)
    assert climb.steps == [Pressure.GLANCES]
    climb.read(LoadReading(0.1, 0.0, 1), CALM_S + 2)
    assert climb.steps == [Pressure.GLANCES, Pressure.NONE]


def test_between_calm_and_too_much_it_stays():
    climb = Climb().read(HARD, 5).read(LoadReading(0.85, 0.0, 4), 3600)
    assert climb.steps == [Pressure.GLANCES]


def test_what_a_step_cost_is_not_believed_for_ever():
    climb = Climb().read(HARD, 5).read(EASY, 700)
    assert climb.steps == [Pressure.GLANCES, Pressure.NONE]


def test_swinging_waits_longer_each_time():
    """The load comes back at once whenever it steps down, and has gone as soon as it steps up."""
    climb = Climb()
    for _ in range(7200):
        hard = climb.policy.step is Pressure.NONE
        # The sessions change all the time, so that what was known of the step below never holds.
        climb.read(HARD if hard else LoadReading(0.05, 0.0, 1), 1)
    downs = [at for at, step in climb.moves if step is Pressure.NONE]
    gaps = [b - a for a, b in zip(downs, downs[1:], strict=False)]
    assert gaps[0] < 70
    assert gaps[-1] > 300
    assert len(downs) < 30


def test_a_session_alone_gives_up_large_pictures_at_most():
    busy = LoadReading(0.85, 0.0, 1)
    assert Climb().read(busy, 60).moves == []  # nobody else gains by what it gives up
    assert Climb().read(LoadReading(3.3, 0.5, 1), 300).steps == [Pressure.GLANCES]


def test_who_is_left_alone_looks_as_often_as_it_can_again():
    climb = Climb().read(HARD, 60)
    assert climb.policy.step is Pressure.FULL
    climb.read(LoadReading(3.3, 0.5, 1), 60)
    assert climb.policy.step is Pressure.GLANCES
