"""A `ChatServer` that remembers what it sent and what came back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joyvl_server.engines.openai.options import read_options
from joyvl_server.engines.openai.server import ChatServer
from joyvl_server.engines.openai.server_state import prompt_tokens
from joyvl_server.engines.openai.stream import Completion


@dataclass
class Sent:
    """One chat completion. `stream` is its answer where it was streamed; `answer` where it came whole."""

    messages: list[dict[str, Any]]
    fields: dict[str, Any]
    answer: dict[str, Any] | None = None
    stream: Completion | None = None

    @property
    def tokens(self) -> tuple[int, int]:
        """Its prompt's, and the cached ones among them."""
        usage = self.answer.get("usage") if self.answer is not None else self.stream.usage if self.stream else None
        return prompt_tokens(usage)

    @property
    def fresh(self) -> int:
        prompt, cached = self.tokens
        return prompt - cached

    @property
    def images(self) -> list[str]:
        """SHA-256 names of the pictures sent by their bytes."""
        parts = [part for m in self.messages if isinstance(m["content"], list) for part in m["content"]]
        return [part["uuid"] for part in parts if part["type"] == "image_url" and part["image_url"] is not None]


class Sniffer(ChatServer):
    """It keeps requests that were answered, in order; the probe's too, until `sent.clear()`."""

    def __init__(self, base_url: str, timeout_s: float = 60.0) -> None:
        super().__init__(read_options({"base_url": base_url, "timeout_s": timeout_s}))
        self.sent: list[Sent] = []

    async def ask(
        self, messages: Sequence[bytes], fields: Mapping[str, Any], *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        answer = await super().ask(messages, fields, timeout_s=timeout_s)
        self.sent.append(Sent(_read(messages), dict(fields), answer=answer))
        return answer

    async def stream(self, messages: Sequence[bytes], fields: Mapping[str, Any]) -> Completion:
        stream = await super().stream(messages, fields)
        self.sent.append(Sent(_read(messages), dict(fields), stream=stream))
        return stream


def _read(messages: Sequence[bytes]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages]
