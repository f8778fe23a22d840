"""What one OpenAI-compatible server and its model can do, as `probe.py` found it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
