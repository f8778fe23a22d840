"""Who is heard first where many speak at once."""

from __future__ import annotations

import asyncio

import pytest

from fakes.clock import ManualClock
from fakes.speech.asr import ToldAsr, voice
from joyvl_server.speech.asr.queue import HearingLimits, HearingQueue
from joyvl_server.speech.base import SpeechError


def start(queue, name):
    return asyncio.create_task(queue.final(voice(1.0), name))


async def test_one_after_the_other_in_their_order():
    asr, clock = ToldAsr(), ManualClock()
    queue = HearingQueue(asr, clock)
    asked = [start(queue, name) for name in "abc"]
    for number, name in enumerate("abc"):
        await clock.settle()
        assert [call.language for call in asr.open] == [name]
        assert queue.waiting == 2 - number
        asr.open[0].say(name)
    assert [heard.text for heard in await asyncio.gather(*asked)] == ["a", "b", "c"]


async def test_partials_wait_for_nobody_and_nobody_for_them():
    asr, clock = ToldAsr(), ManualClock()
    queue = HearingQueue(asr, clock)
    final = start(queue, "a")
    await clock.settle()
    assert not queue.may_ask_partial()
    assert not queue.may_ask_partial(early=True)
    with pytest.raises(SpeechError) as raised:
        await queue.partial(voice(1.0), None)
    assert raised.value.code == "busy"
    asr.open[0].say("a")
    await final
    assert queue.may_ask_partial()


async def test_more_than_may_wait_are_refused_at_once():
    asr, clock = ToldAsr(), ManualClock()
    queue = HearingQueue(asr, clock, HearingLimits(waiting=2))
    asked = [start(queue, name) for name in "abcd"]
    await clock.settle()
    with pytest.raises(SpeechError) as raised:
        await asked[3]
    assert (raised.value.code, queue.refused, queue.waiting) == ("busy", 1, 2)
    asr.text = "x"
    asr.open[0].say("x")
    assert [heard.text for heard in await asyncio.gather(*asked[:3])] == ["x", "x", "x"]


async def test_who_waits_too_long_fails_and_the_next_is_heard():
    asr, clock = ToldAsr(), ManualClock()
    queue = HearingQueue(asr, clock, HearingLimits(timeout_s=10))
    first = start(queue, "a")
    await clock.advance(8)
    second = start(queue, "b")
    await clock.advance(3)
    with pytest.raises(SpeechError, match="took too long"):
        await first
    assert [call.language for call in asr.open] == ["b"]
    third = start(queue, "c")
    await clock.advance(9)
    with pytest.raises(SpeechError, match="took too long"):
        await second
    asr.open[0].say("c")
    assert (await third).text == "c"


async def test_who_goes_away_leaves_no_gap():
    asr, clock = ToldAsr(), ManualClock()
    queue = HearingQueue(asr, clock)
    asked = [start(queue, name) for name in "abc"]
    await clock.settle()
    asked[1].cancel()
    await clock.settle()
    assert queue.waiting == 1
    asked[0].cancel()
    await clock.settle()
    assert [call.language for call in asr.open] == ["c"]
    asr.open[0].say("c")
    assert (await asked[2]).text == "c"
    assert queue.may_ask_partial(early=True)


async def test_cancelled_in_the_moment_of_its_turn_it_passes_it_on():
    asr, clock = ToldAsr(), ManualClock()
    queue = HearingQueue(asr, clock)
    asked = [start(queue, name) for name in "abc"]
    await clock.settle()
    asr.open[0].say("a")
    while queue.waiting == 2:
        await asyncio.sleep(0)
    asked[1].cancel()
    await clock.settle()
    assert [call.language for call in asr.open] == ["c"]
    asr.open[0].say("c")
    assert (await asked[2]).text == "c"


async def test_several_at_once_where_the_engine_can():
    asr, clock = ToldAsr(), ManualClock()
    queue = HearingQueue(asr, clock, HearingLimits(at_once=2))
    asked = [start(queue, name) for name in "abc"]
    await clock.settle()
    assert [call.language for call in asr.open] == ["a", "b"]
    asr.text = "x"
    for call in asr.open:
        call.say("x")
    assert len(await asyncio.gather(*asked)) == 3
