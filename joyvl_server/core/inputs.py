"""Inputs of the observer: facts that reached the machine.

Every input carries `at`: stream seconds of the session when it reached the machine. Outcomes carry the `step` of the
effect that asked for them; outcomes of another step are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.config import EngineFacts, ObserverConfig
from joyvl_server.core.decisions import Pressure, Score, Skip
from joyvl_server.core.frame import Frame
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.core.watches.watches import WatchSet


@dataclass(frozen=True, slots=True)
class Tick:
    """A second has come. `burst` are earlier pictures of the same second, oldest first."""

    at: float
    frame: Frame
    burst: tuple[Frame, ...] = ()

    @property
    def wall(self) -> float:
        return self.frame.wall


@dataclass(frozen=True, slots=True)
class Passed:
    """A second passed while a reply was on its way: its pictures go into the next turn. Skipped as busy otherwise."""

    at: float
    frame: Frame
    burst: tuple[Frame, ...] = ()

    @property
    def wall(self) -> float:
        return self.frame.wall


@dataclass(frozen=True, slots=True)
class TickSkipped:
    """A second without a decision, found by the shell (late, no frame, offline)."""

    at: float
    wall: float
    reason: Skip


@dataclass(frozen=True, slots=True)
class Scored:
    at: float
    step: int
    score: Score


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer to `AskChoice`: a share for each option, in order, summing to 1; empty where the engine gave none."""

    at: float
    step: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Raw text of the answer after `</response>`, markers of delegation included."""

    at: float
    step: int
    text: str


@dataclass(frozen=True, slots=True)
class SaidDone:
    at: float
    step: int


@dataclass(frozen=True, slots=True)
class EngineFailed:
    at: float
    step: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class QueryAsked:
    """Someone asked something once. `wall` dates the notice where the engine cannot read words.

    `memories`: what is remembered that may help, a line each, quoted at the tail of the turn that asks. `reply`: the
    shell has the answer already, and the engine is not asked.
    """

    at: float
    id: str
    text: str
    wall: float = 0.0
    memories: tuple[str, ...] = ()
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class PastKnown:
    """What is known from before this session, a line each, the most needed last: the next chunk begins with it."""

    at: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PastForgotten:
    """What was seen, said and asked between two stream times is to be forgotten, and what was known from before this
    session: the next turn begins another chunk, without it and without the turns so far, which may quote it."""

    at: float
    since: float
    until: float


PastInput = PastKnown | PastForgotten


@dataclass(frozen=True, slots=True)
class QueryWithdrawn:
    at: float
    id: str


@dataclass(frozen=True, slots=True)
class WatchesChanged:
    at: float
    watch_set: WatchSet


@dataclass(frozen=True, slots=True)
class CapabilitiesChanged:
    """The engine can do more or less than before, or another one took its place: it has nothing in its cache.

    All else goes on, a step in flight too: its outcome is still expected. The next chunk begins with a short lead.
    """

    at: float
    engine: EngineFacts


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """Other settings from now on; see `ObserverConfig` for those that only count at the start.

    Other `engine` facts are `CapabilitiesChanged`. Another system prompt begins a chunk with a short lead.
    """

    at: float
    config: ObserverConfig


@dataclass(frozen=True, slots=True)
class PlaybackAcked:
    """The listener heard the first `heard` characters of the utterance with this epoch."""

    at: float
    epoch: int
    heard: int


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    """It plays no more. `heard`: characters; None where nobody could hear it (no listener, no voice): it was shown."""

    at: float
    epoch: int
    heard: int | None


class OfSpeech:
    """What is known of somebody who speaks; for turn taking alone."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SpeechStarted(OfSpeech):
    """Somebody speaks since stream time `t`. `id` is unique in the session."""

    at: float
    id: str
    t: float


@dataclass(frozen=True, slots=True)
class SpeechLasted(OfSpeech):
    """It goes on for 0.4 s by now: no click, no cough. Told once."""

    at: float
    id: str


@dataclass(frozen=True, slots=True)
class SpeechPaused(OfSpeech):
    """It fell silent, and its end is still awaited. Before it lasted: a click or a cough as far as one knows."""

    at: float
    id: str


@dataclass(frozen=True, slots=True)
class SpeechContinued(OfSpeech):
    """After `SpeechPaused`: it goes on since `t`."""

    at: float
    id: str
    t: float


@dataclass(frozen=True, slots=True)
class SpeechStopped(OfSpeech):
    """It ended at `t`. `Transcript(final)` or `TranscriptFailed` follows: the latter at once if nobody transcribes."""

    at: float
    id: str
    t: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Transcript(OfSpeech):
    """What was said so far, or all of it. `addressed`: the wake word was said, or none is needed."""

    at: float
    id: str
    text: str
    final: bool
    addressed: bool = True


@dataclass(frozen=True, slots=True)
class TranscriptFailed(OfSpeech):
    at: float
    id: str
    message: str


@dataclass(frozen=True, slots=True)
class SoundHeard:
    """A sound of this kind began at stream time `t`, `wall` in Unix seconds."""

    at: float
    wall: float
    kind: WatchKind
    t: float


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """A delegated task moved on; `status` as in design.md (queued, running, completed, failed, cancelled …).

    `result`: a digest of the answer, why there is none, or what it asks for (`waiting`). `question`: for a task that
    the machine did not hand over itself. `wall` in Unix seconds.
    """

    at: float
    task_id: str
    status: str
    result: str = ""
    question: str = ""
    wall: float = 0.0


@dataclass(frozen=True, slots=True)
class ChunkWarmed:
    """The first `turns` turns of the lead of prepared chunk `number`, and all before them, are in its cache."""

    at: float
    number: int
    turns: int


@dataclass(frozen=True, slots=True)
class Written:
    """The text of a draft is whole."""

    at: float
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class WriteFailed:
    at: float
    id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class PressureChanged:
    at: float
    pressure: Pressure


@dataclass(frozen=True, slots=True)
class ContextLimitChanged:
    """A context of this session may have at most `tokens`, where that is a share `most` for a while: see `Context`."""

    at: float
    tokens: int
    most: int | None = None


@dataclass(frozen=True, slots=True)
class PictureLimitChanged:
    """How many pictures a prompt may have; None: as many as its tokens allow. See `PictureLimit`."""

    at: float
    most: int | None
    fresh: int | None


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """The engine has lost what it had cached: begin a short chunk, which costs less than to read all of it."""

    at: float


Input = (
    Tick
    | Passed
    | TickSkipped
    | Scored
    | Chosen
    | TextDelta
    | SaidDone
    | EngineFailed
    | QueryAsked
    | QueryWithdrawn
    | PastKnown
    | PastForgotten
    | WatchesChanged
    | CapabilitiesChanged
    | ConfigChanged
    | PlaybackAcked
    | PlaybackEnded
    | SpeechStarted
    | SpeechLasted
    | SpeechPaused
    | SpeechContinued
    | SpeechStopped
    | Transcript
    | TranscriptFailed
    | SoundHeard
    | TaskChanged
    | ChunkWarmed
    | Written
    | WriteFailed
    | PressureChanged
    | ContextLimitChanged
    | PictureLimitChanged
    | EngineRestarted
)
