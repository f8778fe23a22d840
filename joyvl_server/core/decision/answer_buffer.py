"""One answer under way: read as it comes, held back until its first sentence is whole, judged, then shown."""

from __future__ import annotations

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.repetition import RecentRemarks, first_sentence
from joyvl_server.core.decisions import Score, Suppressed
from joyvl_server.core.prompt.answer_parser import AnswerParser
from joyvl_server.core.prompt.wire_format import DELEGATION, answer


class AnswerBuffer:
    """`hear` raw text, then `finish`; both return what may be shown now.

    Once `suppressed` is set, nothing of the remark was shown or will be. `over` says that nothing that may still come
    matters.
    """

    def __init__(self, config: ObserverConfig, recent: RecentRemarks, score: Score, t: float, *, asked: bool) -> None:
        """`asked`: someone waits for this, so it is never taken for a repetition."""
        self.suppressed: Suppressed | None = None
        self.question = ""
        """what is to be handed over; empty where it was handed over shortly before"""
        self.over = False
        self._parser = AnswerParser(opened=True, limit=config.max_answer_chars)
        self._delegation = config.delegation
        self._recent = recent
        self._score = score
        self._t = t
        self._asked = asked
        self._first = ""

    @property
    def note(self) -> str:
        """What it says so far."""
        return self._parser.note

    @property
    def first(self) -> str:
        """The sentence by which it is known again; empty while nothing is shown."""
        return self._first

    @property
    def written(self) -> str:
        """The whole answer in the wire format, as the model wrote it."""
        return answer(self.note, self._parser.question if self._delegation else "")

    def hear(self, raw: str) -> str:
        parser = self._parser
        more = parser.feed(raw)
        self.over = parser.ended or (parser.delegated and not self._delegation)
        if self._first:
            return more
        first = first_sentence(self.note, whole=self.over or parser.delegated)
        if not first:
            return ""
        if not self._repeated(first):
            return self._open(first)
        if self.over or not parser.delegated:  # a holding note may well be the same for another question
            self.suppressed = Suppressed.DUPLICATE
        return ""

    def finish(self) -> str:
        self._parser.finish()
        question = self._parser.question if self._delegation else ""
        known = question != "" and self._recent.repeated(DELEGATION, question, self._t)
        if question and not known:
            self.question = question
            self._recent.remember(DELEGATION, question, self._t)
        if not self.note and not question:
            self.suppressed = Suppressed.EMPTY
        if self._first or not self.note:
            if known and not self._first:
                self.suppressed = Suppressed.DUPLICATE
            return ""
        first = first_sentence(self.note, whole=True)
        if known or (not question and self._repeated(first)):
            self.suppressed = Suppressed.DUPLICATE
            return ""
        return self._open(first)

    def break_off(self) -> None:
        """The engine failed in mid-speech: the same may be said again."""
        self._parser.finish()
        self._recent.forget(self._score.key, self._first)

    def _open(self, first: str) -> str:
        self._first = first
        self._recent.spoke(self._score.kind, self._t)
        self._recent.remember(self._score.key, first, self._t)
        return self.note

    def _repeated(self, first: str) -> bool:
        return not self._asked and self._recent.repeated(self._score.key, first, self._t)
