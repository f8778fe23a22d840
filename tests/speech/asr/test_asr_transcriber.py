"""From pieces of sound to words so far and all words, with an engine that a test answers for."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from fakes.clock import ManualClock
from fakes.speech.asr import RATE, ToldAsr, pause, voice
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.speech.asr.queue import HearingLimits, HearingQueue
from joyvl_server.speech.asr.transcriber import SpeechTranscriber
from joyvl_server.speech.base import SpeechError


class Listening:
    """One segment and what it told."""

    def __init__(self, speaker):
        self.segment = speaker.begin(RATE)
        self.told = []
        self.task = asyncio.ensure_future(self._take())

    async def _take(self):
        async for words in self.segment.words():
            self.told.append(words)
        return self.told[-1]


def hearing(asr, clock, **limits):
    return HearingQueue(asr, clock, HearingLimits(**limits))


async def test_all_words_come_at_the_end():
    asr, clock = ToldAsr(partials=False), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock)))
    for _ in range(10):
        speaking.segment.add(voice(0.1))
        await clock.settle()
    assert asr.calls == []
    speaking.segment.end()
    await clock.settle()
    assert [(len(call.audio.samples), call.partial) for call in asr.calls] == [(RATE, False)]
    asr.calls[0].say("Who is there?")
    words = await speaking.task
    assert (words.text, words.final, words.language, words.cut) == ("Who is there?", True, "en", False)


async def test_words_so_far_come_on_a_budget():
    asr, clock = ToldAsr(), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock, partial_share=0.5, partial_every_s=0.5)))
    for said in ("Tell me", "Tell me when", "Tell me when someone"):
        speaking.segment.add(voice(0.5))
        await clock.settle()
        assert len(asr.open) == 1
        await clock.advance(0.4)
        asr.open[0].say(said)
        await clock.settle()
        speaking.segment.add(voice(0.1))
        await clock.settle()
        assert asr.open == []  # half of the time is not ours
        await clock.advance(0.5)
    assert [words.text for words in speaking.told] == ["Tell me", "Tell me when"]
    assert all(call.partial for call in asr.calls)
    speaking.segment.end()
    await clock.settle()
    asr.open[0].say("Tell me when someone comes.")
    assert (await speaking.task).text == "Tell me when someone comes."


async def test_what_is_understood_in_the_pause_is_not_asked_for_again():
    asr, clock = ToldAsr(), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock, partial_share=0)))
    speaking.segment.add(voice(1.0))
    for _ in range(6):
        speaking.segment.add(pause(0.1))
        await clock.settle()
    assert [call.partial for call in asr.calls] == [False]  # with care, and once
    speaking.segment.end()
    asr.calls[0].say("Who is there?")
    assert (await speaking.task).text == "Who is there?"
    assert len(asr.calls) == 1


async def test_a_pause_that_has_just_begun_is_not_wasted_on_words_so_far():
    asr, clock = ToldAsr(), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock, partial_share=1.0, partial_every_s=0.0)))
    speaking.segment.add(voice(1.0))
    await clock.settle()
    asr.calls[0].say("Who is")
    await clock.settle()
    for piece in (Pcm(np.concatenate([voice(0.2).samples, pause(0.1).samples]), RATE), pause(0.1), pause(0.1)):
        await clock.advance(0.3)
        speaking.segment.add(piece)
        await clock.settle()
    assert [call.partial for call in asr.calls] == [True, False]
    assert asr.calls[1].audio.seconds == pytest.approx(1.5)
    speaking.task.cancel()


async def test_what_is_said_after_the_pause_is_understood_too():
    asr, clock = ToldAsr(), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock, partial_share=0)))
    for piece in (voice(1.0), pause(0.3)):
        speaking.segment.add(piece)
        await clock.settle()
    asr.calls[0].say("Who is")
    speaking.segment.add(voice(0.5))
    speaking.segment.end()
    await clock.settle()
    asr.calls[1].say("Who is there?")
    assert (await speaking.task).text == "Who is there?"


async def test_a_long_speech_is_cut_at_a_quiet_place_and_joined():
    asr, clock = ToldAsr(partials=False), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock)))
    for _ in range(24):
        speaking.segment.add(voice(1.0))
    speaking.segment.add(pause(0.4))
    for _ in range(10):
        speaking.segment.add(voice(1.0))
    await clock.settle()
    [part] = asr.calls
    assert 24.0 <= part.audio.seconds <= 24.4
    part.say("The first part.")
    await clock.settle()
    assert [words.text for words in speaking.told] == ["The first part."]
    speaking.segment.end()
    await clock.settle()
    assert part.audio.seconds + asr.calls[1].audio.seconds == pytest.approx(34.4)
    asr.calls[1].say("The second.")
    assert (await speaking.task).text == "The first part. The second."


async def test_sound_without_an_end_is_cut_off_and_told():
    asr, clock = ToldAsr("And so on.", partials=False), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock), most_s=60.0))
    for _ in range(300):
        speaking.segment.add(voice(1.0))
        await clock.settle()
    words = await speaking.task
    assert words.cut
    assert 55 <= sum(call.audio.seconds for call in asr.calls) <= 60
    assert all(call.audio.seconds <= 30 for call in asr.calls)


async def test_a_part_that_fails_takes_nothing_from_the_others():
    asr, clock = ToldAsr(partials=False), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock)))
    for _ in range(35):
        speaking.segment.add(voice(1.0))
    speaking.segment.end()
    await clock.settle()
    asr.calls[0].answer.set_exception(SpeechError("It died.", code="unavailable"))
    await clock.settle()
    asr.calls[1].say("The end.")
    words = await speaking.task
    assert (words.text, words.cut) == ("The end.", True)


async def test_where_nothing_is_understood_it_fails_in_words_and_in_time():
    asr, clock = ToldAsr(partials=False), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock, timeout_s=10)))
    speaking.segment.add(voice(1.0))
    speaking.segment.end()
    await clock.advance(9.9)
    assert not speaking.task.done()
    await clock.advance(0.2)
    with pytest.raises(SpeechError, match="too long") as raised:
        await speaking.task
    assert raised.value.code == "timeout"
    await clock.settle()
    assert asr.calls[0].cancelled


async def test_a_fault_of_the_engine_is_one_sentence_lost():
    asr, clock = ToldAsr(partials=False), ManualClock()
    speaker = SpeechTranscriber(hearing(asr, clock))
    speaking = Listening(speaker)
    speaking.segment.add(voice(1.0))
    speaking.segment.end()
    await clock.settle()
    asr.calls[0].answer.set_exception(KeyError("secret"))
    with pytest.raises(SpeechError, match=r"^told failed: KeyError\.$"):
        await speaking.task
    asr.text = "Here."
    again = Listening(speaker)
    again.segment.add(voice(1.0))
    again.segment.end()
    assert (await again.task).text == "Here."


async def test_a_click_is_not_asked_about():
    asr, clock = ToldAsr(), ManualClock()
    speaking = Listening(SpeechTranscriber(hearing(asr, clock)))
    speaking.segment.add(voice(0.1))
    speaking.segment.end()
    assert (await speaking.task).text == ""
    assert asr.calls == []


async def test_the_language_is_found_once_and_again_where_nothing_is_understood_in_it():
    asr, clock = ToldAsr(partials=False), ManualClock()
    speaker = SpeechTranscriber(hearing(asr, clock))
    asked = []
    for text, language in (("Wer ist da?", "de"), ("Hallo.", None), ("", None), ("有人吗？", "zh")):
        speaking = Listening(speaker)
        speaking.segment.add(voice(2.0))
        speaking.segment.end()
        await clock.settle()
        asked.append(asr.calls[-1].language)
        asr.calls[-1].say(text, language)
        await speaking.task
    assert asked == [None, "de", "de", None]
    assert speaker.language == "zh"
    assert SpeechTranscriber(hearing(asr, clock), language="fr").language == "fr"


async def test_whoever_stops_listening_gives_the_work_up():
    asr, clock = ToldAsr(), ManualClock()
    queue = hearing(asr, clock)
    speaking = Listening(SpeechTranscriber(queue))
    speaking.segment.add(voice(1.0))
    await clock.settle()
    assert len(asr.open) == 1
    speaking.task.cancel()
    await clock.settle()
    assert asr.open == []
    assert queue.may_ask_partial(early=True)  # the engine is free
