"""Which engine and which voice says a sentence, and what speaks when that one cannot."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import structlog

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import plugins
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.clock import Clock
from joyvl_server.settings import Settings
from joyvl_server.speech.base import SpeechContext, SpeechError, SpeechState, Tts, Voice
from joyvl_server.speech.text.language import base_language, language_of, same_language
from joyvl_server.speech.tts.voice_pace import VoicePace

log = structlog.get_logger(__name__)

GROUP = "joyvl.tts"
OFF = "off"
LAST_RESORT = "espeak"
"""Speaks where what was chosen fails: it needs no download and nothing to start."""
REST_S, LONGEST_REST_S = 5.0, 60.0
"""How long an engine that failed is not asked, doubled each time."""


@dataclass(frozen=True, slots=True)
class VoiceChoice:
    """`voice` None: the engine's own choice for the language."""

    engine: str
    voice: str | None = None

    @classmethod
    def parse(cls, text: str) -> VoiceChoice:
        """`engine` or `engine:voice`."""
        engine, _, voice = text.partition(":")
        return cls(engine, voice or None)

    def __str__(self) -> str:
        return self.engine if self.voice is None else f"{self.engine}:{self.voice}"


@dataclass(slots=True)
class EngineTrouble:
    """Why an engine fails now, and until when it is not asked."""

    message: str
    down: bool
    """its process was gone, or did not start"""
    backoff: Backoff
    until: float = 0.0


class SpeechEngines:
    """Every voice engine of the server, made when it is first needed. `close` gives all of them back."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Makes and starts nothing."""
        self._settings = settings
        self._speech = settings.speech
        self._clock = clock
        self._engines: dict[str, Tts] = {}
        self._paces: dict[str, VoicePace] = {}
        self._languages: dict[str, dict[str, str]] = {}
        self._troubles: dict[str, EngineTrouble] = {}
        self._broken: dict[VoiceChoice, str] = {}
        """voices whose files are broken: the engine speaks with others"""

    @property
    def installed(self) -> tuple[str, ...]:
        return plugins.names(GROUP)

    @property
    def trouble(self) -> str:
        """What fails now, a sentence; empty where nothing does. It changes when that begins and when it ends."""
        return " ".join([*(trouble.message for trouble in self._lasting().values()), *self._broken.values()])

    def fault(self, wanted: str | None) -> str:
        """Why what a session wants does not speak now, so that another voice does: a sentence, or empty."""
        chosen = self.choice(wanted)
        names = {chosen.engine} if chosen is not None else set()
        if wanted is None:
            names |= {VoiceChoice.parse(name).engine for name in self._speech.voices.values()}
        found = [trouble.message for name, trouble in self._lasting().items() if name in names]
        return " ".join([*found, *(words for choice, words in self._broken.items() if choice.engine in names)])

    def states(self) -> dict[str, SpeechState]:
        """Of the engines that are in use."""
        lasting = self._lasting()
        return {
            name: SpeechState("failed", lasting[name].message) if name in lasting else engine.state
            for name, engine in self._engines.items()
        }

    def check_installed(self, voice: str) -> None:
        """Raises `ConfigError` where there is no engine of this name."""
        name = VoiceChoice.parse(voice).engine
        if name not in self.installed:
            raise ConfigError(f"There is no voice engine {name}. There are: {', '.join(self.installed)}.")

    def choice(self, voice: str | None) -> VoiceChoice | None:
        """What a session that asks for `voice` gets where nothing speaks against it; None for silence."""
        name = voice or self._speech.tts
        return None if name == OFF else VoiceChoice.parse(name)

    def remote(self, wanted: str | None) -> bool:
        """Does the client speak by itself? Raises `ConfigError`."""
        chosen = self.choice(wanted)
        return chosen is not None and self.engine(chosen.engine).remote

    def check(self, voice: str | None = None) -> None:
        """Raises `ConfigError` where a name or an option is wrong: of `voice`, or of all that the settings name."""
        names = [voice] if voice is not None else [self._speech.tts, *self._speech.voices.values()]
        for name in names:
            if name != OFF:
                self.engine(VoiceChoice.parse(name).engine)
        for name in self._speech.options if voice is None else ():
            self.engine(name)

    def engine(self, name: str) -> Tts:
        """Raises `ConfigError` where there is none of this name, its options are wrong, or a package is missing."""
        if name not in self._engines:
            make = cast(Callable[[SpeechContext], Tts], plugins.load(GROUP, name))
            options = self._speech.options.get(name, {})
            self._engines[name] = make(
                SpeechContext(options, self._settings.speech_models_dir, self._clock, self._settings.net_policy())
            )
        return self._engines[name]

    async def start(self, voice: str | None = None) -> None:
        """Get ready what `voice`, and the settings for each language, will need. Raises nothing: `speak` tells.

        Cancelled, the engines go on by themselves.
        """
        chosen = self.choice(voice)
        names = [chosen.engine] if chosen else []
        if chosen and not self.remote(voice):
            names += [VoiceChoice.parse(other).engine for other in self._speech.voices.values()]
        for name in dict.fromkeys(names):
            try:
                await self.engine(name).start()
            except (ConfigError, SpeechError) as error:
                self._failed(VoiceChoice(name), error)

    async def voices(self) -> dict[str, list[Voice]]:
        """Of every installed engine that can be used. Cancelling it changes nothing."""
        found = {}
        for name in self.installed:
            with contextlib.suppress(ConfigError, SpeechError):
                found[name] = await self.engine(name).voices()
        return found

    async def speak(
        self, sentence: str, *, wanted: str | None = None, language: str | None = None
    ) -> AsyncGenerator[Pcm, None]:
        """One speakable sentence, by the voice that is wanted, else that of its language, else what can.

        Raises `SpeechError` where nothing can, or where a voice breaks off in mid-sentence: the next one works.
        Cancelled or closed early, the engine stops. Pieces are of one rate.
        """
        problem = SpeechError("No voice is chosen.", code="no_voice")
        language = language or language_of(sentence, self._speech.language or "en")
        for choice in await self._candidates(wanted, language):
            began = False
            try:
                async with aclosing(self._speak(choice, sentence, language)) as pieces:
                    async for pcm in pieces:
                        began = True
                        yield pcm
            except (ConfigError, SpeechError) as error:
                problem = error if isinstance(error, SpeechError) else SpeechError(str(error), code="unavailable")
                self._failed(choice, problem)
                if began:
                    raise problem from None
            else:
                self._worked(choice)
                return
        raise problem

    async def aclose(self) -> None:
        """Idempotent. Cancelled, each engine gives back what it can at once."""
        engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            await engine.aclose()

    # ------------------------------------------------------------------------------------------------------- who speaks

    async def _speak(self, choice: VoiceChoice, text: str, language: str) -> AsyncGenerator[Pcm, None]:
        """Closed early it closes the engine's answer at once, not when the garbage is collected: it stops then."""
        pieces = self.engine(choice.engine).speak(text, voice=choice.voice, language=language)
        pace = self._paces.setdefault(choice.engine, VoicePace(self._clock))
        try:
            async with aclosing(pace.steady(pieces, text)) as steady:
                async for pcm in steady:
                    yield pcm
        finally:
            if (close := getattr(pieces, "aclose", None)) is not None:
                await close()

    async def _candidates(self, voice: str | None, language: str) -> list[VoiceChoice]:
        """In the order in which they are asked. One that failed lately comes last."""
        asked = self.choice(voice)
        if asked is None:
            return []
        named = {base_language(tag): VoiceChoice.parse(name) for tag, name in self._speech.voices.items()}
        own = named.get(base_language(language))
        found: list[VoiceChoice] = []
        if voice is not None:
            fits = asked.voice is None or await self._speaks(asked, language)
            found += [asked] if fits else [VoiceChoice(asked.engine)]
        found += [own] if own is not None else []
        found += [VoiceChoice.parse(self._speech.tts)] if self._speech.tts != OFF else []
        found += [VoiceChoice(other.engine) for other in named.values()]
        found += [VoiceChoice(LAST_RESORT)] if LAST_RESORT in self.installed else []
        local = [choice for choice in dict.fromkeys(found) if not self._cannot(choice.engine)]
        now = self._clock.monotonic()
        resting = {name for name, trouble in self._troubles.items() if trouble.until > now}
        return sorted(local, key=lambda choice: choice.engine in resting)

    def _cannot(self, name: str) -> bool:
        """Is it one that never makes a sound here?"""
        with contextlib.suppress(ConfigError):
            return self.engine(name).remote
        return False

    async def _speaks(self, choice: VoiceChoice, language: str) -> bool:
        """Is this voice one of the language? True where that is not known."""
        if choice.engine not in self._languages:
            with contextlib.suppress(ConfigError, SpeechError):
                voices = await self.engine(choice.engine).voices()
                self._languages[choice.engine] = {one.id: one.language for one in voices}
        tag = self._languages.get(choice.engine, {}).get(choice.voice or "", "und")
        return tag == "und" or same_language(tag, language)

    def _failed(self, choice: VoiceChoice, error: ConfigError | SpeechError) -> None:
        """Told once. A language that it has no voice for is no fault of the engine."""
        if error.code in ("no_voice", "busy"):
            log.info("a voice cannot speak", voice=str(choice), why=str(error))
            return
        if error.code == "broken_voice":
            if choice not in self._broken:
                log.warning("a voice is broken", voice=str(choice), why=str(error))
            self._broken[choice] = str(error)
            return
        trouble = self._troubles.get(choice.engine)
        if trouble is None:
            trouble = EngineTrouble(str(error), self._is_down(choice.engine), Backoff(REST_S, LONGEST_REST_S))
            self._troubles[choice.engine] = trouble
            log.warning("a voice engine fails", engine=choice.engine, why=str(error))
        trouble.until = self._clock.monotonic() + trouble.backoff.failed()

    def _lasting(self) -> dict[str, EngineTrouble]:
        """What still fails: an engine whose process is there again works, as far as anybody knows."""
        return {name: trouble for name, trouble in self._troubles.items() if not trouble.down or self._is_down(name)}

    def _is_down(self, name: str) -> bool:
        return name in self._engines and self._engines[name].state.status != "ready"

    def _worked(self, choice: VoiceChoice) -> None:
        self._broken.pop(choice, None)
        if self._troubles.pop(choice.engine, None) is not None:
            log.info("a voice engine speaks again", engine=choice.engine)
