"""The track's moments on a clock that stands still: when frames leave, and which numbers they have."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from fakes.clock import ManualClock
from joyvl_server.ingest.audio.base import PlayoutReport
from joyvl_server.ingest.audio.playout import FRAME, FRAME_S, PLAYOUT_RATE, PlayoutBuffer
from joyvl_server.ingest.webrtc.voice_track import LATE_S, SILENCE_S, VoiceTrack
from joyvl_server.kit.audio.pcm import Samples


class Sender:
    """Takes frames as aiortc does: one, and when it is away the next. It is the echo's reference and hears reports."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.begin = self.clock.monotonic()
        self.buffer = PlayoutBuffer(self)
        self.track = VoiceTrack(self.buffer, self, self.clock)
        self.track.opus = False
        self.sent: list[tuple[float, int, bool]] = []
        """moment since the beginning, pts, whether there was sound in it"""
        self.reports: list[PlayoutReport] = []
        self.references: list[float] = []
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            frame = await self.track.recv()
            sound = bool(frame.to_ndarray().any())
            self.sent.append((round(self.clock.monotonic() - self.begin, 6), frame.pts, sound))

    def played(self, what: PlayoutReport | Samples, moment: float = 0.0, /) -> None:
        if isinstance(what, PlayoutReport):
            self.reports.append(what)
        else:
            self.references.append(round(moment - self.begin, 6))

    def say(self, seconds: float, *, last: bool = True, epoch: int = 1) -> None:
        self.buffer.play(epoch, np.full(round(seconds * PLAYOUT_RATE), 99, np.int16), last=last)

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)


@pytest.fixture
async def sender():
    sender = Sender()
    await sender.advance(0)
    yield sender
    sender.task.cancel()
    await asyncio.wait({sender.task})


async def test_nothing_is_sent_before_there_is_something_to_say(sender):
    await sender.advance(60)
    assert sender.sent == []
    sender.say(0.1)
    await sender.advance(0.001)
    ((moment, _, sound),) = sender.sent
    assert (moment, sound) == (60.0, True), "and then at once"


async def test_a_frame_leaves_each_20_ms_and_pts_grow_by_960(sender):
    sender.say(3)
    await sender.advance(3 - FRAME_S / 2)
    assert len(sender.sent) == 150
    for number, (moment, pts, sound) in enumerate(sender.sent):
        assert moment == pytest.approx(number * FRAME_S)
        assert (pts, sound) == (number * FRAME, True)
    assert sender.references == [pytest.approx(number * FRAME_S) for number in range(150)]


async def test_silence_follows_for_a_while_then_nothing_and_pts_know_how_long_it_was(sender):
    sender.say(0.1)
    await sender.advance(30)
    assert len(sender.sent) == 5 + SILENCE_S / FRAME_S
    await sender.advance(0.007)
    sender.say(0.1, epoch=2)
    await sender.advance(0.1)
    (_, before, _), *_ = sender.sent[-7:]
    spoken = [(moment, pts) for moment, pts, sound in sender.sent if sound][5:]
    assert spoken[0] == (30.007, 1500 * FRAME)
    assert [moment for moment, _ in spoken[1:]] == [pytest.approx(30 + number * FRAME_S) for number in range(1, 5)]
    assert before < spoken[0][1]


async def test_pts_always_grow_and_are_whole_frames(sender):
    for epoch, pause in enumerate((0.01, 0.05, 1.99, 2.0, 2.01, 2.05, 2.09, 2.13, 7.777)):
        sender.say(0.05, epoch=epoch)
        await sender.advance(0.05 + pause)
    numbers = [pts for _, pts, _ in sender.sent]
    assert all(pts % FRAME == 0 for pts in numbers)
    assert all(after > before for before, after in zip(numbers, numbers[1:], strict=False))
    moments = [moment for moment, _, _ in sender.sent]
    assert all(abs(pts / PLAYOUT_RATE - moment) < FRAME_S for pts, moment in zip(numbers, moments, strict=True))


async def test_a_short_stall_is_made_up_for_and_a_long_one_left_out(sender):
    sender.say(5)
    await sender.advance(1 - FRAME_S / 2)
    sender.clock._now += LATE_S * 0.9  # the process stands still; nobody is woken meanwhile
    await sender.advance(0.2)
    pts = [pts for _, pts, _ in sender.sent]
    assert pts == [number * FRAME for number in range(len(pts))]
    count = len(pts)
    sender.clock._now += 3.0
    await sender.advance(0.1)
    after = sender.sent[count:]
    assert len(after) <= 7, "no burst"
    assert after[0][1] > (count + 140) * FRAME
    assert all(sound for _, _, sound in after), "and no sound is lost"


async def test_an_utterance_whose_sound_is_late_keeps_the_track_awake(sender):
    sender.say(0.1, last=False)
    await sender.advance(10 - FRAME_S / 2)
    assert len(sender.sent) == 500
    sender.say(0.1)
    await sender.advance(0.1)
    assert [sound for _, _, sound in sender.sent].count(True) == 10


async def test_held_it_is_silent_one_frame_later(sender):
    sender.say(5)
    await sender.advance(1.001)
    sender.buffer.hold(1)
    count = len(sender.sent)
    await sender.advance(0.2)
    assert [sound for _, _, sound in sender.sent[count:]] == [True] + [False] * 9, "the fade, 5 ms of it"
    sender.buffer.resume(1)
    await sender.advance(0.02)
    assert sender.sent[-1][2]


async def test_stopped_it_gives_nothing_more(sender):
    sender.track.stop()
    with pytest.raises(MediaStreamError):
        await sender.track.recv()


async def test_cancelled_it_takes_no_sound(sender):
    sender.say(1)
    await sender.advance(0.1)
    sender.task.cancel()
    await asyncio.wait({sender.task})
    left = sender.buffer.buffered_s
    assert left == pytest.approx(1 - len(sender.sent) * FRAME_S)
