"""What was said lately, and how much of it was heard. Bounded: the oldest is forgotten first."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.decisions import Urgency
from joyvl_server.core.effects import Effect, QueryClosed, UtteranceDelta, UtteranceDone
from joyvl_server.core.inputs import QueryAsked
from joyvl_server.core.prompt.notices import ANSWERED

MAX_UTTERANCES = 64


@dataclass(frozen=True, slots=True)
class OwnReply:
    """What the server says to a request, what it does about it before, and as what the request is closed."""

    note: str
    reason: str = ANSWERED
    effects: tuple[Effect, ...] = ()


class Utterances:
    """Utterances by epoch. An epoch names one utterance of the session and only grows, from `first` on."""

    def __init__(self, first: int = 1) -> None:
        self._texts: dict[int, str] = {}
        self._heard: dict[int, int] = {}
        self._epoch = first - 1

    @property
    def latest(self) -> int:
        """The epoch given last."""
        return self._epoch

    def begin(self) -> int:
        """The epoch of a new utterance."""
        self._epoch += 1
        self._texts[self._epoch] = ""
        self._heard[self._epoch] = 0
        if len(self._texts) > MAX_UTTERANCES:
            oldest = next(iter(self._texts))
            del self._texts[oldest], self._heard[oldest]
        return self._epoch

    def write(self, epoch: int, text: str) -> None:
        """The utterance as it stands now, whole; one that is forgotten already stays so."""
        if epoch in self._texts:
            self._texts[epoch] = text

    def text(self, epoch: int) -> str | None:
        """None for an epoch that never was or is forgotten."""
        return self._texts.get(epoch)

    def hear(self, epoch: int, characters: int) -> None:
        """Playback got this far. What was heard only grows, and never beyond the text."""
        if epoch in self._texts:
            self._heard[epoch] = min(max(self._heard[epoch], characters), len(self._texts[epoch]))

    def heard(self, epoch: int) -> str:
        return self._texts.get(epoch, "")[: self._heard.get(epoch, 0)]

    def reply(self, asked: QueryAsked, reply: OwnReply) -> list[Effect]:
        """The server itself answers."""
        epoch = self.begin()
        self.write(epoch, reply.note)
        return [
            *reply.effects,
            UtteranceDelta(epoch, reply.note),
            UtteranceDone(epoch, asked.at, asked.wall, reply.note, Urgency.NOTICE),
            QueryClosed(asked.id, reply.reason, epoch, reply.note),
        ]
