"""What a session hears: speech becomes sentences that are taken as typed ones, sounds become inputs of the machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog

from joyvl_server.core.errors import JoyvlError
from joyvl_server.core.inputs import (
    SoundHeard,
    SpeechContinued,
    SpeechLasted,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TranscriptFailed,
)
from joyvl_server.core.turn_taking.words import is_backchannel, is_stop
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.ingest.audio.base import (
    AudioEvent,
    SoundDetected,
    SpeechAudio,
    SpeechBegan,
    SpeechContinues,
    SpeechEnded,
    SpeechLasts,
    SpeechPauses,
)
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.sinks.base import Machine
from joyvl_server.sessions.sinks.bus import Bus
from joyvl_server.sessions.sinks.messages import Failure, HeardDone, HeardPartly, SpeechNoticed
from joyvl_server.settings import SessionSettings
from joyvl_server.speech.asr.transcriber import SpeechSegment
from joyvl_server.speech.base import SpeechError
from joyvl_server.speech.hearing import SpeechHearing
from joyvl_server.speech.wake_word import AddressGate, ListenMode, WakeWord

log = structlog.get_logger(__name__)


TALK_S = 10.0
"""a client says so often that the button is still held"""


@dataclass(slots=True)
class _Speech:
    """One that goes on, or waits for its words. Without a segment nothing understands it."""

    began: float
    ended: float
    segment: SpeechSegment | None = None
    task: asyncio.Task[None] | None = None


class Asks(Protocol):
    """What becomes of a sentence that is meant for us."""

    def ask(self, text: str) -> object:
        """See `Session.ask`."""


class SpeechListener:
    """Call `take` with each event of the source's sound. One sentence after the other; `aclose` at the end."""

    def __init__(self, session: Asks, hearing: SpeechHearing | None, machine: Machine, bus: Bus, clock: Clock) -> None:
        """`hearing`: what understands speech, for all sessions; None: nothing does."""
        self.mode = ListenMode.OFF
        self.wake_word = WakeWord("")
        """empty: every sentence is for us"""
        self._gate = AddressGate(self.mode)
        self._talks_until = 0.0
        """somebody holds the button until then (push to talk)"""
        self._session = session
        self._hearing = hearing if hearing is not None and hearing.able else None
        self._machine = machine
        self._bus = bus
        self._clock = clock
        self._transcriber = None if self._hearing is None else self._hearing.transcriber()
        self._open: dict[str, _Speech] = {}
        self._failing = False
        self._settings: tuple[ListenMode, str, float, str] | None = None

    def configure(self, settings: SessionSettings, mode: ListenMode) -> None:
        """These settings count from now on."""
        wanted = (mode, settings.wake_word, settings.follow_up_s, settings.speech_language)
        if wanted == self._settings:
            return
        self._settings = wanted
        self.mode, self.wake_word = mode, WakeWord(settings.wake_word)
        self._gate = AddressGate(mode, self.wake_word, settings.follow_up_s)
        if self._hearing is not None:
            language = None if settings.speech_language == "auto" else settings.speech_language
            self._transcriber = self._hearing.transcriber(language)

    @property
    def understands(self) -> bool:
        """Does anything here turn speech into words?"""
        return self._hearing is not None

    @property
    def busy(self) -> bool:
        """Does somebody speak, or is a sentence being understood?"""
        return bool(self._open)

    def talk(self, talking: bool) -> None:
        """Somebody holds the button, or lets it go (push to talk). A client that vanished holds it no longer."""
        held = self._clock.monotonic() < self._talks_until
        self._talks_until = self._clock.monotonic() + TALK_S if talking else 0.0
        if talking and not held:
            self._gate.push(self._machine.now)
        elif held and not talking:
            self._gate.release(self._machine.now)

    def take(self, event: AudioEvent) -> None:
        """Never waits."""
        now = self._machine.now
        match event:
            case SpeechBegan(speech_id, t):
                if self._wanted():
                    self._begin(speech_id, t)
            case SpeechAudio(speech_id, audio):
                if (speech := self._open.get(speech_id)) is not None and speech.segment is not None:
                    speech.segment.add(audio)
            case SpeechLasts(speech_id):
                if speech_id in self._open:
                    self._machine.take(SpeechLasted(now, speech_id))
            case SpeechPauses(speech_id):
                if speech_id in self._open:
                    self._machine.take(SpeechPaused(now, speech_id))
            case SpeechContinues(speech_id, t):
                if speech_id in self._open:
                    self._machine.take(SpeechContinued(now, speech_id, t))
            case SpeechEnded(speech_id, t, seconds):
                if speech_id in self._open:
                    self._end(speech_id, t, seconds)
            case SoundDetected(kind, t):
                self._machine.take(SoundHeard(now, self._clock.wall() - max(0.0, now - t), WatchKind(kind), t))

    def _wanted(self) -> bool:
        if self.mode is ListenMode.PUSH_TO_TALK:
            return self._clock.monotonic() < self._talks_until
        return self.mode is ListenMode.OPEN

    def _begin(self, speech_id: str, t: float) -> None:
        speech = self._open[speech_id] = _Speech(t, t)
        self._bus.publish(SpeechNoticed(speech_id, t, begins=True))
        self._machine.take(SpeechStarted(self._machine.now, speech_id, t))
        if self._transcriber is not None:
            speech.segment = self._transcriber.begin()
            understanding = self._understand(speech_id, speech, speech.segment)
            speech.task = asyncio.create_task(understanding, name=f"words of {speech_id}")

    def _end(self, speech_id: str, t: float, seconds: float) -> None:
        self._bus.publish(SpeechNoticed(speech_id, t, begins=False))
        self._machine.take(SpeechStopped(self._machine.now, speech_id, t, seconds))
        speech = self._open[speech_id]
        speech.ended = t
        if speech.segment is not None:
            speech.segment.end()
        else:
            del self._open[speech_id]
            self._machine.take(TranscriptFailed(self._machine.now, speech_id, "Nothing here understands speech."))

    async def _understand(self, speech_id: str, speech: _Speech, segment: SpeechSegment) -> None:
        try:
            async for words in segment.words():
                if words.final:
                    self._heard(speech_id, speech, words.text)
                elif words.text:
                    self._bus.publish(HeardPartly(speech_id, words.text))
                    self._machine.take(Transcript(self._machine.now, speech_id, words.text, final=False))
        except SpeechError as error:
            self._not_heard(speech_id, str(error))
        except Exception as error:  # somebody else's engine: the next sentence is heard
            log.exception("speech was not understood, in an unknown way")
            self._not_heard(speech_id, f"What was said could not be understood: {type(error).__name__}.")
        finally:
            self._open.pop(speech_id, None)

    def _heard(self, speech_id: str, speech: _Speech, text: str) -> None:
        """What is meant for us goes the way of a typed sentence."""
        self._failing = False
        judged = self._gate.judge(text, speech.began, speech.ended)
        addressed = bool(text) and judged.addressed
        self._bus.publish(HeardDone(speech_id, text, addressed))
        self._machine.take(Transcript(self._machine.now, speech_id, text, final=True, addressed=addressed))
        if not addressed or not judged.text or is_stop(judged.text) or is_backchannel(judged.text):
            return
        try:
            self._session.ask(judged.text)
        except JoyvlError as error:
            self._bus.publish(Failure(error.code, str(error)))

    def _not_heard(self, speech_id: str, message: str) -> None:
        if not self._failing:
            self._failing = True
            self._bus.publish(Failure("speech_not_heard", message))
        self._machine.take(TranscriptFailed(self._machine.now, speech_id, message))

    async def aclose(self) -> None:
        """Nothing more is heard. Idempotent. Cancelled, the work ends by itself."""
        tasks = [speech.task for speech in self._open.values() if speech.task is not None]
        self._open.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
