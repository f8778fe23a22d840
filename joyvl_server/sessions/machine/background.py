"""What a session has its engine do between ticks: warm the chunk that comes next, write texts nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from joyvl_server.core.errors import EngineError
from joyvl_server.core.prompt.turns import Draft
from joyvl_server.core.texts import TextJoiner
from joyvl_server.engines.base import EngineSession
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.machine.outcomes import SliceOutcomes
from joyvl_server.sessions.scheduling.leases import EngineClient
from joyvl_server.sessions.scheduling.slice_policy import Slice, SliceCut, SliceKind

log = structlog.get_logger(__name__)

MOST_DRAFTS = 4
"""texts that wait to be written at once; a session needs one or two"""
WRITE_S = 240.0
"""longest time a text may take, from being asked for; whoever asked goes on without it"""
MOST_FAILURES = 3
MOST_CUTS = 8
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""before a slice that hung or failed is asked for again; doubled each time, until one goes through"""
FREE_CUTS = 2
"""slices in a row that are cut off without a pause: one that was only a little too long is smaller the next time"""
CHARACTERS_A_TOKEN = 4
LONGEST_CHARACTERS_A_TOKEN = 12
WITHOUT_PROGRESS = 3
"""slices that brought nothing, after which warming waits for the next turn"""

T = TypeVar("T")


class SliceExecutor(Protocol):
    """Where a slice's calls go. Cancelled, `free` only ends its wait, and `slice` cancels the work."""

    @property
    def busy(self) -> bool: ...
    @property
    def slicing(self) -> bool: ...
    async def free(self) -> None: ...
    async def slice(self, permit: Slice, work: Callable[[EngineSession], Awaitable[T]]) -> T: ...


@dataclass(slots=True)
class _Writing:
    """`wanted`: where the text goes that is not the machine's own; None of it where nothing comes of it."""

    draft: Draft
    until: float
    wanted: asyncio.Future[str | None] | None = None
    text: str = ""
    joiner: TextJoiner = field(default_factory=TextJoiner)
    tokens: int = 0
    failures: int = 0
    cuts: int = 0


class BackgroundWork:
    """`run` works until cancelled. Texts are written through `writer`, which may be another engine's."""

    def __init__(
        self,
        clock: Clock,
        client: EngineClient,
        executor: SliceExecutor,
        writer_client: EngineClient,
        writer: SliceExecutor,
        out: SliceOutcomes,
    ) -> None:
        self._clock = clock
        self._client = client
        self._executor = executor
        self._writer_client = writer_client
        self._writer = writer
        self._out = out
        self.prepared_number: int | None = None
        """of the prepared chunk"""
        self._warm_turns: int | None = None
        self._to_warm = asyncio.Event()
        self._warm_backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._write_backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._drafts: dict[str, _Writing] = {}
        self._to_write = asyncio.Event()

    def prepared(self, number: int) -> None:
        """A chunk is prepared: warm it."""
        self.prepared_number, self._warm_turns = number, None
        self._to_warm.set()

    def begun(self) -> None:
        """Another chunk is the present one: nothing is prepared any more."""
        self.prepared_number = None
        self._to_warm.clear()

    def settled(self) -> None:
        """A turn has joined the prepared chunk too."""
        if self.prepared_number is not None:
            self._to_warm.set()

    def write(self, draft: Draft) -> None:
        """Write a text of the machine: `out` hears what comes of it."""
        if not self._add(draft, None):
            self._out.write_failed(draft.id, "too_many", "Too many texts wait to be written.")

    async def text(self, draft: Draft) -> str | None:
        """Write a text that is not the machine's own; None where nothing comes of it. Cancelled, nobody wants it any
        more."""
        wanted: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if not self._add(draft, wanted):
            return None
        try:
            return await wanted
        finally:
            self.stop(draft.id)

    def _add(self, draft: Draft, wanted: asyncio.Future[str | None] | None) -> bool:
        if len(self._drafts) >= MOST_DRAFTS:
            return False
        self._drafts[draft.id] = _Writing(draft, self._clock.monotonic() + WRITE_S, wanted)
        self._to_write.set()
        return True

    def stop(self, draft_id: str) -> None:
        """Nobody wants that text any more; a slice of it that runs may end."""
        self._drafts.pop(draft_id, None)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._warm_on())
            tasks.create_task(self._write_on())

    # ------------------------------------------------------------------------------------------------------- warming

    async def _warm_on(self) -> None:
        idle = 0
        while True:
            if not self._to_warm.is_set():
                self._client.finished("warm")
                await self._to_warm.wait()
            permit = await _next_slice(self._client, self._executor, "warm")
            if not self._to_warm.is_set():
                permit.give_back()
                continue
            progress = await self._warm(permit)
            idle = 0 if progress else idle + 1
            if idle >= WITHOUT_PROGRESS:
                idle = 0
                self._to_warm.clear()

    async def _warm(self, permit: Slice) -> bool:
        """One slice; True when it brought something."""
        number = self.prepared_number
        pause = 0.0
        try:
            warmth = await self._executor.slice(permit, lambda session: session.warm(permit.tokens))
        except SliceCut:
            if permit.over:  # it began, and took too long
                pause = self._warm_backoff.failed(free=FREE_CUTS)
            permit.give_back()
            await self._rest(self._client, "warm", pause)
            return False
        except EngineError as error:
            permit.failed()
            self._to_warm.clear()  # until the next turn
            self._out.trouble(error.code)
            await self._rest(self._client, "warm", self._warm_backoff.failed())
            return False
        except BaseException:
            permit.failed()
            raise
        self._warm_backoff.worked()
        permit.done(warmth.fresh)
        if number is None or number != self.prepared_number:
            return True
        if warmth.done:
            self._to_warm.clear()
        progress = warmth.done or warmth.fresh > 0
        if warmth.turns != self._warm_turns and (warmth.turns > 0 or warmth.done):
            self._warm_turns = warmth.turns
            self._out.warmed(number, warmth.turns)
        return progress

    # ------------------------------------------------------------------------------------------------------- writing

    async def _write_on(self) -> None:
        while True:
            await self._to_write.wait()
            if not self._drafts:
                self._writer_client.finished("write")
                self._to_write.clear()
                continue
            await self._write(next(iter(self._drafts.values())))

    async def _write(self, writing: _Writing) -> None:
        """One slice of the oldest text."""
        draft = writing.draft
        if self._clock.monotonic() >= writing.until:
            self._give_up(writing, "engine_timeout", f"The text was not written within {WRITE_S:g} s.")
            return
        permit = await self._slice_before(writing.until)
        if permit is None:
            return
        if draft.id not in self._drafts or self._writer.busy or self._writer.slicing:
            permit.give_back()
            return
        tokens = max(1, min(permit.tokens, draft.max_tokens - writing.tokens))
        try:
            piece = await self._writer.slice(permit, lambda session: session.write(draft, writing.text, tokens))
        except SliceCut:
            hung = permit.over
            permit.give_back()
            if hung:
                writing.cuts += 1
                if writing.cuts >= MOST_CUTS:
                    self._give_up(writing, "engine_timeout", "The engine is too slow to write between its turns.")
                await self._rest(self._writer_client, "write", self._write_backoff.failed(free=FREE_CUTS))
            return
        except EngineError as error:
            permit.failed()
            await self._failed(writing, error)
            return
        except BaseException:
            permit.failed()
            raise
        self._write_backoff.worked()
        writing.cuts = 0
        writing.text += writing.joiner.feed(piece.text) + (writing.joiner.finish() if piece.done else "")
        used = max(1, len(piece.text) // CHARACTERS_A_TOKEN) if piece.done else tokens
        permit.done(used)
        writing.tokens += used
        longest = LONGEST_CHARACTERS_A_TOKEN * draft.max_tokens
        if (piece.done or writing.tokens >= draft.max_tokens or len(writing.text) >= longest) and self._drafts.pop(
            draft.id, None
        ) is not None:
            if writing.wanted is None:
                self._out.written(draft.id, writing.text[:longest])
            elif not writing.wanted.done():
                writing.wanted.set_result(writing.text[:longest])

    async def _slice_before(self, until: float) -> Slice | None:
        wanted = asyncio.ensure_future(_next_slice(self._writer_client, self._writer, "write"))
        try:
            await wait_until(self._clock, wanted, until)
        finally:
            if not wanted.done():
                wanted.cancel()
        return wanted.result() if wanted.done() and not wanted.cancelled() else None

    async def _failed(self, writing: _Writing, error: EngineError) -> None:
        writing.failures += 1
        if self._writer is self._executor:
            self._out.trouble(error.code)
        if writing.failures >= MOST_FAILURES or error.code == "engine_cannot":
            self._give_up(writing, error.code, str(error))
        if error.code != "engine_cannot":
            await self._rest(self._writer_client, "write", self._write_backoff.failed())

    async def _rest(self, client: EngineClient, kind: SliceKind, seconds: float) -> None:
        """Others may have their slices meanwhile."""
        if seconds > 0:
            client.finished(kind)
            await self._clock.sleep(seconds)

    def _give_up(self, writing: _Writing, code: str, message: str) -> None:
        if self._drafts.pop(writing.draft.id, None) is None:
            return
        if writing.wanted is None:
            self._out.write_failed(writing.draft.id, code, message)
        elif not writing.wanted.done():
            writing.wanted.set_result(None)


async def _next_slice(client: EngineClient, executor: SliceExecutor, kind: SliceKind) -> Slice:
    """A slice for an executor that has nothing else to do by then."""
    while True:
        await executor.free()
        permit = await client.slice(kind)
        if not executor.busy and not executor.slicing:
            return permit
        permit.give_back()
