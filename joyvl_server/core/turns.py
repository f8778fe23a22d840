"""What the model is sent: chunks of turns. Pure values; `context.py` grows them, engines carry them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from joyvl_server.core.frame import Frame, Image
from joyvl_server.core.zones import Zone


class Look(StrEnum):
    """What a frame may cost."""

    FULL = "full"
    GLANCE = "glance"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class UserTurn:
    """One second as the model sees it: late news, a query asked in this second, the time tag, the frame.

    `t` is the model's time (seconds, restarts at a chunk switch); `frame.t` is stream time.
    `news` are lines that joined at the tail (watches changed, results); `zones` serve engines that read no text.
    """

    step: int
    t: float
    frame: Frame
    look: Look = Look.FULL
    query: str | None = None
    news: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = ()


@dataclass(frozen=True, slots=True)
class SettledTurn:
    """A user turn and what the assistant answered, in the wire format (`</silence>`, `</response> …`)."""

    user: UserTurn
    answer: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """The frozen start of a chunk: system prompt, prefix (history, standing watches), turns carried over as lead."""

    number: int
    system: str
    prefix: str = ""
    lead: tuple[SettledTurn, ...] = ()


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    frame: Frame
    look: Look

    @property
    def image(self) -> Image:
        """The picture to send: the small one for a glance, where there is one."""
        if self.look is Look.GLANCE and self.frame.glance is not None:
            return self.frame.glance
        return self.frame.image


Part = TextPart | ImagePart
