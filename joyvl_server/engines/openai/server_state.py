"""What the sessions of one server share: its abilities, the pictures it has, and what it was asked to work on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog

from joyvl_server.core.errors import EngineError
from joyvl_server.engines.base import EngineEvents
from joyvl_server.engines.openai.abilities import Abilities, unknown
from joyvl_server.engines.openai.conversation import EncodedMessage
from joyvl_server.engines.openai.options import OpenAIOptions
from joyvl_server.engines.openai.server import Chat
from joyvl_server.engines.openai.stream import Completion

MAX_PICTURES = 32_768
"""Names kept of pictures that the server has, newest used last; about 4 MB."""
MISS_COSTS = 10
MANY_MISSES = 120
"""Requests that missed cost `MISS_COSTS`, others give one back: from here on names do not pay."""
NO_NAMES = "The server forgets pictures faster than it is asked about them, so they are sent again with every request."

log = structlog.get_logger(__name__)

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class TokenUsage:
    """What went over the wire since the engine was made."""

    requests: int = 0
    prompt: int = 0
    """prompt tokens of all requests whose usage the server told"""
    cached: int = 0
    """of these, found in its prefix cache"""
    images: int = 0
    """pictures sent by their bytes"""
    bytes: int = 0
    """of all messages"""
    forgotten: int = 0
    """requests that named a picture which the server no longer had"""

    @property
    def fresh(self) -> int:
        """Prompt tokens that had to be computed."""
        return self.prompt - self.cached

    def count(self, usage: object) -> None:
        """Add one request's `usage`, as the server wrote it."""
        prompt, cached = prompt_tokens(usage)
        self.prompt += prompt
        self.cached += cached


def prompt_tokens(usage: object) -> tuple[int, int]:
    """The prompt tokens in a `usage`, and the cached ones among them; 0 where they are not told."""
    if not isinstance(usage, Mapping):
        return 0, 0
    details = usage.get("prompt_tokens_details")
    prompt = _number(usage.get("prompt_tokens"))
    return prompt, min(prompt, _number(details.get("cached_tokens")) if isinstance(details, Mapping) else 0)


class ServerState:
    """One server as its sessions use it. Raises `EngineError` and its kin, and nothing else.

    Cancelling a call aborts the request.
    """

    def __init__(self, chat: Chat, options: OpenAIOptions, abilities: Abilities | None) -> None:
        self.chat = chat
        self.usage = TokenUsage()
        self.abilities = abilities or unknown(options)
        self._given = abilities is not None
        self.doubted = not self._given
        """it may not be as we think: not probed yet, or it was away, or it refused what it should take"""
        self.events: EngineEvents | None = None
        """who is told what is noticed between probes"""
        self._options = options
        self._model = options.model
        self._pictures: OrderedDict[str, None] = OrderedDict()
        self._misses = 0

    async def ask(self, messages: Sequence[EncodedMessage], fields: Mapping[str, Any]) -> dict[str, Any]:
        """One whole completion, its usage counted."""
        answer = await self._send(self.chat.ask, messages, fields)
        self.usage.count(answer.get("usage"))
        return answer

    async def stream(self, messages: Sequence[EncodedMessage], fields: Mapping[str, Any]) -> Completion:
        """A streamed one. The caller closes it and counts its usage after that."""
        return await self._send(self.chat.stream, messages, fields)

    async def model(self) -> str:
        """The model to ask: the one in the options, else the first one listed."""
        if not self._model:
            names = await self.chat.models()
            if not names:
                raise EngineError(
                    f"{self.chat.endpoint.url} lists no model. Load one, or set `model`.", code="engine_model"
                )
            self._model = names[0]
        return self._model

    def probed(self, abilities: Abilities) -> None:
        self.abilities = abilities
        self.doubted = False
        self._model = self._options.model  # it may have another one by now
        self._misses = 0

    def doubt(self, why: str) -> None:
        """It does not do what it could when it was probed: fall back to the text protocol, which needs nothing.

        Abilities that were given stay: nobody would find them out again.
        """
        if self.abilities.mode == "scored" and not self._given:
            log.warning("the server refuses what it accepted when it was probed", server=self.url, why=why)
            self.abilities = unknown(self._options)
            if self.events is not None:
                self.events.capabilities_changed()
        self._in_doubt()

    @property
    def url(self) -> str:
        return self.chat.endpoint.url

    async def _send(
        self,
        call: Callable[[Sequence[bytes], Mapping[str, Any]], Awaitable[_Answer]],
        messages: Sequence[EncodedMessage],
        fields: Mapping[str, Any],
    ) -> _Answer:
        for again in (False, True):
            try:
                named = {"model": await self.model(), **fields}
                answer = await call(self._render(messages), named)
            except EngineError as error:
                if error.code != "engine_forgot" or again:
                    raise self._failed(error) from error.__cause__
                self._forgot()
                continue
            self._sent(messages)
            return answer
        raise AssertionError  # the second round returns or raises

    def _render(self, messages: Sequence[EncodedMessage]) -> list[bytes]:
        known = self._pictures
        if self.abilities.uuids:
            sent = [
                message.named if all(image.sha256 in known for image in message.images) else message.whole(known)
                for message in messages
            ]
            fresh = {i.sha256 for message in messages for i in message.images if i.sha256 not in known}
            self.usage.images += len(fresh)
        else:
            sent = [message.plain() for message in messages]
            self.usage.images += sum(len(message.images) for message in messages)
        self.usage.requests += 1
        self.usage.bytes += sum(map(len, sent))
        return sent

    def _sent(self, messages: Sequence[EncodedMessage]) -> None:
        """The server has taken a request: it has these pictures now."""
        if not self.abilities.uuids:
            return
        for message in messages:
            for image in message.images:
                self._pictures[image.sha256] = None
                self._pictures.move_to_end(image.sha256)
        while len(self._pictures) > MAX_PICTURES:
            self._pictures.popitem(last=False)
        self._misses = max(0, self._misses - 1)

    def _forgot(self) -> None:
        """It missed a picture: it was restarted, or its cache is too small. Whatever is asked next goes whole."""
        self.usage.forgotten += 1
        self._pictures.clear()
        self._misses += MISS_COSTS
        if self._misses >= MANY_MISSES:
            note = " ".join(filter(None, [self.abilities.note, NO_NAMES + " vLLM: raise --mm-processor-cache-gb."]))
            self.abilities = replace(self.abilities, uuids=False, note=note)
            log.warning(NO_NAMES, server=self.url)
            if self.events is not None:
                self.events.capabilities_changed()

    def _failed(self, error: EngineError) -> EngineError:
        if error.code == "engine_model":
            self._model = self._options.model  # it may have been restarted with another one
            self.doubt(str(error))
        elif error.code in ("engine_refused", "engine_forgot", "engine_unavailable", "engine_cut"):
            self._in_doubt()  # it takes other fields than it did, or may come back as another one
        return error

    def _in_doubt(self) -> None:
        self.doubted = True
        if self.events is not None and not self._given:
            self.events.doubted()


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
