"""A scripted server that has what vLLM has beside the plain API: a tokenizer, scores, named pictures, begun answers, a
prefix cache. Each of these can be missing.

    async with FakeVllm(lacks={"uuids"}) as server:
        server.wish = 0.7            # how much the model wants to speak; or a function of the request
        engine = OpenAIEngine({"base_url": server.base_url})
        await engine.probe()

Tokens are letters; a picture is 64 of them. A script of replies goes before all this, as in `FakeOpenAI`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from fakes.engines.openai_server import FakeOpenAI, Reply, Request, refuses, says, whole

SPECIAL = ("<|im_start|>", "<|im_end|>", "</silence>", "</response>")
SILENCE_ID, RESPONSE_ID = 1002, 1003
PICTURE = 64
BLOCK = 16
FEATURES = frozenset(
    {
        "tokenize",
        "markers",
        "ids",
        "allowed",
        "top",
        "prefill",
        "uuids",
        "priority",
        "details",
        "metrics",
        "grows",
        "schemas",
        "lenient",
    }
)
"""What it has. tokenize: `/tokenize`. markers: they are one token each, and the model answers in them. ids, allowed,
top: ways to list the two markers' log-probabilities. grows: its template only appends. lenient: its template takes two
messages of one role in a row. details: tells cached tokens."""

_PIECES = re.compile("|".join(map(re.escape, SPECIAL)) + "|.", re.DOTALL)


class FakeVllm(FakeOpenAI):
    def __init__(self, *, lacks: Iterable[str] = (), context: int = 32_768, **more: Any) -> None:
        super().__init__(**more)
        assert set(lacks) <= FEATURES
        self.has = set(FEATURES - set(lacks))
        self.context = context
        self.wish: float | Callable[[Request], float] = 0.25
        """the share of `</response>`, or what makes it from the request"""
        self.says: tuple[str, ...] | Callable[[Request], tuple[str, ...]] = (" a man", " comes in")
        """deltas of a begun answer, or what makes them from the request"""
        self.letter = "A"
        """its answer to a choice"""
        self.texts: list[str] = []
        """texts of the whole answers that come next, each cut to `max_tokens` words"""
        self.pictures: set[str] = set()
        """names of pictures it has"""
        self.cache: set[tuple[Any, ...]] = set()
        self.fresh: list[int] = []
        """computed prompt tokens of each completion"""

    def prompt(self, request: Request) -> list[Any]:
        """The request's prompt in tokens: the same whether a picture was sent or named."""
        return self._render(request.messages, request.body)

    def _reply(self, request: Request) -> Reply:
        if request.path == "/tokenize" and "tokenize" in self.has:
            return _json({"tokens": self._tokenize(request.body)})
        if request.path == "/metrics" and "metrics" in self.has:
            return whole(
                b'# HELP vllm:x\nvllm:cache_config_info{block_size="16",num_gpu_blocks="4096"} 1.0\n', "text/plain"
            )
        if request.path == "/v1/models" and self.models_reply is None:
            return _json({"data": [{"id": name, "max_model_len": self.context} for name in self.models]})
        if not request.path.endswith("/chat/completions") or self._script or request.body["model"] not in self.models:
            return super()._reply(request)
        if self.fields is not None and set(request.body) - self.fields:
            return super()._reply(request)
        return self._complete(request)

    # ------------------------------------------------------------------------------------------------------ completing

    def _complete(self, request: Request) -> Reply:
        body = request.body
        if body.get("priority") and "priority" not in self.has:
            return refuses(400, "Got priority 1 but Priority scheduling is not enabled.")
        roles = [message["role"] for message in request.messages if message["role"] != "system"]
        if "lenient" not in self.has and any(one == other for one, other in pairwise(roles)):
            return refuses(400, "Conversation roles must alternate user/assistant/user/assistant/...")
        if "response_format" in body and "schemas" not in self.has:
            return refuses(400, "response_format is not supported")
        for name in sorted(_names(request.messages, sent=False) - self.pictures):
            return refuses(400, f"Cache miss for image at index {name[:1]} but data is not provided.")
        if "uuids" in self.has:
            self.pictures |= _names(request.messages, sent=True)
        elif _names(request.messages, sent=False):
            return refuses(400, "image_url must be an object")
        tokens = self.prompt(request)
        usage: dict[str, Any] = {"prompt_tokens": len(tokens)}
        cached = self._cached(tokens)
        self.fresh.append(len(tokens) - cached)
        if "details" in self.has:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        begun = self._begun(body) and request.messages[-1]["role"] == "assistant"
        if body.get("stream"):
            return self._streamed(request, begun, usage)
        text = self.texts.pop(0) if self.texts and body["max_tokens"] > 1 else self._text(request, begun)
        words = re.findall(r"\s*\S+\s*", text)
        short = "".join(words[: body["max_tokens"]])
        finish = "stop" if len(words) < body["max_tokens"] else "length"
        choice = {"index": 0, "message": {"role": "assistant", "content": short}, "finish_reason": finish}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [self._logprobs(request)]}
        return _json({"object": "chat.completion", "choices": [choice], "usage": usage})

    def _streamed(self, request: Request, begun: bool, usage: dict[str, Any]) -> Reply:
        if not begun and self.otherwise != says("</silence>"):
            return super()._reply(request)
        reply = says(*self._said(request)) if begun else says(self._text(request, begun=False))
        if (request.body.get("stream_options") or {}).get("include_usage"):
            reply = says(*reply.deltas, events=(json.dumps({"choices": [], "usage": usage}),))
        return reply

    def _text(self, request: Request, begun: bool) -> str:
        if begun:
            return "".join(self._said(request))
        if request.messages[-1]["role"] == "user" and "letter" in json.dumps(request.messages[-1]):
            return json.dumps({"answer": self.letter}) if "response_format" in request.body else self.letter
        speak = self._wish(request) >= 0.5
        if "markers" in self.has:
            return "</response>" + "".join(self._said(request)) if speak else "</silence>"
        if "response_format" in request.body:
            decision, text = ("speak", "".join(self._said(request)).strip()) if speak else ("silent", "")
            return json.dumps({"decision": decision, "text": text, "question": ""})
        return "I see a room."

    def _said(self, request: Request) -> tuple[str, ...]:
        return self.says(request) if callable(self.says) else self.says

    def _wish(self, request: Request) -> float:
        return self.wish(request) if callable(self.wish) else self.wish

    def _logprobs(self, request: Request) -> dict[str, Any]:
        """What is listed of: a tenth for "x", the rest shared by the markers, or mostly the chosen letter's."""
        wish, body = self._wish(request), request.body
        shares = {SILENCE_ID: 0.9 * (1 - wish), RESPONSE_ID: 0.9 * wish, ord("x"): 0.1}
        asked = body.get("logprob_token_ids") or body.get("allowed_token_ids") or []
        if set(asked) - {SILENCE_ID, RESPONSE_ID}:
            shares = {token: 0.6 if chr(token) == self.letter else 0.3 / len(asked) for token in asked}
        named = {token: math.log(share) if share else -9999.0 for token, share in shares.items()}
        listed: dict[int, float] = {ord("x"): math.log(0.1)}
        if "ids" in self.has and "logprob_token_ids" in body:
            listed |= {token: named[token] for token in asked}
        elif "allowed" in self.has and "allowed_token_ids" in body:
            listed = {token: named[token] for token in asked}
        elif "top" in self.has and body.get("top_logprobs", 0) >= 20:
            listed |= named
        entries = [{"token": self._name(token, body), "logprob": value} for token, value in listed.items()]
        return {**entries[0], "top_logprobs": entries}

    def _name(self, token: int, body: dict[str, Any]) -> str:
        if body.get("return_tokens_as_token_ids"):
            return f"token_id:{token}"
        return SPECIAL[token - 1000] if token >= 1000 else chr(token)

    # ------------------------------------------------------------------------------------------------------- rendering

    def _tokenize(self, body: dict[str, Any]) -> list[Any]:
        if "prompt" in body:
            return self._ids(body["prompt"])
        return self._render(body["messages"], body)

    def _ids(self, text: str) -> list[Any]:
        pieces = _PIECES.findall(text)
        if "markers" not in self.has:
            pieces = [char for piece in pieces for char in (piece if piece.startswith("</") else [piece])]
        return [1000 + SPECIAL.index(piece) if piece in SPECIAL else ord(piece) for piece in pieces]

    def _render(self, messages: list[dict[str, Any]], body: dict[str, Any]) -> list[Any]:
        tokens: list[Any] = []
        for at, message in enumerate(messages):
            tokens += self._ids(f"<|im_start|>{message['role']}\n")
            content = message["content"]
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                tokens += self._ids(part["text"]) if part["type"] == "text" else [_picture(part)] * PICTURE
            last = at == len(messages) - 1
            if "grows" not in self.has and last:
                tokens += self._ids("[now]")
            if not (last and self._begun(body)):
                tokens += self._ids("<|im_end|>\n")
        if not self._begun(body) and body.get("add_generation_prompt", True):
            tokens += self._ids("<|im_start|>assistant\n")
        return tokens

    def _begun(self, body: dict[str, Any]) -> bool:
        return "prefill" in self.has and bool(body.get("continue_final_message"))

    def _cached(self, tokens: list[Any]) -> int:
        """Tokens of it that were computed before, in whole blocks; all of it is from now on."""
        found, known = 0, True
        for end in range(BLOCK, len(tokens), BLOCK):
            block = tuple(tokens[:end])
            known = known and block in self.cache
            found = end if known else found
            self.cache.add(block)
        return found


def _picture(part: dict[str, Any]) -> str:
    if part.get("uuid"):
        return str(part["uuid"])
    return str(hash(part["image_url"]["url"]))


def _names(messages: list[dict[str, Any]], *, sent: bool) -> set[str]:
    """Names of the pictures in a request, either those that came with their bytes or those that came without."""
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    pictures = [part for part in parts if part["type"] == "image_url" and "uuid" in part]
    return {part["uuid"] for part in pictures if (part["image_url"] is not None) == sent}


def _json(data: object) -> Reply:
    return whole(json.dumps(data).encode(), "application/json")
