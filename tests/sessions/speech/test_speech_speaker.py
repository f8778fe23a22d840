"""The speaker over a fake call: sentence by sentence, one utterance at a time, and what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fakes.clock import ManualClock
from fakes.media.audio import FakeAudio
from joyvl_server.core.errors import ConfigError
from joyvl_server.core.inputs import Input, PlaybackAcked, PlaybackEnded
from joyvl_server.ingest.audio.base import PlayoutReport
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.sessions.sinks.messages import Failure, Message, PlaybackStarted
from joyvl_server.sessions.speech.speaker import CLIENT_S, REPORT_S, Speaker
from joyvl_server.speech.base import SpeechError

RATE = 8000


class FakeVoice:
    """A second of sound a sentence, in two pieces. `fails`: what it raises instead, once each."""

    def __init__(self, *, remote: bool = False) -> None:
        self.sentences: list[str] = []
        self.fails: list[Exception] = []
        self.blocks: asyncio.Event | None = None
        self.closed = 0
        self.trouble = ""
        self._remote = remote

    def remote(self, wanted: str | None) -> bool:
        return self._remote

    def fault(self, wanted: str | None) -> str:
        return self.trouble

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def speak(self, sentence: str, *, wanted: str | None) -> AsyncIterator[Pcm]:
        self.sentences.append(sentence)
        try:
            if self.fails:
                raise self.fails.pop()
            for _ in range(2):
                yield Pcm(np.ones(RATE // 2, np.int16), RATE)
                if self.blocks is not None:
                    await self.blocks.wait()
        finally:
            self.closed += 1


class FakeMachine:
    def __init__(self, clock: ManualClock) -> None:
        self.inputs: list[Input] = []
        self._clock = clock

    @property
    def now(self) -> float:
        return self._clock.monotonic() - 1000

    def take(self, input: Input) -> None:
        self.inputs.append(input)

    @property
    def ended(self) -> list[tuple[int, int | None]]:
        return [(input.epoch, input.heard) for input in self.inputs if isinstance(input, PlaybackEnded)]


class FakeBus:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def publish(self, message: Message) -> None:
        self.messages.append(message)

    def of(self, kind: type) -> list[Message]:
        return [message for message in self.messages if isinstance(message, kind)]


class Scene:
    def __init__(self, *, voice: FakeVoice | None = None, plays: bool = True) -> None:
        self.clock = ManualClock()
        self.audio = FakeAudio(plays=plays)
        self.machine = FakeMachine(self.clock)
        self.bus = FakeBus()
        self.voice = voice or FakeVoice()
        self.speaker = Speaker(self.voice, self.audio, self.machine, self.bus, self.clock)

    def say(self, epoch: int, text: str) -> None:
        self.speaker.write(epoch, text)
        self.speaker.end(epoch)
        self.speaker.play(epoch)

    def reports(self, status: str, played_s: float) -> None:
        self.speaker.call_reports(PlayoutReport(self.audio.played[-1][0], played_s, status))


@pytest.fixture(autouse=True)
async def one_thread() -> None:
    """Work off the loop is done in order, so that `settled` knows when it is done."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))


async def settled(scene: Scene) -> None:
    for _ in range(4):
        await asyncio.get_running_loop().run_in_executor(None, int)
        await scene.clock.settle()


async def test_sentences_are_spoken_while_the_text_still_comes() -> None:
    scene = Scene()
    scene.speaker.write(1, "Someone comes in. It is")
    scene.speaker.play(1)
    await settled(scene)
    assert scene.voice.sentences == ["Someone comes in."]
    scene.speaker.write(1, " the postman.")
    scene.speaker.end(1)
    await settled(scene)
    assert scene.voice.sentences == ["Someone comes in.", "It is the postman."]
    assert [last for *_, last in scene.audio.played] == [False] * 4 + [True]
    scene.reports("playing", 1.0)
    scene.reports("ended", 2.0)
    await settled(scene)
    assert scene.machine.ended == [(1, 36)]
    acked = [input.heard for input in scene.machine.inputs if isinstance(input, PlaybackAcked)]
    assert acked == [17, 36]
    assert scene.bus.of(PlaybackStarted) == [PlaybackStarted(1, False)]


async def test_a_cut_falls_silent_stops_the_voice_and_says_what_was_heard() -> None:
    scene = Scene()
    scene.voice.blocks = asyncio.Event()
    scene.say(1, "Someone comes in. It is the postman.")
    await settled(scene)
    scene.speaker.hold(1)
    scene.reports("held", 0.5)
    scene.speaker.cut(1)
    await settled(scene)
    assert scene.audio.orders == [("play", 1), ("hold", 1), ("cut", 1)]
    assert scene.voice.closed == 1
    assert scene.machine.ended == [(1, len("Someone"))]
    scene.reports("cut", 0.9)  # too late
    scene.voice.blocks = None
    scene.say(2, "And now another one.")
    await settled(scene)
    scene.reports("ended", 1.0)
    await settled(scene)
    assert scene.machine.ended[-1] == (2, 20)


async def test_hold_and_resume_reach_the_call_for_what_plays_only() -> None:
    scene = Scene()
    scene.say(1, "One sentence only.")
    await settled(scene)
    scene.speaker.hold(7)
    scene.speaker.hold(1)
    scene.speaker.resume(1)
    assert scene.audio.orders[-2:] == [("hold", 1), ("resume", 1)]


async def test_an_older_utterance_plays_after_a_more_urgent_one() -> None:
    scene = Scene()
    scene.speaker.write(5, "The answer is four.")
    scene.speaker.end(5)
    scene.say(6, "A smoke alarm is sounding.")
    await settled(scene)
    scene.reports("ended", 1.0)
    await settled(scene)
    scene.speaker.play(5)
    await settled(scene)
    scene.reports("ended", 1.0)
    await settled(scene)
    assert scene.machine.ended == [(6, 26), (5, 19)]
    numbers = [number for number, *_ in scene.audio.played]
    assert numbers == sorted(numbers)


async def test_a_report_that_never_comes_ends_it_all_the_same() -> None:
    scene = Scene()
    scene.say(1, "One sentence only.")
    await settled(scene)
    scene.reports("playing", 0.4)
    await settled(scene)
    await scene.clock.advance(2 * REPORT_S + 0.1)
    await settled(scene)
    assert [epoch for epoch, _ in scene.machine.ended] == [1]


async def test_what_is_held_waits_for_the_machine() -> None:
    scene = Scene()
    scene.say(1, "One sentence only.")
    await settled(scene)
    scene.speaker.hold(1)
    scene.reports("held", 0.4)
    await settled(scene)
    await scene.clock.advance(10 * REPORT_S)
    await settled(scene)
    assert scene.machine.ended == []
    scene.speaker.resume(1)
    scene.reports("ended", 1.0)
    await settled(scene)
    assert scene.machine.ended == [(1, 18)]


@pytest.mark.parametrize("error", [SpeechError("The voice is away."), KeyError("style")])
async def test_a_voice_that_fails_is_told_once_and_the_next_utterance_works(error: Exception) -> None:
    scene = Scene()
    scene.voice.fails = [error, error]
    for epoch in (1, 2):
        scene.say(epoch, "One sentence only.")
        await settled(scene)
        scene.reports("ended", 0.0)
        await settled(scene)
    assert [type(message) for message in scene.bus.of(Failure)] == [Failure]
    scene.say(3, "It works again now.")
    await settled(scene)
    scene.reports("ended", 1.0)
    await settled(scene)
    assert scene.machine.ended == [(1, 0), (2, 0), (3, 19)]


async def test_another_voice_that_speaks_instead_is_told_once() -> None:
    scene = Scene()
    for epoch, trouble in enumerate(("piper: torn.", "piper: torn.", "", "piper: torn."), 1):
        scene.voice.trouble = trouble
        scene.say(epoch, "One sentence only.")
        await settled(scene)
        scene.reports("ended", 1.0)
        await settled(scene)
    told = [message.message for message in scene.bus.of(Failure)]
    assert told == ["piper: torn. Another voice speaks meanwhile."] * 2
    assert scene.machine.ended == [(epoch, 18) for epoch in range(1, 5)]


async def test_where_nobody_listens_nothing_is_spoken() -> None:
    scene = Scene(plays=False)
    scene.say(1, "One sentence only.")
    await settled(scene)
    assert (scene.voice.sentences, scene.machine.ended) == ([], [(1, None)])
    scene.speaker.play(99)
    assert scene.machine.ended[-1] == (99, None)


async def test_listeners_of_updates_get_the_sound_when_it_is_due() -> None:
    scene = Scene(plays=False)
    listening = scene.speaker.broadcast.listen()
    scene.say(1, "One sentence only.")
    await settled(scene)
    await scene.clock.advance(0.05)
    await settled(scene)
    early = sum(piece.pcm.seconds for piece in [await anext(listening) for _ in range(3)])
    assert early <= 0.41
    await settled(scene)
    await scene.clock.advance(2.0)
    await settled(scene)
    assert scene.machine.ended == [(1, 18)]


async def test_a_cut_reaches_listeners_of_updates() -> None:
    scene = Scene(plays=False)
    listening = scene.speaker.broadcast.listen()
    scene.say(1, "One sentence only.")
    await settled(scene)
    await scene.clock.advance(0.05)
    await settled(scene)
    scene.speaker.cut(1)
    await settled(scene)
    last = None
    while last is None or last.pcm is not None:
        last = await anext(listening)
    assert last.epoch == 1
    assert [epoch for epoch, _ in scene.machine.ended] == [1]


async def test_a_client_that_speaks_itself_acknowledges() -> None:
    scene = Scene(voice=FakeVoice(remote=True))
    scene.say(1, "One sentence only.")
    await settled(scene)
    assert scene.bus.of(PlaybackStarted) == [PlaybackStarted(1, True)]
    scene.speaker.acknowledge(1, 3, ended=False)
    scene.speaker.acknowledge(9, 3, ended=True)
    await settled(scene)
    await scene.clock.advance(CLIENT_S + 1)
    await settled(scene)
    assert scene.machine.ended == []
    scene.speaker.acknowledge(1, 900, ended=True)
    await settled(scene)
    await scene.clock.advance(1)
    await settled(scene)
    assert scene.machine.ended == [(1, 18)]


async def test_a_client_that_does_not_begin_is_not_there() -> None:
    scene = Scene(voice=FakeVoice(remote=True))
    scene.say(1, "One sentence only.")
    await settled(scene)
    await scene.clock.advance(CLIENT_S + 1)
    await settled(scene)
    assert scene.machine.ended == [(1, None)]


async def test_play_ends_what_played_before_and_texts_are_bounded() -> None:
    scene = Scene()
    for epoch in range(1, 200):
        scene.speaker.write(epoch, "text")
    scene.say(200, "One sentence only.")
    await settled(scene)
    scene.say(201, "And another sentence.")
    await settled(scene)
    assert scene.machine.ended == [(200, 0)]
    assert ("cut", 1) in scene.audio.orders
    await scene.speaker.aclose()
    await scene.speaker.aclose()
    assert not [task for task in asyncio.all_tasks() if "utterance" in task.get_name()]


async def test_a_voice_that_cannot_be_used_hides_no_session() -> None:
    scene = Scene()
    scene.voice.remote = lambda wanted: (_ for _ in ()).throw(ConfigError("There is no voice of that name."))
    assert scene.speaker.remote is False
