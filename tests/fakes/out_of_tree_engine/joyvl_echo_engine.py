"""An engine outside joyvl-server's tree: it speaks when it is asked, and says the query back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from joyvl_server.core.decisions import Score
from joyvl_server.core.prompt.turns import Chunk, UserTurn
from joyvl_server.engines.base import Capabilities, EngineSession, EngineSpec, WithoutSlices


class EchoSession(WithoutSlices):
    def __init__(self, greeting: str) -> None:
        self._greeting = greeting
        self._turn: UserTurn | None = None

    async def begin(self, chunk: Chunk) -> None:
        self._turn = None

    async def append(self, turn: UserTurn) -> None:
        self._turn = turn

    async def score(self) -> Score:
        return Score(1.0 if self._turn is not None and self._turn.query else 0.0)

    async def say(self) -> AsyncIterator[str]:
        assert self._turn is not None
        assert self._turn.query is not None
        yield self._greeting
        yield self._turn.query

    async def settle(self, answer: str) -> None:
        self._turn = None

    async def rollback(self) -> None:
        self._turn = None

    async def aclose(self) -> None:
        self._turn = None


class EchoEngine:
    name = "echo-test"

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._greeting = str(settings.get("greeting", "echo: "))

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(follows_instructions=False)

    async def open(self, spec: EngineSpec) -> EngineSession:
        return EchoSession(self._greeting)

    async def probe(self) -> Capabilities:
        return self.capabilities

    async def check(self) -> str:
        return "ready"

    async def aclose(self) -> None:
        pass
