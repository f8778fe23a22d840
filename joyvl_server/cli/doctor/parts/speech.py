"""Voices and what understands speech: installed, and with their files?"""

from __future__ import annotations

from collections.abc import Iterable

from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.clock import SystemClock
from joyvl_server.settings import Settings
from joyvl_server.speech.base import SpeechError
from joyvl_server.speech.hearing import OFF, open_hearing
from joyvl_server.speech.voices import SpeechEngines, VoiceChoice

GET = "See what there is: joyvl voices list. Fetch one: joyvl voices get piper:en_US-joe-medium"
LISTED = 4


class VoicesCheck:
    """See `Check`. Loads no voice: `joyvl voices try NAME` does."""

    name = "voices"
    limit_s = 40.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self) -> Iterable[Finding]:
        speech = self._settings.speech
        named = [VoiceChoice.parse(name) for name in (speech.tts, *speech.voices.values()) if name != OFF]
        if not named:
            return [skipped("Nothing speaks: speech.tts is off.")]
        engines = await off_loop(SpeechEngines, self._settings, SystemClock())
        try:
            return [await self._voice(engines, choice) for choice in dict.fromkeys(named)]
        finally:
            await engines.aclose()

    async def _voice(self, engines: SpeechEngines, choice: VoiceChoice) -> Finding:
        try:
            engine = await off_loop(engines.engine, choice.engine)
            if engine.remote:
                return ok("The page speaks with the browser's own voice; nothing is needed here.")
            voices = [voice.id for voice in await engine.voices()]
        except (ConfigError, SpeechError) as error:
            return problem(f"The voice {choice.engine} cannot speak: {error}", GET)
        if choice.voice is not None and voices and choice.voice not in voices:
            there = ", ".join(voices[:LISTED]) + (" …" if len(voices) > LISTED else "")
            return problem(f"{choice.engine} has no voice {choice.voice}. It has: {there}.", GET)
        if not voices:
            return problem(f"The voice engine {choice.engine} has no voice yet.", GET)
        return ok(f"{choice} is installed, with {len(voices)} voice{'s' if len(voices) > 1 else ''}.")


class EarsCheck:
    """See `Check`. Loads no model."""

    name = "ears"
    limit_s = 30.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self) -> Iterable[Finding]:
        try:
            hearing = await off_loop(open_hearing, self._settings, SystemClock())
        except ConfigError as error:
            return [problem(f"Speech cannot be understood: {error}", "joyvl models list says what there is.")]
        try:
            if not hearing.able and self._settings.speech.asr == OFF:
                return [skipped(hearing.message)]
            if not hearing.able:  # nobody has asked for it
                return [
                    skipped(hearing.message, "Typed words work without it. To speak with the server: docs/speech.md")
                ]
            return [ok(f"{hearing.name} understands speech; its model is there.")]
        finally:
            await hearing.aclose()
