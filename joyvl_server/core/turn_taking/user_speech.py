"""Who else speaks. An open speech has the floor until it is decided what it was: nothing new begins to play but alerts,
and what it interrupted is held.

```
  SpeechStarted ── holds what plays
    pauses or ends before it lasted (a click, a cough) gives the floor back at once; its words may still interrupt
    goes on after such a pause                         has the floor again
    words: a partial or final `Transcript`             interrupts; "mhm" and "yes" do not, nor what is not addressed
    goes on for `LONG_S`: no "mhm" takes so long       interrupts; where a wake word is needed it gives the floor back
    `TranscriptFailed`, no word in it                  gives the floor back
    no end for `MOST_S`, no words for `WORDS_S`        gives the floor back
```
"""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.inputs import (
    SpeechContinued,
    SpeechLasted,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TranscriptFailed,
)
from joyvl_server.core.turn_taking.words import Meaning, meaning

LASTS_S = 0.4
"""what is shorter is a click or a cough"""
LONG_S = 1.2
"""what is longer is no "mhm" """
MOST_S = 60.0
"""nobody speaks longer without an end being noticed"""
WORDS_S = 5.0
"""the words of what was said come within this time"""
MOST_OPEN = 8


@dataclass(slots=True)
class OpenSpeech:
    """One speech until its words are known. `floor`: it keeps others from speaking."""

    id: str
    t: float
    began: float
    interrupts: int | None
    """the epoch that played when it began, or went on"""
    floor: bool = True
    lasted: bool = False
    paused: bool = False
    before_s: float = 0.0
    """from its onset to the end of its last pause; that is no part of how long it lasts"""
    listens: bool = False
    """so far it is "mhm" or the like"""
    judged: bool = False
    """its length has said what it can say"""
    stopped: float | None = None


@dataclass(slots=True)
class SpeechVerdict:
    """What follows: this epoch is `interrupted` (None: nothing played when it began), `words` were said to the session,
    or it shall `stop`."""

    interrupted: int | None = None
    words: bool = False
    stop: bool = False


class UserSpeech:
    """Speech that nobody has told of the beginning (half duplex, a voice switched on meanwhile) is not known here."""

    def __init__(self) -> None:
        self._open: dict[str, OpenSpeech] = {}
        self.addressed_only = False
        """a wake word is needed: how long somebody speaks says nothing"""

    @property
    def floor(self) -> bool:
        """Does somebody speak, or is it still open what it was?"""
        return any(speech.floor for speech in self._open.values())

    def began(self, started: SpeechStarted, playing: int | None) -> None:
        self._open[started.id] = OpenSpeech(started.id, started.t, started.at, playing)
        if len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]

    def continued(self, input: SpeechContinued, playing: int | None) -> bool:
        """It goes on after a pause. False: it does not keep others from speaking."""
        speech = self._open.get(input.id)
        if speech is None or not speech.paused:
            return False
        speech.paused, speech.before_s, speech.floor = False, input.t - speech.t, not speech.judged
        speech.interrupts = playing
        return speech.floor

    def take(self, input: SpeechLasted | SpeechPaused | SpeechStopped | Transcript | TranscriptFailed) -> SpeechVerdict:
        speech = self._open.get(input.id)
        if speech is None:
            return SpeechVerdict()
        match input:
            case SpeechLasted():
                speech.lasted = True
            case SpeechPaused():
                if not (speech.lasted or speech.judged):
                    speech.paused, speech.floor = True, False
            case SpeechStopped(at, _, _, seconds):
                speech.stopped = at
                if speech.paused or (not speech.lasted and seconds < LASTS_S):
                    speech.floor = False
                elif seconds - speech.before_s >= LONG_S:
                    return self._long(speech)
            case TranscriptFailed():
                del self._open[input.id]
            case _:
                return self._words(speech, input)
        return SpeechVerdict()

    def pass_time(self, at: float) -> list[SpeechVerdict]:
        """What nobody told. Time that jumped back ends everything."""
        verdicts = []
        for speech in list(self._open.values()):
            since, limit = (speech.began, MOST_S) if speech.stopped is None else (speech.stopped, WORDS_S)
            if not 0 <= at - since < limit:
                del self._open[speech.id]
            elif speech.stopped is None and not speech.paused and at - speech.t - speech.before_s >= LONG_S:
                verdicts.append(self._long(speech))
        return verdicts

    def _long(self, speech: OpenSpeech) -> SpeechVerdict:
        """It goes on for longer than any sign of listening; a transcript that says otherwise knows better."""
        if speech.judged or speech.listens:
            return SpeechVerdict()
        speech.judged = True
        if self.addressed_only:
            speech.floor = False
            return SpeechVerdict()
        return SpeechVerdict(speech.interrupts)

    def _words(self, speech: OpenSpeech, transcript: Transcript) -> SpeechVerdict:
        if transcript.final:
            del self._open[speech.id]
        means = meaning(transcript.text)
        if means is Meaning.STOP and transcript.final:
            return SpeechVerdict(speech.interrupts, stop=True)
        if means in (Meaning.NOTHING, Meaning.BACKCHANNEL):
            speech.listens = means is Meaning.BACKCHANNEL
            return SpeechVerdict()
        if not transcript.addressed and means is not Meaning.STOP:
            speech.floor, speech.judged = False, True
            return SpeechVerdict()
        return SpeechVerdict(speech.interrupts, words=True)
