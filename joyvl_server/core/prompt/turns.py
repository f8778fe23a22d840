"""What the model is sent: chunks of turns. Pure values; `context.py` grows them, engines carry them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from joyvl_server.core.frame import NO_GREY, Frame, Image
from joyvl_server.core.watches.kinds import Kinds
from joyvl_server.core.watches.zones import Zone

SILENCE = "</silence>"
"""the answer of a turn in which nothing was said"""


class Look(StrEnum):
    """What a frame may cost."""

    FULL = "full"
    GLANCE = "glance"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Second:
    """The pictures of one second under one time tag, oldest first; one, or two or four for fast scenes."""

    frames: tuple[Frame, ...]
    look: Look = Look.FULL


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What the model sees at one tick: late news, a query asked just now, then each second's time tag and pictures.

    `t` is the model's time (seconds, restarts at a chunk switch) of the newest second's first picture; `frame.t` is
    stream time. `burst` are earlier pictures of that same second, with the look of `frame`. `backlog` are seconds that
    passed while the engine spoke, oldest first: each goes under its own time tag, before the newest.
    `memories` are quoted before the query that they may help with. `news` are lines that joined at the tail (watches
    changed, results); `zones` and `kinds` (what the
    watches fire at; empty: any) serve engines that read no text.
    """

    step: int
    t: float
    frame: Frame
    look: Look = Look.FULL
    query: str | None = None
    memories: tuple[str, ...] = field(default=(), metadata={"logged": False})
    news: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = ()
    kinds: Kinds = ()
    burst: tuple[Frame, ...] = ()
    backlog: tuple[Second, ...] = ()
    change: float | None = None
    """how much the picture of `frame` has changed (0 to 1), where the gaze has said so"""

    @property
    def pictures(self) -> int:
        return 1 + len(self.burst) + sum(len(second.frames) for second in self.backlog)

    @property
    def small(self) -> bool:
        """Are all its pictures glances?"""
        return all(second.look is Look.GLANCE for second in self.seconds)

    @property
    def seconds(self) -> tuple[Second, ...]:
        """Every second of the turn, oldest first, the newest last."""
        return (*self.backlog, Second((*self.burst, self.frame), self.look))

    def kept(self, *, pictures: bool = True) -> UserTurn:
        """The turn as a context keeps it once it is settled: a thousandth to a half of its memory.

        The pictures that may be sent again stay: a full look may become a glance later, a glance never a full look.
        Without `pictures` none is, as with an engine that keeps a scene and no messages.
        """
        *burst, frame = _kept((*self.burst, self.frame), self.look, pictures)
        backlog = tuple(Second(_kept(second.frames, second.look, pictures), second.look) for second in self.backlog)
        return replace(self, frame=frame, burst=tuple(burst), backlog=backlog)


def _kept(frames: tuple[Frame, ...], look: Look, pictures: bool) -> tuple[Frame, ...]:
    """The frames without their grey pictures, and with the bytes of those JPEGs only that may be sent again."""
    kept = []
    for frame in frames:
        glance = frame.glance
        if glance is not None and not pictures:
            glance = replace(glance, jpeg=b"")
        again = pictures and (look is not Look.GLANCE or glance is None)
        image = frame.image if again else replace(frame.image, jpeg=b"")
        kept.append(replace(frame, image=image, glance=glance, grey=NO_GREY, trail=()))
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class SettledTurn:
    """A user turn and what the assistant answered, in the wire format (`</silence>`, `</response> …`)."""

    user: UserTurn
    answer: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """The frozen start of a chunk: system prompt, prefix (history, active watches), turns carried over as lead.

    `origin` is the stream time at which the model's time of this chunk is 0. Turns that settle while the chunk is
    prepared while another one goes on join its lead as `leading` makes them.
    """

    number: int
    system: str
    prefix: str = ""
    lead: tuple[SettledTurn, ...] = ()
    origin: float = 0.0

    def retimed(self, turn: UserTurn) -> UserTurn:
        """The turn with the model's time of this chunk; the same object where that does not differ."""
        t = (turn.burst[0] if turn.burst else turn.frame).t - self.origin
        return turn if t == turn.t else replace(turn, t=t)

    def leading(self, settled: SettledTurn) -> SettledTurn:
        """The turn as it stands in this chunk's lead: with its time, and as glances unless somebody spoke in it.

        The lead is read a second time only to go on from it; with full looks it would cost the engine three times as
        much as all else that a new chunk brings.
        """
        turn = self.retimed(settled.user)
        if turn.query is None and settled.answer == SILENCE and not turn.small:
            backlog = tuple(replace(second, look=Look.GLANCE) for second in turn.backlog)
            turn = replace(turn, look=Look.GLANCE, backlog=backlog)
        return settled if turn is settled.user else replace(settled, user=turn)


@dataclass(frozen=True, slots=True)
class Draft:
    """A text the engine is to write in the background, at the tail of turns it has seen (summaries).

    The prompt is the chunk, these `turns` after its lead, then `instruction` as one more user message. Without a
    `chunk` it is the instruction alone, under `system`. Input logs leave the words out: a better wording of a prompt
    is no other decision.
    """

    id: str
    instruction: str = field(metadata={"logged": False})
    max_tokens: int
    chunk: Chunk | None = field(default=None, metadata={"logged": False})
    turns: tuple[SettledTurn, ...] = field(default=(), metadata={"logged": False})
    system: str = field(default="", metadata={"logged": False})


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """`image` is the picture to send: the small one for a glance, where there is one."""

    frame: Frame
    look: Look
    image: Image

    @classmethod
    def of(cls, frame: Frame, look: Look) -> ImagePart:
        small = frame.glance if look is Look.GLANCE else None
        return cls(frame, look, frame.image if small is None else small)


Part = TextPart | ImagePart
