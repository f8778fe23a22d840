"""How answers are read: as shares of a few tokens, or as text in one of two formats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from joyvl_server.core.decisions import Score
from joyvl_server.core.prompt import wire_format
from joyvl_server.core.prompt.answer_parser import AnswerParser, Verdict
from joyvl_server.engines.openai import instruct
from joyvl_server.engines.openai.instruct import JsonReader
from joyvl_server.engines.openai.options import WHERE, OpenAIOptions
from joyvl_server.kit.net.option_checks import read_file


class AnswerReader(Protocol):
    """Reads one answer piece by piece; see `AnswerParser`."""

    verdict: Verdict
    garbage: str

    @property
    def ended(self) -> bool: ...
    def feed(self, delta: str, /) -> object: ...
    def finish(self) -> None: ...
    def take_rest(self) -> str: ...


class ChatFormat(Protocol):
    """How system prompts and answers are written, and how an answer is read. User turns are alike in both formats."""

    marked: bool
    """the model writes the protocol's markers"""
    response_format: dict[str, Any] | None
    """the field of that name in a decision"""

    def system(self, given: str, /) -> str:
        """The system prompt to send for the one that a chunk has."""

    def answer(self, answer: str, /) -> str:
        """An answer in the wire format, as it stands in the history."""

    def reader(self) -> AnswerReader:
        """For one answer."""


class MarkerFormat:
    """The interaction protocol's markers. `own`: the system prompt of the operator."""

    marked = True
    response_format: dict[str, Any] | None = None

    def __init__(self, own: str | None, *, delegation: bool) -> None:
        self._own = own
        self._delegation = delegation

    def system(self, given: str) -> str:
        if self._own is not None:
            return self._own
        if not self._delegation and given == wire_format.system_prompt():
            return wire_format.system_prompt(delegation=False)
        return given

    def answer(self, answer: str) -> str:
        return answer

    def reader(self) -> AnswerReader:
        return AnswerParser()


class InstructFormat:
    """Plain words and JSON, for a model that does not know the protocol."""

    marked = False

    def __init__(self, own: str | None, *, delegation: bool) -> None:
        self.response_format: dict[str, Any] | None = instruct.decision_format(delegation=delegation)
        self._own = own
        self._delegation = delegation

    def system(self, given: str) -> str:
        return instruct.system_prompt(given if self._own is None else self._own, delegation=self._delegation)

    def answer(self, answer: str) -> str:
        return instruct.as_json(answer)

    def reader(self) -> AnswerReader:
        return JsonReader()


def make_formats(options: OpenAIOptions) -> tuple[MarkerFormat, InstructFormat]:
    """Raises `ConfigError` when a file cannot be read."""
    file = options.system_prompt_file
    own = read_file(file, f"{WHERE}.system_prompt_file").strip() if file else None
    return MarkerFormat(own, delegation=options.delegation), InstructFormat(own, delegation=options.delegation)


def shares_of(answer: dict[str, Any], ids: Sequence[int], names: Sequence[str], *, exact: bool) -> tuple[float, ...]:
    """Softmax over the first token's log-probabilities of the tokens `ids`, which are written `names`.

    Empty where none is listed. Not `exact`: a token that is not in the list of the likeliest counts as the least of
    them, which is the most it can be.
    """
    listed = _listed(answer)
    found = [listed.get(f"token_id:{token}", listed.get(name)) for token, name in zip(ids, names, strict=True)]
    known = [value for value in found if value is not None]
    if not known or (exact and len(known) < len(found)):
        return ()
    least = min(listed.values())
    values = [least if value is None else value for value in found]
    top = max(values)
    weights = [math.exp(value - top) for value in values]
    return tuple(weight / sum(weights) for weight in weights)


def score_of_text(answer: dict[str, Any], reader: AnswerReader) -> Score:
    """What a whole answer says when it is read as text: 1, 0 or garbage."""
    reader.feed(text_of(answer))
    reader.finish()
    if reader.verdict is Verdict.GARBAGE:
        return Score(0.0, garbage=reader.garbage or "(an empty answer)")
    return Score(1.0 if reader.verdict is Verdict.RESPONSE else 0.0)


def text_of(answer: dict[str, Any]) -> str:
    """The text of a whole answer; empty where there is none."""
    message = first_choice(answer).get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def first_choice(answer: dict[str, Any]) -> dict[str, Any]:
    choices = answer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return {}


def _listed(answer: dict[str, Any]) -> dict[str, float]:
    """Log-probabilities of the first token's alternatives, by what the server calls them."""
    logprobs = first_choice(answer).get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return {}
    others = content[0].get("top_logprobs")
    listed: dict[str, float] = {}
    for entry in [content[0], *(others if isinstance(others, list) else [])]:
        if isinstance(entry, dict) and isinstance(name := entry.get("token"), str):
            value = entry.get("logprob")
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                listed[name] = float(value)
    return listed
