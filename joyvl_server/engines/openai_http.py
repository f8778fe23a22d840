"""Engine `openai`: any OpenAI-compatible server over HTTP, in the text protocol.

One tick is one streaming chat completion. `score` reads until the answer is certainly silent, spoken or garbage; `say`
reads on in the same answer. Inside a chunk the messages only grow: a server with a prefix cache pays for the new turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from joyvl_server.core import protocol
from joyvl_server.core.errors import EngineError, EngineTimeout
from joyvl_server.core.events import Score
from joyvl_server.core.protocol import AnswerParser, Verdict
from joyvl_server.core.turns import Chunk, UserTurn
from joyvl_server.engines.base import Capabilities, EngineSettings, EngineSpec, WithoutSlices
from joyvl_server.engines.openai_messages import assistant_message, system_message, user_message
from joyvl_server.engines.openai_options import OpenAIOptions, read_file, read_options
from joyvl_server.engines.openai_server import ChatServer
from joyvl_server.engines.openai_stream import Completion

DRAIN_S = 0.05
"""After the last word: how long its connection may take to become free for the next tick."""


class OpenAIEngine:
    """See docs/reference/engines.md for the options. Raises `ConfigError` when they are wrong."""

    name = "openai"

    def __init__(self, settings: EngineSettings) -> None:
        self._options = read_options(settings)
        file = self._options.system_prompt_file
        self._own_system = read_file(file, "system_prompt_file").strip() if file else None
        self._server = ChatServer(self._options)
        self._sessions: set[OpenAISession] = set()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(follows_instructions=True, scores=False)

    async def open(self, spec: EngineSpec) -> OpenAISession:
        session = OpenAISession(self._server, self._options, spec, self._system, self._sessions.discard)
        self._sessions.add(session)
        return session

    async def probe(self) -> Capabilities:
        return self.capabilities

    async def check(self) -> str:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                names = await self._server.models()
        except TimeoutError:
            raise EngineTimeout(f"{self._options.base_url} did not list its models in time.") from None
        wanted = self._options.model
        if not names or (wanted and wanted not in names):
            raise EngineError(
                f"{self._options.base_url} has no model {wanted!r}; it has: {', '.join(names[:10]) or 'none'}. "
                "Set `model` in engine.options.openai.",
                code="engine_model",
            )
        return f"{self._options.base_url} serves {wanted or names[0]}"

    async def aclose(self) -> None:
        for session in list(self._sessions):
            await session.aclose()
        await self._server.aclose()

    def _system(self, given: str) -> str:
        """The system prompt of a chunk, as the options want it."""
        if self._own_system is not None:
            return self._own_system
        if not self._options.delegation and given == protocol.system_prompt():
            return protocol.system_prompt(delegation=False)
        return given


class OpenAISession(WithoutSlices):
    """The conversation of one session: messages of the chunk, the turn that waits, and the answer to it on its way."""

    def __init__(
        self,
        server: ChatServer,
        options: OpenAIOptions,
        spec: EngineSpec,
        system: Callable[[str], str],
        on_close: Callable[[OpenAISession], None],
    ) -> None:
        self._server = server
        self._options = options
        self._spec = spec
        self._system = system
        self._on_close = on_close
        self._messages: list[bytes] = []
        self._prefix = ""
        """stands in the first user turn of the chunk; empty once that turn has settled"""
        self._turn: bytes | None = None
        self._answer: AnswerParser | None = None
        self._stream: Completion | None = None
        self._waiting: asyncio.Timeout | None = None
        self._quiet = asyncio.Event()
        self._begun = False
        self._closed = False

    async def begin(self, chunk: Chunk) -> None:
        self._check_open()
        await self._drop()
        system = self._system(chunk.system)
        self._messages = [system_message(system)] if system else []
        self._prefix = chunk.prefix
        self._turn = self._answer = None
        self._begun = True
        for settled in chunk.lead:
            self._settle(self._encode(settled.user), settled.answer)

    async def append(self, turn: UserTurn) -> None:
        self._check_open()
        if not self._begun or self._turn is not None:
            raise _misuse("append() comes after begin(), settle() or rollback()")
        self._turn = self._encode(turn)

    async def score(self) -> Score:
        turn = self._check_turn("score()")
        await self._drop()
        self._answer = answer = AnswerParser()
        within = self._options.timeout_s
        async with self._wait(_now() + within, f"decided nothing within {within:g} s"):
            stream = self._stream = await self._server.complete([*self._messages, turn])
            while answer.verdict is Verdict.PENDING:
                _read_on(answer, await stream.read())
        if answer.verdict is Verdict.GARBAGE:
            await self._drop()
            return Score(0.0, garbage=answer.garbage or "(an empty answer)")
        return Score(1.0 if answer.verdict is Verdict.RESPONSE else 0.0)

    async def say(self) -> AsyncGenerator[str, None]:
        """Reads on in the answer that `score` began; yields nothing when that is not a response."""
        self._check_turn("say()")
        answer, stream = self._answer, self._stream
        if answer is None:
            raise _misuse("say() comes after score()")
        if answer.verdict is not Verdict.RESPONSE or stream is None:
            return
        within = self._options.answer_timeout_s
        until = _now() + within
        try:
            while True:
                if rest := answer.take_rest():
                    yield rest
                if answer.ended:
                    return
                async with self._wait(until, f"still had not ended its answer after {within:g} s"):
                    _read_on(answer, await stream.read())
        finally:
            if not answer.ended and self._stream is stream:
                await self._drop()

    async def settle(self, answer: str) -> None:
        turn = self._check_turn("settle()")
        self._settle(turn, answer)
        heard = self._answer
        self._turn = self._answer = None
        # The end of an answer that nobody cuts short is a few milliseconds away: wait for it and keep the connection.
        whole = heard is not None and (heard.verdict is Verdict.SILENT or heard.ended)
        if whole and self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.drain(DRAIN_S)
        await self._drop()

    async def rollback(self) -> None:
        self._check_open()
        self._turn = self._answer = None
        await self._drop()

    async def aclose(self) -> None:
        """Whatever another task still waits for ends at once, with an `EngineError` (code engine_closed)."""
        self._closed = True
        while self._waiting is not None:
            if not self._waiting.expired():
                self._waiting.reschedule(_now())
            await self._quiet.wait()
        await self._drop()
        self._messages.clear()
        self._turn = self._answer = None
        self._on_close(self)

    def _encode(self, turn: UserTurn) -> bytes:
        return user_message(
            turn, prefix=self._prefix, separator=self._spec.separator, detail=self._options.image_detail
        )

    def _settle(self, turn: bytes, answer: str) -> None:
        self._messages += [turn, assistant_message(answer)]
        self._prefix = ""

    @asynccontextmanager
    async def _wait(self, until: float, late: str) -> AsyncIterator[None]:
        """A wait for the server, bounded in time and by `aclose`. Whatever ends it early also aborts the request."""
        self._check_open()
        self._quiet.clear()
        try:
            async with asyncio.timeout_at(until) as self._waiting:
                yield
        except TimeoutError:
            await self._drop()
            self._check_open()
            raise EngineTimeout(
                f"{self._server.peer.url} {late}. It is overloaded, or the timeout is too short for it."
            ) from None
        except BaseException:
            await self._drop()
            raise
        finally:
            self._waiting = None
            self._quiet.set()

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("The engine session is closed.", code="engine_closed")

    def _check_turn(self, call: str) -> bytes:
        self._check_open()
        if self._turn is None:
            raise _misuse(f"{call} comes after append()")
        return self._turn


def _read_on(answer: AnswerParser, text: str | None) -> None:
    if text is None:
        answer.finish()
    else:
        answer.feed(text)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _misuse(sentence: str) -> EngineError:
    return EngineError(f"The engine was called out of order: {sentence}.", code="engine_misuse")
