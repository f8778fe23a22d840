"""What an interaction server has decided: by its `interaction` object, else by the markers in its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joyvl_server.core.decisions import Score
from joyvl_server.core.prompt.answer_parser import MAX_ANSWER, AnswerParser, Verdict
from joyvl_server.core.prompt.wire_format import DELEGATION, clean
from joyvl_server.engines.openai.answers import text_of

ACTIONS = ("silence", "response", "delegate")
NOTHING_SAID = "(an empty answer)"


@dataclass(frozen=True, slots=True)
class RemoteDecision:
    """`garbage`: it was outside the protocol, and counts as silence."""

    text: str = ""
    question: str = ""
    garbage: str | None = None

    @property
    def score(self) -> Score:
        """Yes or no."""
        if self.garbage is not None:
            return Score(0.0, garbage=self.garbage)
        return Score(float(bool(self.text or self.question)))

    @property
    def said(self) -> str:
        """As it follows `</response>`; empty for silence."""
        words = [self.text, DELEGATION, self.question] if self.question else [self.text]
        return "".join(f" {word}" for word in words if word)


def read_decision(answer: Mapping[str, Any]) -> RemoteDecision:
    """The decision in a reply; garbage where there is none in it."""
    told = answer.get("interaction")
    if isinstance(told, dict) and told.get("action") in ACTIONS:
        return _told(told)
    return _written(text_of(dict(answer)))


def pictures_seen(answer: Mapping[str, Any]) -> int | None:
    """How many pictures of the session the server has seen, where it says so."""
    told = answer.get("interaction")
    seen = told.get("frame_index") if isinstance(told, dict) else None
    return seen if isinstance(seen, int) and not isinstance(seen, bool) else None


def _told(told: Mapping[str, Any]) -> RemoteDecision:
    if told["action"] == "silence":
        return RemoteDecision()
    text = _words(told.get("text"))
    question = _words(told.get("delegated_question")) if told["action"] == "delegate" else ""
    return RemoteDecision(text, question) if text or question else RemoteDecision(garbage=NOTHING_SAID)


def _written(content: str) -> RemoteDecision:
    parser = AnswerParser()
    parser.feed(content)
    parser.finish()
    if parser.verdict is Verdict.SILENT:
        return RemoteDecision()
    if parser.verdict is Verdict.RESPONSE and (parser.note or parser.question):
        return RemoteDecision(parser.note, parser.question)
    return RemoteDecision(garbage=parser.garbage or NOTHING_SAID)


def _words(value: object) -> str:
    return clean(value, MAX_ANSWER) if isinstance(value, str) else ""
