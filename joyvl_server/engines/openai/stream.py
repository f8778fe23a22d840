"""One streaming chat completion, read piece by piece."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Protocol

import httpx2

from joyvl_server.core.errors import EngineError
from joyvl_server.engines.openai.failures import Endpoint, from_transport, from_words
from joyvl_server.kit.net.error_words import words_of

MAX_EVENT = 262_144
"""Bytes of one server-sent event; ours hold a token or a few."""


class Completion(Protocol):
    """An answer on its way. One reader at a time. `read` raises `EngineError` and its kin.

    After a `read` or `drain` that was cancelled, only `aclose` follows.
    """

    @property
    def usage(self) -> Mapping[str, Any]:
        """The newest `usage` the server has told; empty before that, or where it tells none."""

    async def read(self) -> str | None:
        """The next piece of text, never empty; None when the server has ended the answer."""

    async def drain(self, seconds: float) -> None:
        """Take what still comes after the last text, for at most `seconds`; then close."""

    async def aclose(self) -> None:
        """Closing it before its end aborts the request. Idempotent; raises nothing."""


class HttpCompletion:
    """See `Completion`. Over HTTP, servers notice the lost connection when it is closed early."""

    def __init__(self, response: httpx2.Response, endpoint: Endpoint) -> None:
        self._response = response
        self._endpoint = endpoint
        self._events = aiter(httpx2.EventSource(response, max_event_size=MAX_EVENT))
        self._ended = False
        self._usage: Mapping[str, Any] = {}

    @property
    def usage(self) -> Mapping[str, Any]:
        return self._usage

    async def read(self) -> str | None:
        while not self._ended:
            try:
                event = await anext(self._events, None)
            except (httpx2.HTTPError, httpx2.StreamError) as error:
                raise from_transport(self._endpoint, error) from error
            if event is None:
                raise EngineError(
                    f"{self._endpoint.url} broke off in an answer. Was it restarted, or does a proxy cut long answers?",
                    code="engine_cut",
                )
            if event.data.strip() == "[DONE]":
                self._ended = True
            elif event.data and (text := self._text(event.data)):
                return text
        return None

    async def drain(self, seconds: float) -> None:
        """What is read here is the end mark and the usage: with it, the connection can be used again."""
        try:
            async with asyncio.timeout(seconds):
                async for event in self._events:
                    if event.data.startswith("{"):
                        self._text(event.data)
        except (TimeoutError, EngineError, httpx2.HTTPError, httpx2.StreamError):
            pass  # nobody wants the rest: a lost connection costs a new one, no more
        await self.aclose()

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        except httpx2.HTTPError:
            pass  # it is closed all the same

    def _text(self, data: str) -> str:
        """The text in one event. Notes whether it is the last one."""
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            raise self._nonsense("something that is not JSON") from None
        if not isinstance(chunk, dict):
            raise self._nonsense("JSON that is no part of an answer")
        if chunk.get("error"):
            if (told := from_words(self._endpoint, words_of(chunk), data)) is not None:
                raise told
            said = self._endpoint.quote(words_of(chunk))
            raise EngineError(
                f"{self._endpoint.url} gave up in the middle of an answer. It says: {said}", code="engine_cut"
            )
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = usage
        choice = _first(chunk.get("choices"))
        if choice.get("finish_reason"):
            self._ended = True
        delta = choice.get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        return content if isinstance(content, str) else ""

    def _nonsense(self, what: str) -> EngineError:
        return EngineError(
            f"{self._endpoint.url} sent {what}. Is it an OpenAI-compatible server?", code="engine_protocol"
        )


def _first(choices: Any) -> dict[str, Any]:
    """The first choice; empty for events without one (usage, pings)."""
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    return {}
