"""The voice of one session: what it says aloud and to whom, what it hears, and its settings for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from joyvl_server.core.inputs import SpeechStarted, SpeechStopped, Transcript
from joyvl_server.ingest.audio.base import AudioEvent, ListenSpec, PlayoutReport, SoundPresence, SourceAudio
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.sinks.base import Machine
from joyvl_server.sessions.sinks.bus import Bus
from joyvl_server.sessions.sinks.messages import SessionUpdated
from joyvl_server.sessions.speech.broadcast import AudioListening
from joyvl_server.sessions.speech.listener import Asks, SpeechListener
from joyvl_server.sessions.speech.speaker import Speaker
from joyvl_server.sessions.speech.turn_end import EndOfTurn
from joyvl_server.settings import SessionSettings
from joyvl_server.speech.base import Voice
from joyvl_server.speech.hearing import SpeechHearing
from joyvl_server.speech.voices import SpeechEngines
from joyvl_server.speech.wake_word import ListenMode

OFF = "off"
STOP = "stop"
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class SpeechServices:
    """What the sessions of a server speak and hear with. None: the server itself has no voice, or understands none."""

    voice: SpeechEngines | None = None
    hearing: SpeechHearing | None = None

    @property
    def silent(self) -> bool:
        """Does nothing speak where a session wants no voice of its own?"""
        return isinstance(self.voice, SpeechEngines) and self.voice.choice(None) is None

    async def start(self) -> None:
        """Get ready, so that the first sentence is not late. Cancelled, the engines go on by themselves."""
        if self.voice is not None:
            await self.voice.start()
        if self.hearing is not None:
            await self.hearing.start()

    def check_voice(self, voice: str) -> None:
        """Raises `ConfigError` where nothing here speaks with what a session wants."""
        if isinstance(self.voice, SpeechEngines) and voice not in (OFF, AUTO):
            self.voice.check_installed(voice)

    async def voices(self) -> dict[str, list[Voice]]:
        """Those that can be used now, for each engine. Cancelling it changes nothing."""
        return {} if self.voice is None else await self.voice.voices()

    def ready(self) -> dict[str, str | None]:
        """What speaks and what understands speech, where the server has them, with None or what is wrong."""
        parts: dict[str, str | None] = {}
        if self.voice is not None and self.voice.states():
            parts["voices"] = self.voice.trouble or None
        if self.hearing is not None and (state := self.hearing.state) is not None:
            failed = state.status == "failed"
            parts["speech recognition"] = (state.message or "It does not work.") if failed else None
        return parts

    async def aclose(self) -> None:
        """Give the engines back. Idempotent. Cancelled, each gives back what it can at once."""
        if self.voice is not None:
            await self.voice.aclose()
        if self.hearing is not None:
            await self.hearing.aclose()


@dataclass(frozen=True, slots=True)
class SpeechFacts:
    """What the machine decides by. `addressed_only`: what others say among themselves is no interruption."""

    audible: bool = False
    half_duplex: bool = False
    addressed_only: bool = False


class SpeakingMachine(Machine, Protocol):
    """The session's machine, which is to know whether it is heard."""

    def speech_changed(self, facts: SpeechFacts) -> None: ...


class SessionSpeech:
    """Build it, `start` it when the session runs, `aclose` it at the end. `call`: people talk with it."""

    def __init__(
        self,
        session: Asks,
        audio: SourceAudio,
        services: SpeechServices,
        machine: SpeakingMachine,
        bus: Bus,
        clock: Clock,
        *,
        call: bool,
    ) -> None:
        self.speaker = Speaker(services.voice, audio, machine, bus, clock)
        self.listener = SpeechListener(session, services.hearing, machine, bus, clock)
        turns = None if services.hearing is None else services.hearing.turns
        self._turn_end = None if turns is None else EndOfTurn(turns, self.listener.take, machine, clock)
        self.presence = SoundPresence(False, False)
        self._audio = audio
        self._machine = machine
        self._bus = bus
        self._call = call
        self._silent = services.silent
        self._clients = 0
        self._on = True
        self._started = False
        self._sounds = False
        self._spec: ListenSpec | None = None

    # ---------------------------------------------------------------------------------------------------- life cycle

    def start(self) -> None:
        """Listen to the source from now on."""
        self._started = True
        self._listen()
        # It may have been told before anybody listened.
        self.presence = replace(self.presence, hears=self._audio.hears, plays=self._audio.plays)
        self._tell_machine()

    def configure(self, settings: SessionSettings) -> None:
        """These settings count from now on."""
        self._on = settings.voice != OFF and not (settings.voice == AUTO and self._silent)
        self.speaker.wanted = None if settings.voice in (OFF, AUTO) else settings.voice
        automatic = ListenMode.OPEN if self._call else ListenMode.OFF
        self.listener.configure(settings, automatic if settings.listen == AUTO else ListenMode(settings.listen))
        if self._started:
            self._listen()
            self._tell_machine()

    def listen_for_sounds(self, wanted: bool) -> None:
        """Tell the machine of alarms, loud noises and silence, or not."""
        self._sounds = wanted
        if self._started:
            self._listen()

    def _listen(self) -> None:
        speech = self.listener.mode is not ListenMode.OFF
        # Beside speech they cost next to nothing, and nothing need be begun for them later.
        spec = ListenSpec(speech=speech, sounds=speech or self._sounds)
        if self._turn_end is not None:
            spec = replace(spec, wait_s=self._turn_end.wait.most_s)
        if spec != self._spec:  # to listen again breaks off what somebody is saying
            self._spec = spec
            self._audio.listen(spec, self._heard)

    async def aclose(self) -> None:
        """Fall silent and hear nothing more. Idempotent. Cancelled, the voice stops by itself."""
        self._started, self._spec = False, None
        self._audio.listen(None, None)
        if self._turn_end is not None:
            self._turn_end.close()
        await self.listener.aclose()
        await self.speaker.aclose()

    def be_silent(self) -> None:
        """Somebody wants what is being said to end. To the machine that is what a spoken "stop" is."""
        now, speech_id = self._machine.now, new_id("stop")
        for input in (
            SpeechStarted(now, speech_id, now),
            SpeechStopped(now, speech_id, now, 0.0),
            Transcript(now, speech_id, STOP, final=True),
        ):
            self._machine.take(input)

    # --------------------------------------------------------------------------------------------------- what is heard

    def _heard(self, event: AudioEvent) -> None:
        match event:
            case PlayoutReport():
                self.speaker.call_reports(event)
            case SoundPresence():
                if event != self.presence:
                    self.presence = event
                    self._changed()
            case _:
                (self._turn_end or self.listener).take(event)

    # --------------------------------------------------------------------------------------------------- who listens

    @property
    def audible(self) -> bool:
        """Would anybody hear an utterance now?"""
        if not self._on:
            return False
        return self._clients > 0 if self.speaker.remote else self.presence.plays or self.speaker.broadcast.listeners > 0

    @contextmanager
    def client(self) -> Iterator[None]:
        """A client that speaks by itself is there, as long as the block lasts."""
        self._clients += 1
        self._changed()
        try:
            yield
        finally:
            self._clients -= 1
            self._changed()

    @contextmanager
    def listening(self) -> Iterator[AudioListening]:
        """A client gets the sound, as long as the block lasts."""
        listening = self.speaker.broadcast.listen()
        self._changed()
        try:
            yield listening
        finally:
            listening.close()
            self._changed()

    def _changed(self) -> None:
        self._tell_machine()
        self._bus.publish(SessionUpdated())

    def _tell_machine(self) -> None:
        facts = SpeechFacts(self.audible, self.presence.half_duplex, bool(self.listener.wake_word))
        self._machine.speech_changed(facts)

    def describe(self) -> dict[str, Any]:
        """As clients see it."""
        return {
            "speaks": "off" if not self._on else "client" if self.speaker.remote else "server",
            "audible": self.audible,
            "hears": self.presence.hears,
            "plays": self.presence.plays,
            "half_duplex": self.presence.half_duplex,
            "error": self.presence.error,
        }
