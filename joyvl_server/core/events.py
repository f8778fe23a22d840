"""Inputs and effects of the observer. Inputs are facts that reached the machine; effects are what the shell must do.

Every input carries `at`: stream seconds of the session when it reached the machine. Every effect that starts work
carries a `step`; the outcome comes back as an input with the same step, and outcomes of another step are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from joyvl_server.core.frame import Frame
from joyvl_server.core.turns import Chunk, Look, UserTurn
from joyvl_server.core.watches import WatchBook
from joyvl_server.core.zones import Box


class Decision(StrEnum):
    SILENT = "silent"
    SPEAK = "speak"
    DELEGATE = "delegate"


class Skip(StrEnum):
    """Why a tick took no decision."""

    BUSY = "busy"
    """the step before has not ended: never two in flight"""
    LATE = "late"
    """its second was over before the session could begin it"""
    NO_FRAME = "no_frame"
    """the source has no new picture"""
    OFFLINE = "offline"
    """the source is not connected"""
    STILL = "still"
    """the gaze saw nothing new"""
    FAILED = "failed"
    """the engine failed; the turn was rolled back"""


class Suppressed(StrEnum):
    """Why something the engine wanted to say was not said."""

    COOLDOWN = "cooldown"
    DUPLICATE = "duplicate"
    ZONE = "zone"
    """no active watch covers that part of the picture"""
    EMPTY = "empty"
    """a marker with nothing after it"""


class Urgency(StrEnum):
    REMARK = "remark"
    ANSWER = "answer"
    ALERT = "alert"
    NOTICE = "notice"
    """said by the server itself, not by the model"""


@dataclass(frozen=True, slots=True)
class Score:
    """How strongly the engine wants to speak about the last turn.

    `value` is a probability, 0 to 1 (1.0 or 0.0 from engines that cannot score). Engines that see structure add
    `kind` (enter, leave, move, still, changed, dark, covered, frozen, camera_moving …) and `box`, where it is; `key`
    names one happening, so that two alike are not taken for a repetition. `garbage` is what an answer outside the
    protocol said (at most 200 characters); it counts as silence.
    """

    value: float
    kind: str | None = None
    box: Box | None = None
    key: str | None = None
    garbage: str | None = None


# ------------------------------------------------------------------------------------------------------------ inputs


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    frame: Frame


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
    """Someone asked something once. `wall` dates the notice where the engine cannot read words."""

    at: float
    id: str
    text: str
    wall: float = 0.0


@dataclass(frozen=True, slots=True)
class QueryWithdrawn:
    at: float
    id: str


@dataclass(frozen=True, slots=True)
class WatchesChanged:
    at: float
    book: WatchBook


@dataclass(frozen=True, slots=True)
class SensitivityChanged:
    at: float
    threshold: float


@dataclass(frozen=True, slots=True)
class PlaybackAcked:
    """The listener heard the first `heard` characters of the utterance with this epoch."""

    at: float
    epoch: int
    heard: int


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """A delegated task moved on; `status` as in design.md (queued, running, completed, failed, cancelled …)."""

    at: float
    task_id: str
    status: str
    result: str = ""


Input = (
    Tick
    | TickSkipped
    | Scored
    | TextDelta
    | SaidDone
    | EngineFailed
    | QueryAsked
    | QueryWithdrawn
    | WatchesChanged
    | SensitivityChanged
    | PlaybackAcked
    | TaskChanged
)


# ----------------------------------------------------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class BeginChunk:
    """The engine starts a new chunk; everything sent before is forgotten."""

    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Append:
    step: int
    turn: UserTurn


@dataclass(frozen=True, slots=True)
class AskScore:
    """Ask the engine: silent or speak? The outcome is `Scored` or `EngineFailed`."""

    step: int


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
class Delegate:
    """Hand a question to an agent; the outcome comes as `TaskChanged`. `task_id` is unique in the session."""

    task_id: str
    t: float
    note: str
    question: str


@dataclass(frozen=True, slots=True)
class QueryClosed:
    """A query ended: answered (by which utterance, which came before), withdrawn or expired."""

    id: str
    reason: str
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """The outcome of one tick; every tick has exactly one, skipped ones too.

    `t` and `wall` are the frame's capture time (the due time where there is no frame). `skipped` is set where no
    decision was taken; then `decision` is silent. `suppressed` says why a wish to speak became silence.
    `watches` are ids of the watches the remark concerns.
    """

    step: int
    t: float
    wall: float
    decision: Decision
    look: Look
    skipped: Skip | None = None
    suppressed: Suppressed | None = None
    score: float | None = None
    kind: str | None = None
    zone: str | None = None
    box: Box | None = None
    text: str = ""
    question: str = ""
    epoch: int | None = None
    watches: tuple[str, ...] = ()
    query: str | None = None
    change: float | None = None
    detail: str = ""


Effect = (
    BeginChunk
    | Append
    | AskScore
    | Say
    | Abort
    | Settle
    | Rollback
    | TickNow
    | UtteranceDelta
    | UtteranceDone
    | Delegate
    | QueryClosed
    | Decided
)
