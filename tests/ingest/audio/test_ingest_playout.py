"""The buffer of utterances, frame by frame. Its only time is the frames that are taken."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from joyvl_server.ingest.audio.base import PlayoutReport
from joyvl_server.ingest.audio.playout import (
    BUFFER_S,
    FADE,
    FRAME,
    MAX_UTTERANCES,
    PLAYOUT_RATE,
    REFILL,
    STARVED_FRAMES,
    PlayoutBuffer,
)
from joyvl_server.kit.audio.pcm import Samples


class Reports(list[PlayoutReport]):
    def played(self, report: PlayoutReport, /) -> None:
        self.append(report)

    @property
    def last(self) -> tuple[int, str, float]:
        return self[-1].epoch, self[-1].status, round(self[-1].played_s, 4)

    def of(self, epoch: int) -> list[str]:
        return [report.status for report in self if report.epoch == epoch]


class Scene:
    def __init__(self) -> None:
        self.reports = Reports()
        self.buffer = PlayoutBuffer(self.reports)

    def take(self, frames: int) -> list[Samples | None]:
        return [self.buffer.next_frame() for _ in range(frames)]

    def take_all(self, most: int = 10_000) -> Samples:
        """The sound up to the first silence."""
        taken = []
        while (frame := self.buffer.next_frame()) is not None:
            taken.append(frame)
            assert len(taken) < most
        return np.concatenate(taken) if taken else np.zeros(0, np.int16)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def ramp(frames: float, begin: int = 1) -> Samples:
    """Samples that tell where they stand."""
    return np.arange(begin, begin + int(frames * FRAME)).astype(np.int16)


def test_an_utterance_is_played_sample_by_sample_and_ends(scene):
    sound = ramp(3)
    for start in range(0, len(sound), 700):
        scene.buffer.play(5, sound[start : start + 700])
    scene.buffer.play(5, sound[:0], last=True)
    assert (scene.take_all() == sound).all()
    assert scene.reports.of(5) == ["playing", "ended"]
    assert scene.reports.last == (5, "ended", 0.06)


def test_the_last_frame_is_filled_with_silence_that_does_not_count(scene):
    scene.buffer.play(1, ramp(1.5), last=True)
    sound = scene.take_all()
    assert len(sound) == 2 * FRAME
    assert not sound[FRAME + 480 :].any()
    assert scene.reports.last == (1, "ended", 0.03)


def test_utterances_follow_one_another_each_in_its_own_frame(scene):
    scene.buffer.play(1, ramp(1.5), last=True)
    scene.buffer.play(2, ramp(1, 5000), last=True)
    first, second, third, none = scene.take(4)
    assert (first[0], second[0], third[0], none) == (1, 961, 5000, None)
    assert [report.epoch for report in scene.reports if report.status == "ended"] == [1, 2]


def test_sound_of_an_old_epoch_is_thrown_away(scene):
    scene.buffer.play(7, ramp(1), last=True)
    scene.take_all()
    told = len(scene.reports)
    scene.buffer.play(7, ramp(1))
    scene.buffer.play(6, ramp(1), last=True)
    scene.buffer.hold(6)
    scene.buffer.cut(6)
    assert scene.buffer.next_frame() is None
    assert len(scene.reports) == told


def test_sound_of_a_cut_epoch_is_thrown_away(scene):
    scene.buffer.play(3, ramp(50))
    scene.take(4)
    scene.buffer.cut(3)
    assert scene.reports.last == (3, "cut", 0.08)
    scene.buffer.play(3, ramp(50), last=True)
    (fade,) = scene.take(1)
    assert not fade[FADE:].any()
    assert scene.take(3) == [None] * 3
    assert scene.reports.of(3) == ["playing", "cut"]


def test_cut_before_its_sound_has_come(scene):
    scene.buffer.cut(4)
    scene.buffer.play(4, ramp(3), last=True)
    assert scene.buffer.next_frame() is None
    assert scene.reports == [PlayoutReport(4, 0.0, "cut")]


def test_the_next_one_plays_when_one_is_cut(scene):
    scene.buffer.play(1, ramp(50))
    scene.buffer.play(2, ramp(2, 9000), last=True)
    scene.take(2)
    scene.buffer.cut(1)
    fade, first, *_ = scene.take(3)
    assert not fade[FADE:].any()
    assert first[0] == 9000


def test_hold_falls_silent_within_a_frame_and_resume_loses_nothing(scene):
    sound = np.full(20 * FRAME, 8000, np.int16) + ramp(20)
    scene.buffer.play(1, sound, last=True)
    before = np.concatenate(scene.take(5))
    scene.buffer.hold(1)
    assert scene.reports.last == (1, "held", 0.1)
    (fade,) = scene.take(1)
    assert abs(int(fade[0]) - int(sound[5 * FRAME])) <= 1, "it goes on where it was"
    assert (np.diff(fade[:FADE].astype(int)) <= 0).all()
    assert not fade[FADE - 1 :].any()
    assert scene.take(200) == [None] * 200
    scene.buffer.resume(1)
    assert scene.reports.last == (1, "playing", 0.1)
    after = scene.take_all()
    rise, rest = after[:FADE], after[FADE:]
    assert (np.diff(rise.astype(int)) >= 0).all()
    assert (before == sound[: 5 * FRAME]).all()
    assert (rest == sound[5 * FRAME + FADE :]).all()
    assert len(before) + len(after) == len(sound)
    assert scene.reports.last == (1, "ended", 0.4)


def test_resumed_before_a_frame_was_taken_nothing_has_happened(scene):
    sound = ramp(10)
    scene.buffer.play(1, sound, last=True)
    before = np.concatenate(scene.take(3))
    scene.buffer.hold(1)
    scene.buffer.resume(1)
    assert (np.concatenate((before, scene.take_all())) == sound).all()


def test_held_before_its_sound_has_come(scene):
    scene.buffer.hold(1)
    scene.buffer.play(1, ramp(2), last=True)
    assert scene.take(5) == [None] * 5
    scene.buffer.resume(1)
    assert (scene.take_all() == ramp(2)).all()
    assert scene.reports.of(1) == ["held", "playing", "playing", "ended"]


def test_held_and_cut(scene):
    scene.buffer.play(1, ramp(10))
    scene.take(2)
    scene.buffer.hold(1)
    scene.take(3)
    scene.buffer.cut(1)
    assert scene.take(2) == [None, None]
    assert scene.reports.last == (1, "cut", 0.04)
    scene.buffer.resume(1)
    assert scene.take(2) == [None, None]


def test_the_fade_of_one_that_was_cut_is_not_taken_back_by_another_that_goes_on(scene):
    scene.buffer.play(1, ramp(10))
    scene.buffer.play(2, ramp(2, 4000), last=True)
    scene.buffer.hold(2)
    scene.take(1)
    scene.buffer.cut(1)
    scene.buffer.resume(2)
    fade, first = scene.take(2)
    assert fade.any()
    assert not fade[FADE:].any()
    assert first[0] == 4000


def test_sound_that_does_not_come_in_time_is_silence_and_goes_on(scene):
    sound = ramp(12)
    scene.buffer.play(1, sound[: FRAME + 300])
    first, fade, silence = scene.take(3)
    assert first.any()
    assert fade[:FADE].any()
    assert not fade[FADE:].any()
    assert silence is None
    assert scene.buffer.awaits_sound
    assert scene.buffer.underruns == 1
    scene.buffer.play(1, sound[FRAME + 300 : FRAME + REFILL - 1])
    assert scene.take(1) == [None], "a little is not enough to go on"
    scene.buffer.play(1, sound[FRAME + REFILL - 1 :], last=True)
    rest = scene.take_all()
    assert (rest[FADE:] == sound[FRAME + FADE :]).all()
    assert scene.buffer.underruns == 1
    assert scene.reports.of(1) == ["playing", "playing", "ended"]
    assert scene.reports.last == (1, "ended", 0.24)


def test_the_wait_for_the_first_sound_is_no_underrun(scene):
    scene.buffer.play(1, ramp(0.5))
    assert scene.take(10) == [None] * 10
    assert scene.buffer.underruns == 0
    scene.buffer.play(1, ramp(0), last=True)
    assert len(scene.take_all()) == FRAME


def test_an_utterance_that_is_never_finished_is_given_up(scene):
    scene.buffer.play(1, ramp(1))
    scene.buffer.play(2, ramp(1, 4000), last=True)
    frames = scene.take(STARVED_FRAMES + 3)
    assert scene.reports.of(1) == ["playing", "failed"]
    assert [frame[0] for frame in frames if frame is not None] == [1, 4000]


def test_what_does_not_fit_fails(scene):
    piece = np.ones(PLAYOUT_RATE, np.int16)
    for _ in range(int(BUFFER_S)):
        scene.buffer.play(1, piece)
    assert scene.buffer.buffered_s == BUFFER_S
    scene.buffer.play(2, piece)
    assert scene.reports == [PlayoutReport(2, 0.0, "failed")]
    scene.buffer.play(1, piece)
    assert scene.reports.last == (1, "failed", 0.0)
    assert scene.buffer.buffered_s == 0
    scene.buffer.play(1, piece)
    assert scene.buffer.next_frame() is None


def test_so_many_utterances_wait_and_no_more(scene):
    for epoch in range(MAX_UTTERANCES + 2):
        scene.buffer.play(epoch, ramp(1), last=True)
    assert [report.epoch for report in scene.reports] == [MAX_UTTERANCES, MAX_UTTERANCES + 1]
    assert {report.status for report in scene.reports} == {"failed"}
    assert len(scene.take_all()) == MAX_UTTERANCES * FRAME


def test_reports_come_each_fifth_of_a_second(scene):
    scene.buffer.play(1, ramp(35), last=True)
    scene.take_all()
    assert [round(report.played_s, 3) for report in scene.reports] == [0.02, 0.22, 0.42, 0.62, 0.7]


def test_an_utterance_without_sound_ends(scene):
    scene.buffer.play(1, ramp(0), last=True)
    assert scene.buffer.wanted.is_set()
    assert scene.buffer.next_frame() is None
    assert scene.reports == [PlayoutReport(1, 0.0, "ended")]
    assert not scene.buffer.wanted.is_set()


def test_closed_in_mid_utterance_all_that_waits_fails(scene):
    scene.buffer.play(1, ramp(5))
    scene.buffer.play(2, ramp(5))
    scene.take(2)
    scene.buffer.close()
    scene.buffer.close()
    assert [(report.epoch, report.status) for report in scene.reports][-2:] == [(1, "failed"), (2, "failed")]
    assert scene.buffer.next_frame() is None


def test_ten_thousand_utterances_leave_nothing(scene):
    def some(begin: int) -> None:
        for epoch in range(begin, begin + 1000):
            scene.buffer.play(epoch, ramp(2), last=epoch % 3 > 0)
            scene.take(1)
            if epoch % 3 == 0:
                scene.buffer.hold(epoch)
                scene.take(1)
                scene.buffer.cut(epoch)
            scene.take(3)
        scene.reports.clear()

    some(0)
    tracemalloc.start()
    some(1000)
    before, _ = tracemalloc.get_traced_memory()
    for begin in range(2000, 11_000, 1000):
        some(begin)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 100_000
    assert scene.buffer.buffered_s == 0
