"""What a tick comes to: the decision, the score behind it, and the reasons where there was none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from joyvl_server.core.texts import well_formed
from joyvl_server.core.watches.zones import Box


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
    AWAY = "away"
    """the engine is known to be away: nothing was asked of it"""


class Suppressed(StrEnum):
    """Why something the engine wanted to say was not said."""

    COOLDOWN = "cooldown"
    DUPLICATE = "duplicate"
    ZONE = "zone"
    """no active watch covers that part of the picture"""
    KIND = "kind"
    """no active watch there fires at that kind of happening"""
    EMPTY = "empty"
    """a marker with nothing after it"""
    HOVERING = "hovering"
    """the score has not fallen since the last remark: it hovers about the threshold"""
    BELOW = "below"
    """the watch it is about asks for a higher score"""


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

    def clean(self) -> Score:
        """The same with well-formed words: they come from outside."""
        kind, key, garbage = (text and well_formed(text) for text in (self.kind, self.key, self.garbage))
        return replace(self, kind=kind, key=key, garbage=garbage)


@dataclass(frozen=True, slots=True)
class Share:
    """How likely a remark is about this watch or query, 0 to 1; neither of the two: about none that was offered."""

    share: float
    watch: str | None = None
    query: str | None = None


class Pressure(IntEnum):
    """How short of time the engine is: what every session gives up, in this order."""

    NONE = 0
    GLANCES = 1
    """glances instead of full looks, but when somebody asked, or much changed and the last one was long ago"""
    SLOWER = 2
    """still cameras tick less often"""
    FULL = 3
    """and no further session is taken"""
