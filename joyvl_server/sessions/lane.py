"""The engine lane: carries the machine's engine effects out, one after the other, and brings back the outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from joyvl_server.core.errors import EngineError
from joyvl_server.core.events import Abort, Append, AskScore, BeginChunk, Rollback, Say, Score, Settle
from joyvl_server.core.turns import Chunk
from joyvl_server.engines.base import Engine, EngineSession, EngineSpec

log = structlog.get_logger(__name__)

EngineEffect = BeginChunk | Append | AskScore | Say | Abort | Settle | Rollback
ENGINE_EFFECTS = (BeginChunk, Append, AskScore, Say, Abort, Settle, Rollback)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Where the lane reports to; each takes the step first."""

    asked: Callable[[int], None]
    """the request of this step is about to go out"""
    scored: Callable[[int, Score], None]
    text: Callable[[int, str], None]
    said: Callable[[int], None]
    failed: Callable[[int, str, str], None]
    """step, stable code, sentence"""


class EngineLane:
    """One session's conversation with its engine. A failure is an outcome, never an exception of the lane."""

    def __init__(self, engine: Engine, spec: EngineSpec, timeout_s: float, outcomes: Outcomes) -> None:
        self._engine = engine
        self._spec = spec
        self._timeout_s = timeout_s
        self._out = outcomes
        # The machine never has two steps in flight, so a handful of effects is all that can ever wait here.
        self._queue: asyncio.Queue[EngineEffect] = asyncio.Queue(maxsize=64)
        self._session: EngineSession | None = None
        self._chunk: Chunk | None = None
        self._pending = 0
        self._appended: int | None = None
        self._failed: int | None = None
        self._aborted: int | None = None
        self._saying: asyncio.Timeout | None = None
        self._failing = False

    @property
    def busy(self) -> bool:
        return self._pending > 0

    def put(self, effect: EngineEffect) -> None:
        if isinstance(effect, Abort):
            self._abort(effect.step)
        else:
            self._pending += 1
            self._queue.put_nowait(effect)

    async def idle(self) -> None:
        """Wait until everything asked for has had its outcome."""
        await self._queue.join()

    async def run(self) -> None:
        """Work until cancelled; then the engine session is closed."""
        try:
            while True:
                effect = await self._queue.get()
                try:
                    await self._guarded(effect)
                finally:
                    self._pending -= 1
                    self._queue.task_done()
        finally:
            await self._close()

    def _abort(self, step: int) -> None:
        self._aborted = step
        if self._saying is not None:
            self._saying.reschedule(asyncio.get_running_loop().time())

    async def _guarded(self, effect: EngineEffect) -> None:
        """Do one effect; an engine's error becomes `failed`. A fault is logged when it starts and when it ends."""
        step = None if isinstance(effect, BeginChunk) else effect.step
        if step is not None and step == self._failed and isinstance(effect, AskScore | Say):
            return  # its turn never reached the engine
        try:
            await self._do(effect)
        except EngineError as error:
            self._fail(step, error.code, str(error))
        except TimeoutError:
            self._fail(
                step, "engine_timeout", f"The engine {self._engine.name} did not answer within {self._timeout_s:g} s."
            )
        else:
            if self._failing and isinstance(effect, AskScore):
                self._failing = False
                log.info("engine answers again", engine=self._engine.name, session=self._spec.session_id)

    def _fail(self, step: int | None, code: str, message: str) -> None:
        if not self._failing:
            self._failing = True
            log.warning(
                "engine fails", engine=self._engine.name, session=self._spec.session_id, code=code, error=message
            )
        self._failed = step
        if step is not None:
            self._out.failed(step, code, message)

    async def _do(self, effect: EngineEffect) -> None:
        match effect:
            case BeginChunk(chunk):
                self._chunk = chunk  # begun with the next turn: an engine that is away then may be back
            case Append(step, turn):
                async with asyncio.timeout(self._timeout_s):
                    session = await self._ready()
                    await session.append(turn)
                self._appended = step
            case AskScore(step):
                self._out.asked(step)
                async with asyncio.timeout(self._timeout_s):
                    score = await self._opened().score()
                self._out.scored(step, score)
            case Say(step):
                await self._say(step)
            case Settle(_, answer):
                await self._opened().settle(answer)
            case Rollback(step):
                if self._session is not None and self._appended == step:
                    await self._session.rollback()

    async def _ready(self) -> EngineSession:
        if self._session is None:
            self._session = await self._engine.open(self._spec)
        if self._chunk is not None:
            await self._session.begin(self._chunk)
            self._chunk = None
        return self._session

    def _opened(self) -> EngineSession:
        if self._session is None:
            raise EngineError("The engine's session is not open.")
        return self._session

    async def _say(self, step: int) -> None:
        try:
            async with asyncio.timeout(self._timeout_s) as self._saying, aclosing(self._opened().say()) as deltas:  # type: ignore[type-var]
                async for delta in deltas:
                    self._out.text(step, delta)
                    if self._aborted == step:
                        return
        except TimeoutError:
            if self._aborted != step:
                raise
            return
        finally:
            self._saying = None
        self._out.said(step)

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.aclose()
            self._session = None
