"""Has somebody finished, or only paused? Where a model can tell from the voice, the wait gets shorter or longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from joyvl_server.kit.audio.pcm import Pcm

SEEN_S = 8.0
"""seconds at the end of the speech that a detector looks at"""


@runtime_checkable
class TurnDetector(Protocol):
    """An `Asr` may be one, too."""

    @property
    def detects_turns(self) -> bool:
        """Is it set to, and has it what that needs?"""

    async def finished(self, audio: Pcm) -> float | None:
        """The speech so far, at 16 kHz: 0, it goes on, to 1, it has ended. None: it cannot tell.

        Raises `SpeechError`. Cancelling it changes nothing.
        """


@dataclass(frozen=True, slots=True)
class TurnWait:
    """How long silence lasts until somebody has finished: `usual_s`, but `least_s` where the voice says that it is the
    end, and `most_s` where it says that it goes on. Detectors err: nobody is ever cut off sooner or kept longer."""

    least_s: float = 0.3
    usual_s: float = 0.6
    most_s: float = 1.2
    sure_ended: float = 0.8
    sure_open: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.least_s <= self.usual_s <= self.most_s:
            raise ValueError("least_s, usual_s and most_s must rise in this order")
        if not 0 <= self.sure_open < self.sure_ended <= 1:
            raise ValueError("sure_open must be below sure_ended, both between 0 and 1")

    def seconds(self, finished: float | None) -> float:
        """Of silence in all. Between the two bounds it changes evenly."""
        if finished is None or not 0 <= finished <= 1:
            return self.usual_s
        if finished >= self.sure_ended:
            return self.least_s
        if finished <= self.sure_open:
            return self.most_s
        share = (finished - self.sure_open) / (self.sure_ended - self.sure_open)
        if share <= 0.5:
            return self.most_s + (self.usual_s - self.most_s) * share * 2
        return self.usual_s + (self.least_s - self.usual_s) * (share - 0.5) * 2
