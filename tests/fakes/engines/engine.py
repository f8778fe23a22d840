"""An engine that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError
from joyvl_server.core.prompt.turns import Chunk, Draft, UserTurn
from joyvl_server.engines.base import Capabilities, EngineSpec, Piece, Warmth

Answer = Score | Exception | tuple[Score, list[str]]
"""A score (nothing is said), a failure, or a score and the deltas of what is said then."""


class ScriptedEngine:
    """`script(turn)` gives the answer to each turn. `hold`: while it is cleared, every score waits for it.

    `choose(question, options)` gives the shares of a choice (none, unless a test says), `write(draft)` a whole text;
    both may raise. A slice of warming warms the whole prepared chunk as it was given.

    `calls` lists (method, detail) over all sessions, in order; `open_sessions` counts those not closed.
    """

    name = "scripted"

    def __init__(self, script: Callable[[UserTurn], Answer], capabilities: Capabilities | None = None) -> None:
        self.script = script
        self.capabilities = capabilities or Capabilities()
        self.choose: Callable[[str, Sequence[str]], tuple[float, ...]] = lambda question, options: ()
        self.write: Callable[[Draft], str] = lambda draft: "Nothing happened in the room."
        self.calls: list[tuple[str, object]] = []
        self.open_sessions = 0
        self.hold = asyncio.Event()
        self.hold.set()
        self.refuse_open: EngineError | None = None
        self.hangs: set[str] = set()
        """methods that never answer; the names are those of `calls`"""
        self.closed = False
        self.restarts = 0

    async def open(self, spec: EngineSpec) -> ScriptedSession:
        if self.refuse_open is not None:
            raise self.refuse_open
        await self.hang("open")
        self.open_sessions += 1
        self.calls.append(("open", spec.session_id))
        return ScriptedSession(self)

    async def probe(self) -> Capabilities:
        return self.capabilities

    async def check(self) -> str:
        if self.refuse_open is not None:
            raise self.refuse_open
        return "ready"

    async def aclose(self) -> None:
        self.closed = True

    async def hang(self, method: str) -> None:
        if method in self.hangs:
            await asyncio.Event().wait()

    def called(self, method: str) -> list[object]:
        return [detail for name, detail in self.calls if name == method]


class ScriptedSession:
    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine = engine
        self._turn: UserTurn | None = None
        self._prepared: Chunk | None = None
        self._says: list[str] = []
        self._closed = False
        self._begun = False

    async def begin(self, chunk: Chunk) -> None:
        await self._engine.hang("begin")
        self._begun = True
        self._engine.calls.append(("begin", chunk.number))

    async def append(self, turn: UserTurn) -> None:
        assert self._begun, "append() comes after begin()"
        await self._engine.hang("append")
        self._turn = turn
        self._engine.calls.append(("append", turn.step))

    async def score(self) -> Score:
        assert self._turn is not None
        self._engine.calls.append(("score", self._turn.step))
        await self._engine.hang("score")
        await self._engine.hold.wait()
        answer = self._engine.script(self._turn)
        if isinstance(answer, Exception):
            raise answer
        score, self._says = answer if isinstance(answer, tuple) else (answer, [])
        return score

    async def say(self) -> AsyncIterator[str]:
        self._engine.calls.append(("say", None))
        try:
            for delta in self._says:
                await asyncio.sleep(0)
                yield delta
        finally:
            self._engine.calls.append(("said", None))

    async def choose(self, question: str, options: Sequence[str]) -> tuple[float, ...]:
        self._engine.calls.append(("choose", question))
        return self._engine.choose(question, options)

    async def prepare(self, chunk: Chunk) -> None:
        await self._engine.hang("prepare")
        self._prepared = chunk
        self._engine.calls.append(("prepare", chunk.number))

    async def warm(self, tokens: int) -> Warmth:
        self._engine.calls.append(("warm", tokens))
        return Warmth(turns=len(self._prepared.lead) if self._prepared else 0, fresh=tokens, done=True)

    async def write(self, draft: Draft, so_far: str, tokens: int) -> Piece:
        self._engine.calls.append(("write", draft.id))
        return Piece(self._engine.write(draft), done=True)

    async def settle(self, answer: str) -> None:
        await self._engine.hang("settle")
        self._engine.calls.append(("settle", answer))

    async def rollback(self) -> None:
        await self._engine.hang("rollback")
        self._engine.calls.append(("rollback", None))

    async def aclose(self) -> None:
        await self._engine.hang("aclose")
        if not self._closed:
            self._closed = True
            self._engine.open_sessions -= 1
