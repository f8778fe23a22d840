"""A voice that is slower than it speaks is heard later, but without gaps."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from fakes.clock import ManualClock
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.speech.tts.voice_pace import LONGEST_S, VoicePace, usual_seconds

TEXT = "x" * 40
"""2.6 s"""


def sound(seconds: float) -> Pcm:
    return Pcm(np.ones(round(seconds * 1000), np.int16), 1000)


class SlowVoice:
    """Makes pieces of so many seconds, each in `factor` times as long."""

    def __init__(self, clock: ManualClock, factor: float, *seconds: float) -> None:
        self._clock = clock
        self._factor = factor
        self._seconds = seconds
        self.closed = False

    async def __call__(self):
        try:
            for seconds in self._seconds:
                await self._clock.sleep(self._factor * seconds)
                yield sound(seconds)
        finally:
            self.closed = True


async def heard(pace: VoicePace, clock: ManualClock, factor: float, *seconds: float) -> list[float]:
    """When each piece came, from the beginning on."""
    began = clock.monotonic()
    came: list[float] = []

    async def listen() -> None:
        steady = pace.steady(SlowVoice(clock, factor, *seconds)(), TEXT)
        came.extend([clock.monotonic() - began async for _ in steady])

    listening = asyncio.create_task(listen())
    while not listening.done():
        await clock.advance(0.05)
    await listening
    return came


def gaps(came: list[float], *seconds: float) -> float:
    """How long it would be silent between the pieces."""
    ends, silent = came[0], 0.0
    for at, lasts in zip(came, seconds, strict=True):
        silent += max(0.0, at - ends)
        ends = max(ends, at) + lasts
    return silent


async def test_a_first_sentence_is_heard_at_once() -> None:
    clock = ManualClock()
    came = await heard(VoicePace(clock), clock, 0.5, 0.6, 2.0)
    assert came == pytest.approx([0.3, 1.3], abs=0.06)


@pytest.mark.parametrize("factor", [0.3, 0.7, 0.9, 1.6])
async def test_what_is_known_to_be_slow_has_no_gaps(factor: float) -> None:
    clock = ManualClock()
    pace = VoicePace(clock)
    pieces = (0.6, 2.0)
    first = await heard(pace, clock, factor, *pieces)
    later = await heard(pace, clock, factor, *pieces)
    assert gaps(first, *pieces) > 0 or factor == 0.3
    assert gaps(later, *pieces) == pytest.approx(0.0, abs=0.06)
    assert later[0] <= factor * 2.6 * 1.15, "no later than it had to be"


async def test_a_quick_voice_is_never_held_back() -> None:
    clock = ManualClock()
    pace = VoicePace(clock)
    for _ in range(3):
        came = await heard(pace, clock, 0.05, 0.6, 2.0)
        assert came[0] == pytest.approx(0.03, abs=0.06)


async def test_nobody_waits_for_ever_for_a_first_word() -> None:
    clock = ManualClock()
    pace = VoicePace(clock)
    await heard(pace, clock, 20.0, 2.6)
    came = await heard(pace, clock, 5.0, 0.5, 2.1)
    assert came[0] == pytest.approx(LONGEST_S, abs=0.06)


async def test_who_stops_listening_stops_the_voice() -> None:
    clock = ManualClock()
    voice = SlowVoice(clock, 1.0, 0.5, 5.0)
    pieces = voice()
    async with aclosing(pieces), aclosing(VoicePace(clock).steady(pieces, TEXT)) as steady:
        asking = asyncio.create_task(anext(steady))
        await clock.advance(0.6)
        assert (await asking).seconds == pytest.approx(0.5)
        asking = asyncio.create_task(anext(steady))
        await clock.advance(0.6)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert voice.closed
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_what_fails_before_it_was_heard_was_not_heard() -> None:
    clock = ManualClock()
    pace = VoicePace(clock)
    await heard(pace, clock, 1.0, 2.6)

    async def breaks():
        yield sound(0.2)
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        await anext(pace.steady(breaks(), TEXT))


def test_chinese_signs_take_longer() -> None:
    assert usual_seconds("有人来了") == pytest.approx(0.88)
    assert usual_seconds("come") == pytest.approx(0.26)
