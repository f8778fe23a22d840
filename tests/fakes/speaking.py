"""A session with a voice, and people who speak to it; nothing plays but as reports say."""

from typing import Any

from fakes.observing import Shell
from joyvl_server.core.decisions import Skip
from joyvl_server.core.effects import Effect
from joyvl_server.core.inputs import (
    PlaybackAcked,
    PlaybackEnded,
    SpeechContinued,
    SpeechLasted,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    TickSkipped,
    Transcript,
    TranscriptFailed,
)


class SpokenShell(Shell):
    """`voice` is on. `t` of speech is the onset; it is told 0.1 s later."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**{"voice": True, **config})

    def acked(self, at: float, epoch: int, heard: int) -> list[Effect]:
        return self.observer.handle(PlaybackAcked(at, epoch, heard))

    def ended(self, at: float, epoch: int, heard: int | None) -> list[Effect]:
        return self.observer.handle(PlaybackEnded(at, epoch, heard))

    def speaks(self, t: float, id: str = "s") -> list[Effect]:
        return self.observer.handle(SpeechStarted(t + 0.1, id, t))

    def lasts(self, at: float, id: str = "s") -> list[Effect]:
        return self.observer.handle(SpeechLasted(at, id))

    def pauses(self, at: float, id: str = "s") -> list[Effect]:
        return self.observer.handle(SpeechPaused(at, id))

    def goes_on(self, t: float, id: str = "s") -> list[Effect]:
        return self.observer.handle(SpeechContinued(t + 0.1, id, t))

    def stops(self, t: float, seconds: float, id: str = "s") -> list[Effect]:
        return self.observer.handle(SpeechStopped(t + 0.3, id, t, seconds))

    def hears(self, at: float, text: str, id: str = "s", *, final: bool = True, addressed: bool = True) -> list[Effect]:
        return self.observer.handle(Transcript(at, id, text, final, addressed))

    def hears_nothing(self, at: float, id: str = "s") -> list[Effect]:
        return self.observer.handle(TranscriptFailed(at, id, "It took too long."))

    def passes_unseen(self, at: float) -> list[Effect]:
        """A second without a picture."""
        self.step += 1
        return self.observer.handle(TickSkipped(at, at, Skip.NO_FRAME))
