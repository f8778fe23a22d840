"""What waits for the one engine that understands speech: whole sentences first, the oldest first."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

import structlog

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.speech.asr.partials import PartialBudget
from joyvl_server.speech.base import Asr, Heard, SpeechError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class HearingLimits:
    """`waiting`: sentences of all sessions that may wait. `at_once`: how many the engine works on. `timeout_s`: from
    being asked to the answer. `partial_share`: of the engine's time, for words while somebody speaks."""

    waiting: int = 16
    at_once: int = 1
    timeout_s: float = 20.0
    partial_timeout_s: float = 5.0
    partial_share: float = 0.4
    partial_every_s: float = 0.5


class HearingQueue:
    """One for all sessions. What finds no space is refused at once: a sentence heard too late answers nobody."""

    def __init__(self, asr: Asr, clock: Clock, limits: HearingLimits | None = None) -> None:
        self.limits = limits or HearingLimits()
        self.refused = 0
        """sentences for which there was no space"""
        self._asr = asr
        self._clock = clock
        self._budget = PartialBudget(self.limits.partial_share, self.limits.partial_every_s)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._working = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def may_ask_partial(self, *, early: bool = False) -> bool:
        """Is there time for one right now? `early`: somebody pauses, and has most likely finished. What is understood
        now saves the work at the end, so the share of partials does not limit it."""
        if not self._asr.partials or self._waiting or self._working >= self.limits.at_once:
            return False
        return early or self._budget.allows(self._clock.monotonic())

    async def partial(self, audio: Pcm, language: str | None, *, early: bool = False) -> Heard:
        """Words so far; `early`: understood as carefully as all of them, so that they may be the last ones.

        Raises `SpeechError`, busy where it is somebody else's turn. Cancelling gives the work up.
        """
        if self._waiting or self._working >= self.limits.at_once:
            raise SpeechError("Whole sentences are understood first.", code="busy")
        began = self._clock.monotonic()
        try:
            until = began + (self.limits.timeout_s if early else self.limits.partial_timeout_s)
            return await self._hear(audio, language, partial=not early, until=until)
        finally:
            now = self._clock.monotonic()
            self._budget.spent(now, now - began)

    async def final(self, audio: Pcm, language: str | None) -> Heard:
        """All words. Raises `SpeechError`: busy (too many wait), timeout, and what the engine raises.

        Cancelled, it leaves the queue, or gives the work up.
        """
        until = self._clock.monotonic() + self.limits.timeout_s
        if self._working >= self.limits.at_once:
            await self._wait_turn(until)
        return await self._hear(audio, language, partial=False, until=until)

    async def _wait_turn(self, until: float) -> None:
        """Until `_next` counts us as working."""
        if len(self._waiting) >= self.limits.waiting:
            self.refused += 1
            raise SpeechError("Too many people speak at once: this sentence was not understood.", code="busy")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            came = await wait_until(self._clock, turn, until)
        except asyncio.CancelledError:
            self._leave(turn)
            raise
        if not came:
            self._leave(turn)
            raise SpeechError("Others spoke for too long before this sentence.", code="timeout")
        self._working -= 1  # `_hear` counts us again, at once

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Our turn may have come in the same moment: then it is the next one's."""
        with suppress(ValueError):
            self._waiting.remove(turn)
        if turn.done():
            self._working -= 1
            self._next()
        turn.cancel()

    def _next(self) -> None:
        while self._waiting and self._working < self.limits.at_once:
            turn = self._waiting.popleft()
            if not turn.done():
                self._working += 1
                turn.set_result(None)

    async def _hear(self, audio: Pcm, language: str | None, *, partial: bool, until: float) -> Heard:
        self._working += 1
        asked = asyncio.create_task(self._asr.hear(audio, language=language, partial=partial), name="hear")
        asked.add_done_callback(_take_error)
        try:
            if not await wait_until(self._clock, asked, until):
                raise SpeechError(f"{self._asr.name} took too long to understand this.", code="timeout")
            return asked.result()
        except JoyvlError:
            raise
        except Exception as error:  # a plug-in: whatever it raises is one sentence not understood
            log.error("speech engine fault", engine=self._asr.name, exc_info=error)
            raise SpeechError(f"{self._asr.name} failed: {type(error).__name__}.") from error
        finally:
            asked.cancel()
            self._working -= 1
            self._next()


def _take_error(asked: asyncio.Task[Heard]) -> None:
    """Nobody may be left to hear of it."""
    if not asked.cancelled():
        asked.exception()
