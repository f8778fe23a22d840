"""Effects of the observer: what the shell must do.

Every effect that starts work carries a `step`; the outcome comes back as an input with the same step.
"""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.decisions import Decision, Share, Skip, Suppressed, Urgency
from joyvl_server.core.prompt.turns import Chunk, Draft, Look, UserTurn
from joyvl_server.core.watches.zones import Box


@dataclass(frozen=True, slots=True)
class BeginChunk:
    """The engine starts a new chunk; everything sent before is forgotten."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class PrepareChunk:
    """Get the next chunk ready while the present one goes on: warm it in slices. It replaces one prepared before.

    Every turn that settles from now on joins both. `BeginChunk` with its number switches to it; with another number,
    it is forgotten. Outcome: `ChunkWarmed`, whenever more of it is warm.
    """

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Write:
    """Write a text in slices between ticks; nobody waits for it. Outcome: `Written` or `WriteFailed`."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class StopWriting:
    """Nobody wants that text any more. No outcome is expected."""

    id: str


@dataclass(frozen=True, slots=True)
class Append:
    step: int
    turn: UserTurn


@dataclass(frozen=True, slots=True)
class AskScore:
    """Ask the engine: silent or speak? The outcome is `Scored` or `EngineFailed`."""

    step: int


@dataclass(frozen=True, slots=True)
class AskChoice:
    """A question at the tail of the pending turn, answered with one of `options` (single letters); never kept.

    The outcome is `Chosen`, never `EngineFailed`: what cannot be found out has no shares.
    """

    step: int
    question: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """Let the engine continue after `</response>`. Outcomes: `TextDelta` …, then `SaidDone` or `EngineFailed`."""

    step: int


@dataclass(frozen=True, slots=True)
class Abort:
    """Stop saying: nobody wants the rest. No outcome is expected."""

    step: int


@dataclass(frozen=True, slots=True)
class Settle:
    """The turn is answered; `answer` is what stands in the context from now on."""

    step: int
    answer: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """The turn failed: the engine forgets it."""

    step: int


@dataclass(frozen=True, slots=True)
class TickNow:
    """Do not wait for the next second: someone asked something."""


@dataclass(frozen=True, slots=True)
class UtteranceDelta:
    """Text that may be shown and spoken; it has passed the checks."""

    epoch: int
    text: str


@dataclass(frozen=True, slots=True)
class UtteranceDone:
    """One thing said, whole. `heard` grows by `PlaybackAcked`; until then nothing is known to be heard."""

    epoch: int
    t: float
    wall: float
    text: str
    urgency: Urgency
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Play:
    """Begin to play this utterance; its text may still be coming. One at a time: the one before has ended or was cut.

    Outcomes: `PlaybackAcked` …, then `PlaybackEnded`.
    """

    epoch: int


@dataclass(frozen=True, slots=True)
class HoldPlayback:
    """Fall silent at once, and keep the position: somebody speaks."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ResumePlayback:
    """Go on from where it was held."""

    epoch: int


@dataclass(frozen=True, slots=True)
class CutPlayback:
    """Fall silent at once, for good: nothing of this epoch plays any more."""

    epoch: int


@dataclass(frozen=True, slots=True)
class PlaybackCut:
    """The utterance was cut off at stream time `t`, or dropped before it was played: `heard` are the words of it that
    were heard. People and the history are told."""

    epoch: int
    t: float
    heard: str


@dataclass(frozen=True, slots=True)
class Delegate:
    """Hand a question to an agent; the outcome comes as `TaskChanged`. `task_id` is unique in the session."""

    task_id: str
    t: float
    note: str
    question: str


@dataclass(frozen=True, slots=True)
class TaskTold:
    """This utterance, which has begun before, tells what came of these delegated tasks."""

    task_ids: tuple[str, ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class AddWatch:
    """What somebody said is a standing instruction: keep it as a watch that people see and can undo.

    The model has read it already. The shell answers with `WatchesChanged`.
    """

    query_id: str
    text: str


@dataclass(frozen=True, slots=True)
class EndWatch:
    """Somebody asked to stop this watch: pause it, so that it can be taken up again. Answered by `WatchesChanged`."""

    query_id: str
    watch_id: str


@dataclass(frozen=True, slots=True)
class SummaryKept:
    """A stretch of video, `start` to `end` in stream seconds, is summed up. `block`: an account of several of them."""

    number: int
    start: float
    end: float
    text: str
    block: bool


@dataclass(frozen=True, slots=True)
class QueryClosed:
    """A query ended: answered, withdrawn, expired, or it was no question but a standing instruction (`standing`) or
    the end of one (`cancel`). `epoch` is the utterance that answered it, which came before, and `answer` its words."""

    id: str
    reason: str
    epoch: int | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """The outcome of one tick; every tick has exactly one, skipped ones too.

    `t` and `wall` are the frame's capture time (the due time where there is no frame). `skipped` is set where no
    decision was taken; then `decision` is silent. `suppressed` says why a wish to speak became silence.
    `threshold` is what the score was compared with: the lowest of what could have been spoken about, or that of what
    the remark is about. `watches` are ids of the watches the remark concerns. `shares` are the engine's answer to what
    it is about, the largest first, where it was asked.
    """

    step: int
    t: float
    wall: float
    decision: Decision
    look: Look
    skipped: Skip | None = None
    suppressed: Suppressed | None = None
    score: float | None = None
    threshold: float | None = None
    kind: str | None = None
    zone: str | None = None
    box: Box | None = None
    text: str = ""
    question: str = ""
    epoch: int | None = None
    watches: tuple[str, ...] = ()
    query: str | None = None
    shares: tuple[Share, ...] = ()
    change: float | None = None
    detail: str = ""


Effect = (
    BeginChunk
    | PrepareChunk
    | Write
    | StopWriting
    | Append
    | AskScore
    | AskChoice
    | Say
    | Abort
    | Settle
    | Rollback
    | TickNow
    | UtteranceDelta
    | UtteranceDone
    | Play
    | HoldPlayback
    | ResumePlayback
    | CutPlayback
    | PlaybackCut
    | Delegate
    | TaskTold
    | AddWatch
    | EndWatch
    | SummaryKept
    | QueryClosed
    | Decided
)
