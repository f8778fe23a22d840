"""How quickly a voice makes sound. One that is slower than it speaks is heard later, but without gaps."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import Clock, wait_until

USUAL_S = 0.065
"""seconds of speech a character of an alphabet, where nothing is known yet"""
USUAL_WIDE_S = 0.22
"""… and a character of Chinese or Japanese"""
KEEP = 0.7
"""of what was known, with each sentence"""
SAFETY = 1.15
"""sentences are not all alike"""
TOO_SLOW = 0.8
"""seconds of computing for one of sound, from which a sentence is held until all of it is there: pieces differ"""
LONGEST_S = 10.0
"""nobody waits longer for a first word"""


class VoicePace:
    """Of one engine on this machine; it learns from each sentence that was made to its end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._took = self._sound = self._usual = 0.0

    def needed_s(self, text: str) -> float:
        """What the time since it was asked for, and the sound that is there, must come to before it may be heard: the
        time that making all of it takes. 0 where nothing is known."""
        if not self._usual:
            return 0.0
        if self._took > TOO_SLOW * self._sound:
            return math.inf
        return SAFETY * usual_seconds(text) * self._took / self._usual

    async def steady(self, pieces: AsyncIterator[Pcm], text: str) -> AsyncGenerator[Pcm, None]:
        """The pieces of one sentence, the first ones held back until what is missing will come in time.

        Whoever opened `pieces` closes it, after this one is closed. Cancelled, so is the wait for the next piece.
        """
        began = asked = self._clock.monotonic()
        needed = self.needed_s(text)
        held: list[Pcm] = []
        sound = took = 0.0
        coming: asyncio.Task[Pcm | None] | None = None
        over = False
        try:
            while not over:
                if coming is None:
                    asked = self._clock.monotonic()
                    coming = asyncio.create_task(_next(pieces), name="next piece of sound")
                # All of it is made after `needed` seconds, and what is held plays until then.
                start = began + min(LONGEST_S, needed - sound)
                await (wait_until(self._clock, coming, start) if held else asyncio.wait({coming}))
                if coming.done():
                    piece, coming = coming.result(), None
                    took += self._clock.monotonic() - asked
                    over = piece is None
                    if piece is not None:
                        held.append(piece)
                        sound += piece.seconds
                if over or self._clock.monotonic() >= began + min(LONGEST_S, needed - sound):
                    while held:
                        yield held.pop(0)
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.wait({coming})
        self._learn(text, took, sound)

    def _learn(self, text: str, took: float, sound: float) -> None:
        if sound > 0:
            self._took = KEEP * self._took + took
            self._sound = KEEP * self._sound + sound
            self._usual = KEEP * self._usual + usual_seconds(text)


def usual_seconds(text: str) -> float:
    """How long it takes to say this, as most voices speak."""
    wide = sum(map(is_wide, text))
    return wide * USUAL_WIDE_S + (len(text) - wide) * USUAL_S


def is_wide(character: str) -> bool:
    """Is it a Chinese, Japanese or Korean sign, which is a syllable or more?"""
    return "\u2e80" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7af" or "\uf900" <= character <= "\ufaff"


async def _next(pieces: AsyncIterator[Pcm]) -> Pcm | None:
    return await anext(pieces, None)
