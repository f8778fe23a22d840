"""What understands speech for the whole server: one engine, and one queue in front of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import structlog

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import plugins
from joyvl_server.kit.clock import Clock
from joyvl_server.settings import Settings
from joyvl_server.speech.asr.queue import HearingLimits, HearingQueue
from joyvl_server.speech.asr.transcriber import SpeechTranscriber
from joyvl_server.speech.base import Asr, SpeechContext, SpeechError, SpeechState
from joyvl_server.speech.end_of_turn import TurnDetector

log = structlog.get_logger(__name__)

GROUP = "joyvl.asr"
OFF = "off"
DEFAULT = "whisper"


class SpeechHearing:
    """Without an engine `able` is False, `message` says why, and only `start` and `aclose` may be called."""

    def __init__(self, asr: Asr | None, clock: Clock, limits: HearingLimits | None = None, message: str = "") -> None:
        self.message = message
        self._asr = asr
        limits = limits or HearingLimits()
        if asr is not None:
            limits = replace(limits, at_once=max(limits.at_once, getattr(asr, "at_once", 1)))
            self._queue = HearingQueue(asr, clock, limits)

    @property
    def able(self) -> bool:
        return self._asr is not None

    @property
    def name(self) -> str | None:
        return None if self._asr is None else self._asr.name

    @property
    def state(self) -> SpeechState | None:
        """None: there is no engine."""
        if self._asr is None:
            return None
        state = self._asr.state
        return replace(state, extra={**state.extra, "waiting": self._queue.waiting, "refused": self._queue.refused})

    @property
    def turns(self) -> TurnDetector | None:
        """Tells whether somebody has finished, where the engine can."""
        asr = self._asr
        return asr if isinstance(asr, TurnDetector) and asr.detects_turns else None

    def transcriber(self, language: str | None = None) -> SpeechTranscriber:
        """One for each speaker or session. `language` None: found out once, then kept."""
        return SpeechTranscriber(self._queue, language=language)

    async def start(self) -> None:
        """Get ready, so that the first sentence is not late. What fails is logged: it is tried again when somebody
        speaks. Cancelled, it goes on by itself."""
        if self._asr is None:
            return
        try:
            await self._asr.start()
        except SpeechError as error:
            log.warning("speech is not understood for now", engine=self._asr.name, reason=str(error))

    async def aclose(self) -> None:
        """Give the engine back. Idempotent. Cancelled, it gives back what it can at once."""
        if self._asr is not None:
            await self._asr.aclose()


def open_hearing(settings: Settings, clock: Clock) -> SpeechHearing:
    """As the settings want it. Starts nothing. Raises `ConfigError` where an engine was chosen that cannot be used.

    Where none was chosen, whisper is taken if it is installed with a model; else there is none, which is no error.
    """
    chosen = settings.speech.asr
    if chosen == OFF:
        return SpeechHearing(None, clock, message="Speech is not understood: speech.asr is off.")
    name = chosen or DEFAULT
    context = SpeechContext(
        settings.speech.asr_options.get(name, {}), settings.speech_models_dir, clock, settings.net_policy()
    )
    try:
        maker = cast(Callable[[SpeechContext], Asr], plugins.load(GROUP, name))
        return SpeechHearing(maker(context), clock)
    except ConfigError as error:
        if chosen is not None or name in settings.speech.asr_options:
            raise
        return SpeechHearing(None, clock, message=f"Speech is not understood: {error}")
