"""One session's conversation with an interaction server: a picture a tick goes out, its decision comes back.

The server keeps the conversation, so a turn that it has seen cannot be taken back. Each chunk begins with a reset.
After a wait that ended in nothing the session goes on there under another name: the old one may never answer again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError, EngineTimeout
from joyvl_server.core.prompt.turns import Chunk, UserTurn
from joyvl_server.engines.base import EngineSpec, WithoutSlices
from joyvl_server.engines.openai.waiting import Waiting, now
from joyvl_server.engines.remote.decision import RemoteDecision, pictures_seen, read_decision
from joyvl_server.engines.remote.options import RemoteOptions
from joyvl_server.engines.remote.server import RemoteServer
from joyvl_server.engines.remote.standing import StandingText

RESET_S = 3.0
FAREWELL_S = 1.0
FAILURES = 2
"""after this many in a row it is begun once more there"""


class RemoteSession(WithoutSlices):
    """See `EngineSession`."""

    def __init__(
        self, server: RemoteServer, options: RemoteOptions, spec: EngineSpec, open_sessions: set[RemoteSession]
    ) -> None:
        self._server = server
        self._options = options
        self._name = spec.session_id
        self._open_sessions = open_sessions
        open_sessions.add(self)
        self._waiting = Waiting(server.url)
        self._standing = StandingText()
        self._begun = False
        self._turn: UserTurn | None = None
        self._decision: RemoteDecision | None = None
        self._number = 0
        self._used = False
        """the server knows the session by its present name"""
        self._fresh = True
        """it must be reset before the next picture"""
        self._failures = 0
        self._seen = 0
        """pictures that the server has seen of it, by its own count"""

    @property
    def remote_name(self) -> str:
        """What the server calls the session now."""
        return f"joyvl-{self._name}" + (f".{self._number}" if self._number else "")

    async def begin(self, chunk: Chunk) -> None:
        self._waiting.check_open()
        self._forget_turn()
        self._begun = self._fresh = True
        self._standing.begin(chunk)

    async def append(self, turn: UserTurn) -> None:
        self._waiting.check_open()
        if not self._begun or self._turn is not None:
            raise _misuse("append() comes after begin(), settle() or rollback()")
        self._turn = turn

    async def score(self) -> Score:
        turn = self._known_turn("score()")
        self._decision = None
        late = f"decided nothing within {self._options.timeout_s:g} s"
        try:
            async with self._waiting.until(now() + self._options.timeout_s, late):
                self._decision = await self._decide(turn)
        except EngineTimeout:
            self._go_on_elsewhere()
            raise
        except EngineError:
            self._failures += 1
            if self._failures >= FAILURES:
                self._go_on_elsewhere()
            raise
        self._failures = 0
        self._standing.sent()
        return self._decision.score

    async def say(self) -> AsyncGenerator[str, None]:
        self._known_turn("say()")
        if self._decision is None:
            raise _misuse("say() comes after score()")
        if said := self._decision.said:
            yield said

    async def settle(self, answer: str) -> None:
        self._known_turn("settle()")
        self._forget_turn()

    async def rollback(self) -> None:
        self._waiting.check_open()
        self._forget_turn()

    async def aclose(self) -> None:
        """Whoever waits gets an `EngineError` (engine_closed). The server is told, and not waited for."""
        if self._waiting.closed:
            return
        await self._waiting.close()
        self._forget_turn()
        self._open_sessions.discard(self)
        if self._used:
            with suppress(EngineError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._server.reset(self.remote_name)

    async def _decide(self, turn: UserTurn) -> RemoteDecision:
        if self._fresh:
            await self._start_over()
        text = self._standing.text(turn)
        self._used = True
        answer = await self._server.look(self.remote_name, turn.frame.image, turn.t, text)
        seen = pictures_seen(answer)
        if seen is not None:
            # It was started once more, or has ended a session that was idle: it does not know what is asked for.
            self._fresh = seen < self._seen
            self._seen = seen
        return read_decision(answer)

    async def _start_over(self) -> None:
        if self._used:
            try:
                async with asyncio.timeout(RESET_S):
                    await self._server.reset(self.remote_name)
            except (EngineError, TimeoutError):
                self._number += 1  # it has no resets, or this session cannot be reset: another one is as good
        self._used = False
        self._seen = 0
        self._standing.repeat()
        if self._options.persona:
            await self._server.be(self.remote_name, self._options.persona)
        self._fresh = False

    def _go_on_elsewhere(self) -> None:
        self._number += 1
        self._used, self._fresh, self._failures, self._seen = False, True, 0, 0

    def _forget_turn(self) -> None:
        self._turn = self._decision = None

    def _known_turn(self, call: str) -> UserTurn:
        self._waiting.check_open()
        if self._turn is None:
            raise _misuse(f"{call} comes after append()")
        return self._turn


def _misuse(sentence: str) -> EngineError:
    return EngineError(f"The engine was called out of order: {sentence}.", code="engine_misuse")
