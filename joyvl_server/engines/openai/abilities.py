"""What one OpenAI-compatible server and its model can do, as `probe` found out; and the request fields
that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from joyvl_server.engines.base import Capabilities, Mode
from joyvl_server.engines.openai.options import OpenAIOptions

LETTERS = "ABCDEFGHIJKLMNOPQRST"
"""the names of the options of a choice"""

Scoring = Literal["ids", "allowed", "top", "text"]
"""How shares are read. ids: the log-probabilities of exactly the tokens we name (`logprob_token_ids`). allowed: only
those tokens may come (`allowed_token_ids`), and the likeliest are listed. top: the twenty likeliest are listed. text:
not at all."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """As probed. The fields without a default fit vLLM with the interaction model; the rest serves other servers."""

    mode: Mode
    """scored, markers or instruct"""
    silence_id: int | None
    response_id: int | None
    letters: tuple[int, ...]
    """ids of "A" to "T"; empty where they are not known"""
    prefills: bool
    """continues an assistant message (`continue_final_message`)"""
    uuids: bool
    """takes the name of a picture that it has been sent"""
    priority: bool
    """orders its waiting requests by `priority`"""
    grows: bool
    """the prompt of n turns is the start of the prompt of n + 1"""
    context_tokens: int | None
    cache_tokens: int | None
    scoring: Scoring = "ids"
    caches: bool = True
    """keeps a prefix cache (it reports cached tokens, or is known to)"""
    vllm: bool = True
    """takes vLLM's own fields"""
    schemas: bool = True
    """instruct: answers in the JSON that a schema asks for"""
    chooses: bool = True
    """answers a question at the tail with a letter"""
    note: str = ""

    def capabilities(self, options: OpenAIOptions) -> Capabilities:
        scored = self.mode == "scored"
        return Capabilities(
            follows_instructions=True,
            scores=scored,
            chooses=self.chooses,
            prepares=self.caches and (self.uuids or not scored),
            writes=True,
            prefills=self.prefills,
            uuids=self.uuids,
            priority=self.priority,
            mode=self.mode,
            context_tokens=self.context_tokens,
            cache_tokens=self.cache_tokens,
            parallel=options.parallel,
            note=self.note,
        )


def unknown(options: OpenAIOptions) -> Abilities:
    """Before it was probed: the text protocol, which needs nothing but chat completions."""
    instruct = options.protocol == "instruct"
    return Abilities(
        mode="instruct" if instruct else "markers",
        silence_id=None,
        response_id=None,
        letters=(),
        prefills=False,
        uuids=False,
        priority=False,
        grows=True,
        context_tokens=None,
        cache_tokens=None,
        scoring="text",
        caches=False,
        vllm=False,
        schemas=False,
        chooses=False,
    )


TICK, SLICE = 0, 10
"""priorities in vLLM: lower goes first"""

TOP = 20
"""the longest list of likeliest tokens that servers give"""

_OF_ANSWERS = {
    *("temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "n", "bad_words", "logit_bias"),
    *("repetition_penalty", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "stream_options"),
    *("min_tokens", "max_tokens", "max_completion_tokens", "stop", "stop_token_ids", "ignore_eos", "allowed_token_ids"),
    *("structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "response_format"),
}
"""Of the user's own fields, those that shape what is said: they must not act on a decision."""


class RequestFields:
    """Makes them from the options and what the server takes."""

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        extra = options.extra_body.items()
        self._extra_of_all = {name: value for name, value in extra if name not in _OF_ANSWERS}

    def answer(self, abilities: Abilities, *, prefilled: bool = False) -> dict[str, Any]:
        """An answer that is sampled and streamed."""
        options = self._options
        fields: dict[str, Any] = {"max_tokens": options.max_tokens}
        for name in ("temperature", "top_p"):
            if (value := getattr(options, name)) is not None:
                fields[name] = value
        fields |= self._common(abilities, TICK)
        if abilities.vllm:
            fields["stream_options"] = {"include_usage": True}
        if prefilled:
            fields |= _CONTINUED
        return fields | options.extra_body

    def shares(self, abilities: Abilities, ids: Sequence[int]) -> dict[str, Any]:
        """One token, for the log-probabilities of the tokens `ids`."""
        fields = self._plain(abilities, 1, TICK) | {"logprobs": True, "return_tokens_as_token_ids": True}
        if abilities.scoring == "ids":
            return fields | {"logprob_token_ids": list(ids)}
        if abilities.scoring == "allowed":
            return fields | {"allowed_token_ids": list(ids), "top_logprobs": TOP}
        return fields | {"top_logprobs": TOP}

    def letter(self, abilities: Abilities, format: dict[str, Any] | None) -> dict[str, Any]:
        """A short answer that names a letter, read as text."""
        fields = self._plain(abilities, 16, TICK)
        return fields if format is None else fields | {"response_format": format}

    def warm(self, abilities: Abilities) -> dict[str, Any]:
        """Nothing but the work on the prompt."""
        return self._plain(abilities, 1, SLICE)

    def text(self, abilities: Abilities, tokens: int, *, prefilled: bool) -> dict[str, Any]:
        """Text that nobody waits for."""
        fields = self._plain(abilities, tokens, SLICE)
        return fields | _CONTINUED if prefilled else fields

    def _plain(self, abilities: Abilities, tokens: int, priority: int) -> dict[str, Any]:
        return {"max_tokens": tokens, "temperature": 0.0} | self._common(abilities, priority) | self._extra_of_all

    def _common(self, abilities: Abilities, priority: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"skip_special_tokens": False}
        if abilities.vllm:
            # A model's own defaults may hold one, and it counts the prompt too: in a long silence it makes it talk.
            fields["repetition_penalty"] = 1.0
        if abilities.priority:
            fields["priority"] = priority
        return fields


_CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}
"""The last message is the assistant's, and the server continues it."""
