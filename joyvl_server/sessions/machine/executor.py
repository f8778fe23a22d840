"""Carries the engine effects of one machine out, one after the other, and brings back their outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import structlog

from joyvl_server.core import effects
from joyvl_server.core.errors import ContextTooLong, EngineError
from joyvl_server.core.prompt.turns import Chunk, Look
from joyvl_server.core.prompt.wire_format import image_tokens
from joyvl_server.core.texts import TextJoiner
from joyvl_server.engines.base import Engine, EngineSession, EngineSpec
from joyvl_server.sessions.engines.closing import CLOSE_S, close_session
from joyvl_server.sessions.machine.outcomes import EngineEffect, EngineOutcomes
from joyvl_server.sessions.scheduling.leases import Lease
from joyvl_server.sessions.scheduling.slice_policy import Slice, SliceCut

log = structlog.get_logger(__name__)

ASKS = (effects.AskScore, effects.AskChoice, effects.Say)
"""what is asked about a turn that was appended"""

T = TypeVar("T")


class EngineExecutor:
    """One session's conversation with its engine. A failure is an outcome, never an exception.

    The lease of the engine (`hold`) is released when the step speaks or when nothing is left of it.
    """

    def __init__(self, engine: Engine, spec: EngineSpec, timeout_s: float, outcomes: EngineOutcomes) -> None:
        self._engine = engine
        self._spec = spec
        self._timeout_s = timeout_s
        self._out = outcomes
        # The machine never has two steps in flight, so a handful of effects is all that can ever wait here.
        self._queue: asyncio.Queue[EngineEffect] = asyncio.Queue(maxsize=64)
        self._session: EngineSession | None = None
        self._chunk: Chunk | None = None
        self._renewing = False
        self._first_of_new: Chunk | None = None
        self._outdated = False
        self._prepared: Chunk | None = None
        self.pending = 0
        """effects that have not had their outcome"""
        self._lease: Lease | None = None
        self._slice: asyncio.Task[object] | None = None
        self._full, self._image_tokens = True, 0
        self._appended: int | None = None
        self._failed: int | None = None
        self._aborted: int | None = None
        self._saying: asyncio.Timeout | None = None
        self.replying = False
        """the step in flight speaks"""
        self._failing = False

    @property
    def busy(self) -> bool:
        """Something is asked of the engine, or was told to be."""
        return self.pending > 0

    @property
    def slicing(self) -> bool:
        """Background work goes on."""
        return self._slice is not None

    def hold(self, lease: Lease) -> None:
        """The lease for what is put next."""
        self._lease = lease

    def put(self, effect: EngineEffect) -> None:
        if isinstance(effect, effects.Abort):
            self._abort(effect.step)
            return
        if isinstance(effect, effects.Say):
            self.replying = True
        elif isinstance(effect, effects.BeginChunk) and self._renewing:
            self._renewing, self._first_of_new = False, effect.chunk
        self.pending += 1
        self._queue.put_nowait(effect)

    def renew(self) -> None:
        """The engine can do other things now: a new session is opened for the next chunk that is begun.

        A step in flight ends with the session that it began with.
        """
        self._renewing = True

    async def idle(self) -> None:
        """Wait until everything asked for has had its outcome. Cancelling it only ends the wait."""
        await self._queue.join()

    async def free(self) -> None:
        """Wait until it is idle and no slice runs. Cancelling it only ends the wait."""
        await self.idle()
        if self._slice is not None:
            await asyncio.wait({self._slice})

    def release(self, *, failed: bool = False) -> None:
        """Release the lease if nothing is left to do with it."""
        if not self.pending and self._lease is not None:
            lease, self._lease = self._lease, None
            lease.release(failed=failed)

    async def run(self) -> None:
        """Work until cancelled; then the engine session is closed."""
        try:
            while True:
                effect = await self._queue.get()
                try:
                    if self._slice is not None:
                        await asyncio.wait({self._slice})  # short, and cut off where it is not
                    await self._guarded(effect)
                finally:
                    self.pending -= 1
                    self.replying = self.replying and self.pending > 0
                    self.release(failed=isinstance(effect, effects.Rollback))
                    self._queue.task_done()
        finally:
            await self._close()

    async def slice(self, permit: Slice, work: Callable[[EngineSession], Awaitable[T]]) -> T:
        """Background work on this engine session, while there is nothing else to do.

        Raises `EngineError`; `SliceCut` when turns waited for it, or when the executor is busy already. Cancelled, it
        cancels the work.
        """
        if self.busy or self._slice is not None:
            raise SliceCut
        task = asyncio.ensure_future(self._sliced(work))
        task.add_done_callback(self._slice_over)
        self._slice = task
        return await permit.result(task)

    def _slice_over(self, task: asyncio.Task[T]) -> None:
        self._slice = None

    async def _sliced(self, work: Callable[[EngineSession], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await work(await self._open())
        except TimeoutError:
            raise EngineError(self._too_slow, code="engine_timeout") from None

    def _abort(self, step: int) -> None:
        self._aborted = step
        if self._saying is not None:
            self._saying.reschedule(asyncio.get_running_loop().time())

    async def _guarded(self, effect: EngineEffect) -> None:
        """Do one effect; an engine's error becomes an outcome. A fault is logged when it starts and when it ends."""
        step = None if isinstance(effect, effects.BeginChunk | effects.PrepareChunk) else effect.step
        if step is not None and step == self._failed and isinstance(effect, ASKS):
            return  # its turn never reached the engine
        try:
            await self._do(effect)
        except EngineError as error:
            if isinstance(error, ContextTooLong):
                self._out.too_long(error)
            self._fail(effect, error.code, str(error))
        except TimeoutError:
            self._fail(effect, "engine_timeout", self._too_slow)
            if not isinstance(effect, ASKS):
                await self._start_over()
        else:
            if self._failing and isinstance(effect, effects.AskScore):
                self._failing = False
                log.debug("engine answers again", engine=self._engine.name, session=self._spec.session_id)

    async def _start_over(self) -> None:
        """A call that changes the engine's session was given up half-way: nobody knows what it holds now."""
        session, self._session = self._session, None
        if session is not None:
            await close_session(session, self._engine.name)
            if self._chunk is None:
                self._out.lost()

    @property
    def _too_slow(self) -> str:
        return f"The engine {self._engine.name} did not answer within {self._timeout_s:g} s."

    def _fail(self, effect: EngineEffect, code: str, message: str) -> None:
        self._out.trouble(code)
        if isinstance(effect, effects.PrepareChunk):
            return  # tried again with the next turn
        if isinstance(effect, effects.AskChoice):
            self._out.chosen(effect.step, ())
            return
        if not self._failing:
            self._failing = True
            # What lasts is said by the engine's health, once for all its sessions.
            log.debug("engine fails", engine=self._engine.name, session=self._spec.session_id, code=code, error=message)
        if not isinstance(effect, effects.BeginChunk):
            self._failed = effect.step
            self._out.failed(effect.step, code, message)

    async def _do(self, effect: EngineEffect) -> None:
        match effect:
            case effects.BeginChunk(chunk):
                self._chunk = chunk  # begun with the next turn: an engine that is away then may be back
                self._prepared = None
                self._outdated = self._outdated or chunk is self._first_of_new
            case effects.PrepareChunk(chunk):
                self._prepared = chunk
                if self._session is not None and self._chunk is None:
                    async with asyncio.timeout(self._timeout_s):
                        await self._prepare(self._session)
            case effects.Append(step, turn):
                async with asyncio.timeout(self._timeout_s):
                    session = await self._ready()
                    await session.append(turn)
                self._appended = step
                image = turn.frame.image
                self._full, self._image_tokens = turn.look is Look.FULL, image_tokens(image.width, image.height)
            case effects.AskScore(step):
                self._ask(step)
                async with asyncio.timeout(self._timeout_s):
                    score = await self._opened().score()
                if score.kind or score.key or score.garbage:
                    score = score.clean()
                self._out.scored(step, score)
            case effects.AskChoice(step, question, options):
                self._ask(step)
                async with asyncio.timeout(self._timeout_s):
                    shares = await self._opened().choose(question, options)
                self._out.chosen(step, shares)
            case effects.Say(step):
                if self._lease is not None:
                    self._lease.speaks()
                await self._say(step)
            case effects.Settle(_, answer):
                async with asyncio.timeout(self._timeout_s):
                    await self._opened().settle(answer)
            case effects.Rollback(step):
                if self._session is not None and self._appended == step:
                    async with asyncio.timeout(self._timeout_s):
                        await self._session.rollback()

    def _ask(self, step: int) -> None:
        if self._lease is not None:
            self._lease.began(full=self._full, image_tokens=self._image_tokens)
        self._out.asked(step)

    async def _open(self) -> EngineSession:
        if self._outdated:
            self._outdated, outdated, self._session = False, self._session, None
            if outdated is not None:
                await close_session(outdated, self._engine.name)
        if self._session is None:
            self._session = await self._engine.open(self._spec)
        return self._session

    async def _ready(self) -> EngineSession:
        session = await self._open()
        if self._chunk is not None:
            await session.begin(self._chunk)
            self._chunk = None
        if self._prepared is not None:
            await self._prepare(session)
        return session

    async def _prepare(self, session: EngineSession) -> None:
        chunk = self._prepared
        if chunk is not None:
            await session.prepare(chunk)
            self._prepared = None
            self._out.prepared(chunk.number)

    def _opened(self) -> EngineSession:
        if self._session is None:
            raise EngineError("The engine's session is not open.")
        return self._session

    async def _say(self, step: int) -> None:
        joiner = TextJoiner()
        try:
            async with asyncio.timeout(self._timeout_s) as self._saying, aclosing(self._opened().say()) as deltas:  # type: ignore[type-var]
                async for delta in deltas:
                    if (text := joiner.feed(delta)) or not delta:
                        self._out.text(step, text)
                    if self._aborted == step:
                        return
        except TimeoutError:
            if self._aborted != step:
                raise
            return
        finally:
            self._saying = None
        if rest := joiner.finish():
            self._out.text(step, rest)
        self._out.said(step)

    async def _close(self) -> None:
        """Within twice `CLOSE_S`, whatever the engine does."""
        if self._lease is not None:
            self._lease.release(failed=True)
        if self._slice is not None:
            self._slice.cancel()
            await asyncio.wait({self._slice}, timeout=CLOSE_S)
        session, self._session = self._session, None
        if session is not None:
            await close_session(session, self._engine.name)
