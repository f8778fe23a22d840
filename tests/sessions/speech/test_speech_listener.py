"""What a session hears: sentences that are asked, words for turn taking, and sounds."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.clock import ManualClock
from fakes.patience import until
from fakes.speech.asr import ToldAsr, voice
from joyvl_server.core.errors import Conflict
from joyvl_server.core.inputs import (
    Input,
    SoundHeard,
    SpeechContinued,
    SpeechLasted,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TranscriptFailed,
)
from joyvl_server.ingest.audio.base import (
    SoundDetected,
    SpeechAudio,
    SpeechBegan,
    SpeechContinues,
    SpeechEnded,
    SpeechLasts,
    SpeechPauses,
)
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.sessions.sinks.messages import Failure, HeardDone, Message, SpeechNoticed
from joyvl_server.sessions.speech.listener import TALK_S, SpeechListener
from joyvl_server.settings import SessionSettings
from joyvl_server.speech.base import Heard, SpeechError
from joyvl_server.speech.hearing import SpeechHearing
from joyvl_server.speech.wake_word import ListenMode


class FakeAsr(ToldAsr):
    """Answers at once; `fails` is raised instead."""

    fails: SpeechError | None = None

    async def hear(self, audio: Pcm, *, language: str | None, partial: bool = False) -> Heard:
        if self.fails is not None:
            raise self.fails
        return await super().hear(audio, language=language, partial=partial)


class Scene:
    """A session that notes what it is asked, with what understands speech."""

    def __init__(self, asr: Any | None, mode: str = "open", **settings: Any) -> None:
        self.clock = ManualClock()
        self.inputs: list[Input] = []
        self.messages: list[Message] = []
        self.asked: list[str] = []
        self.refuses: Exception | None = None
        hearing = None if asr is None else SpeechHearing(asr, self.clock)
        self.listener = SpeechListener(self, hearing, self, self, self.clock)
        self.listener.configure(SessionSettings(**settings), ListenMode(mode))

    @property
    def now(self) -> float:
        return self.clock.monotonic() - 1000

    def take(self, input: Input) -> None:
        self.inputs.append(input)

    def publish(self, message: Message) -> None:
        self.messages.append(message)

    def ask(self, text: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.asked.append(text)

    def of(self, kind: type) -> list[Any]:
        return [entry for entry in (*self.inputs, *self.messages) if isinstance(entry, kind)]

    def says(self, speech_id: str = "s1", seconds: float = 1.5) -> None:
        self.listener.take(SpeechBegan(speech_id, 1.0))
        self.listener.take(SpeechAudio(speech_id, voice(seconds)))
        self.listener.take(SpeechPauses(speech_id, 1.2))
        self.listener.take(SpeechContinues(speech_id, 1.4))
        self.listener.take(SpeechLasts(speech_id, 1.9))
        self.listener.take(SpeechEnded(speech_id, 1.0 + seconds, seconds))


async def test_a_sentence_is_asked_as_if_it_had_been_typed() -> None:
    scene = Scene(FakeAsr("Tell me when someone comes."))
    scene.says()
    await until(lambda: scene.asked)
    assert scene.asked == ["Tell me when someone comes."]
    kinds = [type(input) for input in scene.inputs if not (isinstance(input, Transcript) and not input.final)]
    assert kinds == [SpeechStarted, SpeechPaused, SpeechContinued, SpeechLasted, SpeechStopped, Transcript]
    assert scene.of(Transcript)[-1] == Transcript(scene.now, "s1", "Tell me when someone comes.", final=True)
    assert [(noticed.begins, noticed.t) for noticed in scene.of(SpeechNoticed)] == [(True, 1.0), (False, 2.5)]
    assert scene.of(HeardDone) == [HeardDone("s1", "Tell me when someone comes.", True)]


async def test_noise_is_no_sentence() -> None:
    scene = Scene(FakeAsr(""))
    scene.says()
    await until(lambda: scene.of(HeardDone))
    assert scene.asked == []
    assert scene.of(Transcript)[-1].text == ""


async def test_where_nothing_understands_speech_the_machine_is_not_left_waiting() -> None:
    scene = Scene(None)
    scene.says()
    assert [type(input) for input in scene.inputs] == [
        SpeechStarted, SpeechPaused, SpeechContinued, SpeechLasted, SpeechStopped, TranscriptFailed
    ]  # fmt: skip


async def test_a_failure_is_told_once_until_a_sentence_is_understood() -> None:
    asr = FakeAsr("Yes, I do.")
    asr.fails = SpeechError("The process died.")
    scene = Scene(asr)
    for number in range(3):
        scene.says(f"s{number}")
        await until(lambda number=number: len(scene.of(TranscriptFailed)) == number + 1)
    assert len(scene.of(Failure)) == 1
    asr.fails = None
    scene.says("s8")
    await until(lambda: scene.asked)
    asr.fails = SpeechError("It died again.")
    scene.says("s9")
    await until(lambda: len(scene.of(Failure)) == 2)


async def test_a_question_too_many_is_told() -> None:
    scene = Scene(FakeAsr("What is that?"))
    scene.refuses = Conflict("16 questions are still open.", code="too_many")
    scene.says()
    await until(lambda: scene.of(Failure))
    assert scene.of(Failure)[0].code == "too_many"


async def test_off_hears_no_words_and_sounds_all_the_same() -> None:
    scene = Scene(FakeAsr("Hello."), "off")
    scene.says()
    scene.listener.take(SoundDetected("smoke_alarm", scene.now - 2, -20.0))
    assert [type(input) for input in scene.inputs] == [SoundHeard]
    assert scene.inputs[0].wall == pytest.approx(scene.clock.wall() - 2)


async def test_push_to_talk_hears_while_the_button_is_held() -> None:
    scene = Scene(FakeAsr("Hello there."), "push_to_talk")
    scene.says("a")
    assert scene.inputs == []
    scene.listener.talk(True)
    scene.says("b")
    await until(lambda: scene.asked)
    scene.listener.talk(False)
    scene.says("c")
    scene.listener.talk(True)
    await scene.clock.advance(TALK_S)  # the client has vanished
    scene.says("d")
    assert {input.id for input in scene.of(SpeechStarted)} == {"b"}


async def test_only_sentences_with_the_wake_word_are_taken_and_the_next_one_needs_none() -> None:
    asr = FakeAsr("What a day.")
    scene = Scene(asr, wake_word="Computer", follow_up_s=10.0)
    scene.says("a")
    await until(lambda: scene.of(HeardDone))
    assert (scene.asked, scene.of(Transcript)[-1].addressed) == ([], False)
    asr.text = "Computer, who is at the door?"
    scene.says("b")
    await until(lambda: scene.asked)
    assert "who is at the door" in scene.asked[0].lower()
    asr.text = "And in the garden?"
    scene.says("c")
    await until(lambda: len(scene.asked) == 2)


async def test_closing_drops_what_is_under_way() -> None:
    scene = Scene(FakeAsr("Hello there."))
    scene.listener.take(SpeechBegan("a", 1.0))
    await scene.listener.aclose()
    await scene.listener.aclose()
    assert scene.asked == []
