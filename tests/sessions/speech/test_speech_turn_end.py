"""When a speech ends, where the voice tells whether somebody has finished."""

from __future__ import annotations

import asyncio

import pytest

from fakes.clock import ManualClock
from fakes.speech.asr import voice
from joyvl_server.core.inputs import Input
from joyvl_server.ingest.audio.base import (
    AudioEvent,
    PlayoutReport,
    SpeechAudio,
    SpeechBegan,
    SpeechContinues,
    SpeechEnded,
    SpeechPauses,
)
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.sessions.speech.turn_end import EndOfTurn
from joyvl_server.speech.base import SpeechError


class Scene:
    """Somebody begins to speak at 1 s and falls silent at 3 s."""

    def __init__(self, finished: float | None = None, *, fails: bool = False, hangs: bool = False) -> None:
        self.clock = ManualClock()
        self.told: list[AudioEvent] = []
        self.seen: list[float] = []
        self.given_up = 0
        self._answer, self._fails, self._hangs = finished, fails, hangs
        self._origin = self.clock.monotonic()
        self.ending = EndOfTurn(self, self.told.append, self, self.clock)

    @property
    def now(self) -> float:
        return self.clock.monotonic() - self._origin

    def take(self, input: Input) -> None: ...

    async def finished(self, audio: Pcm) -> float | None:
        self.seen.append(audio.seconds)
        if self._fails:
            raise SpeechError("It died.")
        if self._hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up += 1
        return self._answer

    async def pauses(self) -> None:
        await self.clock.advance(1.0)
        self.ending.take(SpeechBegan("s1", 1.0))
        for _ in range(20):
            self.ending.take(SpeechAudio("s1", voice(0.1)))
        await self.clock.advance(2.2)
        self.ending.take(SpeechPauses("s1", 3.0))
        await self.clock.settle()

    async def ends_after(self) -> float:
        """Seconds of silence until it is told that it ended."""
        await self.pauses()
        while not self.ends:
            await self.clock.advance(0.05)
        return round(self.now - 3.0, 2)

    @property
    def ends(self) -> list[SpeechEnded]:
        return [event for event in self.told if isinstance(event, SpeechEnded)]


async def test_the_voice_makes_it_end_sooner_or_later_and_who_cannot_tell_changes_nothing() -> None:
    assert await Scene(0.95).ends_after() == pytest.approx(0.3, abs=0.06)
    assert await Scene(0.05).ends_after() == pytest.approx(1.2, abs=0.06)
    assert await Scene(None).ends_after() == pytest.approx(0.6, abs=0.06)
    assert await Scene(fails=True).ends_after() == pytest.approx(0.6, abs=0.06)
    hanging = Scene(hangs=True)
    assert await hanging.ends_after() == pytest.approx(0.6, abs=0.06)
    assert (hanging.given_up, hanging.seen, hanging.ends) == (1, [2.0], [SpeechEnded("s1", 3.0, 2.0)])


async def test_who_goes_on_before_is_not_interrupted() -> None:
    scene = Scene(0.5)
    await scene.pauses()
    scene.ending.take(SpeechContinues("s1", 3.4))
    scene.ending.take(SpeechAudio("s1", voice(0.5)))
    await scene.clock.advance(2.0)
    scene.ending.take(SpeechEnded("s1", 4.0, 3.0))
    assert scene.ends == [SpeechEnded("s1", 4.0, 3.0)]
    assert {event.id for event in scene.told} == {"s1"}


async def test_who_goes_on_after_the_end_speaks_again_and_none_of_it_is_lost() -> None:
    scene = Scene(0.95)
    await scene.ends_after()
    before = len(scene.told)
    scene.ending.take(SpeechAudio("s1", voice(0.3)))
    scene.ending.take(SpeechContinues("s1", 3.5))
    scene.ending.take(SpeechAudio("s1", voice(0.4)))
    scene.ending.take(SpeechEnded("s1", 4.5, 3.5))
    after = scene.told[before:]
    assert after[0] == SpeechBegan("s1.2", 3.5)
    assert [event.audio.seconds for event in after if isinstance(event, SpeechAudio)] == [0.3, 0.4]
    assert after[-1] == SpeechEnded("s1.2", 4.5, 1.0)
    assert {event.id for event in after} == {"s1.2"}


async def test_the_end_that_the_source_tells_afterwards_is_no_second_one() -> None:
    scene = Scene(0.95)
    await scene.ends_after()
    scene.ending.take(SpeechEnded("s1", 3.0, 2.0))
    report = PlayoutReport(1, 0.5, "playing")
    scene.ending.take(report)
    assert scene.ends == [SpeechEnded("s1", 3.0, 2.0)]
    assert scene.told[-1] == report


async def test_sound_that_breaks_off_ends_it_at_once_and_a_closed_one_decides_nothing() -> None:
    scene = Scene(hangs=True)
    await scene.pauses()
    scene.ending.take(SpeechEnded("s1", 3.0, 2.0, lost=True))
    await scene.clock.advance(2.0)
    assert scene.ends == [SpeechEnded("s1", 3.0, 2.0, lost=True)]
    other = Scene(0.95)
    await other.pauses()
    other.ending.close()
    await other.clock.advance(2.0)
    assert other.ends == []


async def test_the_detector_sees_the_end_of_a_long_speech() -> None:
    scene = Scene(0.95)
    scene.ending.take(SpeechBegan("s1", 0.0))
    for _ in range(200):
        scene.ending.take(SpeechAudio("s1", voice(0.1)))
    scene.ending.take(SpeechPauses("s1", 20.0))
    await scene.clock.settle()
    (seen,) = scene.seen
    assert 8.0 <= seen < 8.2
