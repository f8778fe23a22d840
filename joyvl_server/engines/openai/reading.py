"""The two ways to talk to a model: in the interaction protocol's markers, or in plain words and JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from joyvl_server.core.prompt import wire_format
from joyvl_server.core.prompt.answer_parser import AnswerParser, Verdict
from joyvl_server.engines.openai import instruct
from joyvl_server.engines.openai.instruct import JsonReader
from joyvl_server.engines.openai.options import OpenAIOptions, read_file


class Reader(Protocol):
    """Reads one answer piece by piece; see `AnswerParser`."""

    verdict: Verdict
    garbage: str

    @property
    def ended(self) -> bool: ...
    def feed(self, delta: str, /) -> object: ...
    def finish(self) -> None: ...
    def take_rest(self) -> str: ...


@dataclass(frozen=True)
class Wire:
    """How system prompts and answers are written, and how an answer is read. User turns are alike in both."""

    system: Callable[[str], str]
    """the system prompt to send for the one a chunk has"""
    answer: Callable[[str], str]
    """an answer in the wire format, as it stands in the history"""
    reader: Callable[[], Reader]
    marked: bool
    """the model writes the protocol's markers"""
    format: dict[str, Any] | None = None
    """`response_format` of a decision"""


def make_wires(options: OpenAIOptions) -> tuple[Wire, Wire]:
    """(markers, instruct). Raises `ConfigError` when a file cannot be read."""
    file = options.system_prompt_file
    own = read_file(file, "system_prompt_file").strip() if file else None

    def system(given: str) -> str:
        if own is not None:
            return own
        if not options.delegation and given == wire_format.system_prompt():
            return wire_format.system_prompt(delegation=False)
        return given

    def instructed(given: str) -> str:
        return instruct.system_prompt(given if own is None else own, delegation=options.delegation)

    markers = Wire(system, lambda answer: answer, AnswerParser, marked=True)
    decision = instruct.decision_format(delegation=options.delegation)
    return markers, Wire(instructed, instruct.as_json, JsonReader, marked=False, format=decision)
