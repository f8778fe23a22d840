"""A call that is spoken with: machine, speaker and listener of one session, over fakes of sound and voice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from test_speech_speaker import FakeVoice

from fakes.clock import ManualClock
from fakes.engines.engine import ScriptedEngine
from fakes.media.media import FakeMedia, FakeSource, picture
from fakes.patience import until
from fakes.speech.asr import ToldAsr, voice
from joyvl_server.core.decisions import Score
from joyvl_server.ingest.audio.base import (
    ListenSpec,
    PlayoutReport,
    SoundDetected,
    SoundPresence,
    SpeechAudio,
    SpeechBegan,
    SpeechEnded,
    SpeechLasts,
    SpeechPauses,
)
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.sessions.engines.pool import EnginePool
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.settings import Settings
from joyvl_server.speech.hearing import SpeechHearing
from joyvl_server.store.events import EventRecord, Events
from joyvl_server.store.store import Store

SENTENCE = "Someone is at the door."


class SpokenCall:
    def __init__(self, clock: ManualClock, session: Session, source: FakeSource, asr: ToldAsr) -> None:
        self.clock = clock
        self.session = session
        self.source = source
        self.audio = source.audio
        self.asr = asr
        self.voice = FakeVoice()
        self.store: Store

    async def second(self) -> None:
        for _ in range(4):
            self.source.show(picture(self.source.now))
            await self.clock.advance(0.25)

    async def says_something(self) -> None:
        """The session begins to speak, and half of it was played."""
        await self.second()
        await until(lambda: self.audio.played and self.audio.played[-1][2])
        self.report("playing", 0.5)

    def report(self, status: str, played_s: float) -> None:
        self.audio.tells(PlayoutReport(self.audio.played[-1][0], played_s, status))

    async def events(self) -> list[EventRecord]:
        """The timeline, newest first."""
        await self.store.main.write(lambda connection: None)  # behind all that was posted
        return await Events(self.store.main).list()

    def updates(self, type: str) -> list[dict]:
        return [update.data for update in self.session.updates._ring if update.type == type]


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[SpokenCall]:
    async with spoken_call(tmp_path, ToldAsr("What is in the hall?")) as call:
        yield call


@asynccontextmanager
async def spoken_call(tmp_path: Path, asr: ToldAsr) -> AsyncIterator[SpokenCall]:
    clock, engine = ManualClock(), ScriptedEngine(lambda turn: (Score(0.9), [SENTENCE]))
    settings = Settings(data_dir=tmp_path, engine={"name": "scripted"}, sessions={"cooldown_s": 1000.0})
    media, engines = FakeMedia(clock), EnginePool({})
    engines.add(engine)
    spoken = FakeVoice()
    speech = SpeechServices(spoken, SpeechHearing(asr, clock))
    store = await Store.open(tmp_path)
    registry = Registry(settings, store, media, NetPolicy(), engines, clock, speech)
    await registry.start()
    opened = await registry.open_call("v=0", watches=(WatchDraft("Tell me about alarms", kinds=()),))
    session = registry.session(opened.session_id)
    source = session.source
    assert isinstance(source, FakeSource)
    source.audio.tells(SoundPresence(True, True))
    call = SpokenCall(clock, session, source, asr)
    call.voice, call.store = spoken, store
    yield call
    await registry.aclose()


async def test_what_it_says_is_played_and_heard(call: SpokenCall) -> None:
    await call.says_something()
    assert call.voice.sentences == [SENTENCE]
    call.report("ended", 1.0)
    await call.clock.settle()
    assert call.updates("output_audio_buffer.stopped")[0]["heard"] == len(SENTENCE)
    assert call.updates("conversation.item.truncated") == []
    [played] = [event for event in await call.events() if event.type == "played"]
    assert played.data == {"epoch": call.updates("output_audio_buffer.stopped")[0]["epoch"], "heard": len(SENTENCE)}


async def test_who_speaks_over_it_silences_it_and_is_answered(call: SpokenCall) -> None:
    await call.says_something()
    call.audio.tells(SpeechBegan("s1", call.source.now))
    assert call.audio.orders[-1][0] == "hold"
    call.report("held", 0.5)
    call.audio.tells(SpeechAudio("s1", voice(1.0)))
    call.audio.tells(SpeechLasts("s1", call.source.now))
    call.audio.tells(SpeechEnded("s1", call.source.now, 1.0))
    await until(lambda: call.updates("conversation.item.truncated"))
    first = call.audio.orders[0][1]  # the answer may be played by now
    assert [what for what, number in call.audio.orders if number == first][-1] == "cut"
    heard = call.updates("conversation.item.truncated")[0]["heard"]
    assert SENTENCE.startswith(heard)
    assert 0 < len(heard) < len(SENTENCE)
    assert [asked["query"]["text"] for asked in call.updates("query.created")] == ["What is in the hall?"]


async def test_a_cough_lets_it_go_on(call: SpokenCall) -> None:
    call.asr.text = ""
    await call.says_something()
    call.audio.tells(SpeechBegan("s1", call.source.now))
    call.report("held", 0.5)
    call.audio.tells(SpeechEnded("s1", call.source.now, 0.1))
    await call.clock.settle()
    assert call.audio.orders[-1][0] == "resume"
    call.report("ended", 1.0)
    await call.clock.settle()
    assert call.updates("output_audio_buffer.stopped")[0]["heard"] == len(SENTENCE)


async def test_stop_is_obeyed_and_not_asked(call: SpokenCall) -> None:
    call.asr.text = "Stop."
    await call.says_something()
    call.audio.tells(SpeechBegan("s1", call.source.now))
    call.report("held", 0.5)
    call.audio.tells(SpeechAudio("s1", voice(0.5)))
    call.audio.tells(SpeechEnded("s1", call.source.now, 0.5))
    await until(lambda: call.updates("conversation.item.truncated"))
    assert call.updates("query.created") == []


async def test_a_smoke_alarm_fires_the_watch_for_it(call: SpokenCall) -> None:
    await call.session.watches.add(WatchDraft("Tell me when the smoke alarm goes off"))
    call.audio.tells(SoundDetected("smoke_alarm", call.source.now, -20.0))
    await call.clock.settle()
    fired = call.updates("watch.fired")
    assert [entry["tick"]["kind"] for entry in fired] == ["smoke_alarm"]
    assert call.updates("response.output_text.done")[-1]["urgency"] == "alert"


async def test_where_nobody_hears_it_nothing_is_spoken(call: SpokenCall) -> None:
    call.audio.tells(SoundPresence(True, False))
    await call.second()
    assert call.updates("response.output_text.done")
    assert (call.voice.sentences, call.updates("output_audio_buffer.started")) == ([], [])
    assert call.session.describe()["speech"]["audible"] is False


async def test_another_setting_does_not_break_off_what_somebody_says(call: SpokenCall) -> None:
    wanted: list[object] = []
    call.audio.listen = lambda spec, on_event: wanted.append(spec)
    call.session.change(call.session.spec.changed({"threshold": 0.3}))
    assert wanted == []
    call.session.change(call.session.spec.changed({"listen": "off"}))
    assert [spec.speech for spec in wanted] == [False]


async def test_where_no_speech_is_heard_sounds_are_listened_for_as_long_as_a_watch_fires_at_them(
    call: SpokenCall,
) -> None:
    wanted: list[ListenSpec] = []
    call.audio.listen = lambda spec, on_event: wanted.append(spec)
    call.session.change(call.session.spec.changed({"listen": "off"}))
    watch = await call.session.watches.add(WatchDraft("Tell me when the smoke alarm goes off"))
    await call.session.watches.change(watch.id, {"paused": True})
    await call.session.watches.change(watch.id, {"paused": False})
    await call.session.watches.add(WatchDraft("Tell me when someone comes"))
    await call.session.watches.remove(watch.id)
    assert [(spec.speech, spec.sounds) for spec in wanted] == [
        (False, False), (False, True), (False, False), (False, True), (False, False),
    ]  # fmt: skip


class TurnAsr(ToldAsr):
    """Is sure that everybody has finished."""

    detects_turns = True

    async def finished(self, audio: Pcm) -> float | None:
        return 0.99


async def test_who_sounds_finished_is_answered_sooner(tmp_path: Path) -> None:
    async with spoken_call(tmp_path, TurnAsr("What is that?")) as call:
        await until(lambda: call.audio.spec)
        assert call.audio.spec.wait_s > 1
        began = call.source.now
        call.audio.tells(SpeechBegan("s1", began))
        call.audio.tells(SpeechAudio("s1", voice(1.0)))
        await call.clock.advance(1.2)
        call.audio.tells(SpeechPauses("s1", began + 1.0))
        await call.clock.settle()
        await call.clock.advance(0.15)
        await until(lambda: call.session.queries.all())
        assert call.updates("input_audio_buffer.speech_stopped")
        assert call.source.now - began == pytest.approx(1.35)
