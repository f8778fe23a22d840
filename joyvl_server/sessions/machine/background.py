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
from joyvl_server.engines.base import Engine, EngineSession, EngineSpec
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.engines.closing import close_session
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


class SliceLane(Protocol):
    """Where a slice's calls go."""

    @property
    def busy(self) -> bool: ...
    @property
    def slicing(self) -> bool: ...
    async def free(self) -> None: ...
    async def slice(self, slot: Slice, work: Callable[[EngineSession], Awaitable[T]]) -> T: ...


@dataclass(frozen=True, slots=True)
class SliceOutcomes:
    """Where slices report to."""

    warmed: Callable[[int, int], None]
    """number of the prepared chunk, turns of its lead that are warm"""
    written: Callable[[str, str], None]
    """id of the draft, its text"""
    write_failed: Callable[[str, str, str], None]
    """id of the draft, stable code, sentence"""
    trouble: Callable[[str], None]
    """the code of a request of this session's own engine that failed"""


@dataclass(slots=True)
class _Writing:
    draft: Draft
    until: float
    text: str = ""
    joiner: TextJoiner = field(default_factory=TextJoiner)
    tokens: int = 0
    failures: int = 0
    cuts: int = 0


class BackgroundWork:
    """`run` works until cancelled. Texts are written through `pen`, which may be another engine's."""

    def __init__(
        self,
        clock: Clock,
        client: EngineClient,
        lane: SliceLane,
        writer_client: EngineClient,
        pen: SliceLane,
        out: SliceOutcomes,
    ) -> None:
        self._clock = clock
        self._client = client
        self._lane = lane
        self._writer_client = writer_client
        self._pen = pen
        self._out = out
        self._number: int | None = None
        self._warm_turns: int | None = None
        self._to_warm = asyncio.Event()
        self._warm_backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._write_backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._drafts: dict[str, _Writing] = {}
        self._to_write = asyncio.Event()

    def prepared(self, number: int) -> None:
        """A chunk stands beside the present one: warm it."""
        self._number, self._warm_turns = number, None
        self._to_warm.set()

    def begun(self) -> None:
        """Another chunk is the present one: nothing is prepared any more."""
        self._number = None
        self._to_warm.clear()

    def settled(self) -> None:
        """A turn has joined the prepared chunk too."""
        if self._number is not None:
            self._to_warm.set()

    def write(self, draft: Draft) -> None:
        if len(self._drafts) >= MOST_DRAFTS:
            self._out.write_failed(draft.id, "too_many", "Too many texts wait to be written.")
            return
        self._drafts[draft.id] = _Writing(draft, self._clock.monotonic() + WRITE_S)
        self._to_write.set()

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
            slot = await _slot(self._client, self._lane, "warm")
            if not self._to_warm.is_set():
                slot.give_back()
                continue
            progress = await self._warm(slot)
            idle = 0 if progress else idle + 1
            if idle >= WITHOUT_PROGRESS:
                idle = 0
                self._to_warm.clear()

    async def _warm(self, slot: Slice) -> bool:
        """One slice; True when it brought something."""
        number = self._number
        pause = 0.0
        try:
            warmth = await self._lane.slice(slot, lambda session: session.warm(slot.tokens))
        except SliceCut:
            if slot.over:  # it began, and took too long
                pause = self._warm_backoff.failed(free=FREE_CUTS)
            slot.give_back()
            await self._rest(self._client, "warm", pause)
            return False
        except EngineError as error:
            slot.failed()
            self._to_warm.clear()  # until the next turn
            self._out.trouble(error.code)
            await self._rest(self._client, "warm", self._warm_backoff.failed())
            return False
        except BaseException:
            slot.failed()
            raise
        self._warm_backoff.worked()
        slot.done(warmth.fresh)
        if number is None or number != self._number:
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
            self._give_up(draft, "engine_timeout", f"The text was not written within {WRITE_S:g} s.")
            return
        slot = await self._slot_before(writing.until)
        if slot is None:
            return
        if draft.id not in self._drafts or self._pen.busy or self._pen.slicing:
            slot.give_back()
            return
        tokens = max(1, min(slot.tokens, draft.max_tokens - writing.tokens))
        try:
            piece = await self._pen.slice(slot, lambda session: session.write(draft, writing.text, tokens))
        except SliceCut:
            hung = slot.over
            slot.give_back()
            if hung:
                writing.cuts += 1
                if writing.cuts >= MOST_CUTS:
                    self._give_up(draft, "engine_timeout", "The engine is too slow to write between its turns.")
                await self._rest(self._writer_client, "write", self._write_backoff.failed(free=FREE_CUTS))
            return
        except EngineError as error:
            slot.failed()
            await self._failed(writing, error)
            return
        except BaseException:
            slot.failed()
            raise
        self._write_backoff.worked()
        writing.cuts = 0
        writing.text += writing.joiner.feed(piece.text) + (writing.joiner.finish() if piece.done else "")
        used = max(1, len(piece.text) // CHARACTERS_A_TOKEN) if piece.done else tokens
        slot.done(used)
        writing.tokens += used
        longest = LONGEST_CHARACTERS_A_TOKEN * draft.max_tokens
        if (piece.done or writing.tokens >= draft.max_tokens or len(writing.text) >= longest) and self._drafts.pop(
            draft.id, None
        ) is not None:
            self._out.written(draft.id, writing.text[:longest])

    async def _slot_before(self, until: float) -> Slice | None:
        wanted = asyncio.ensure_future(_slot(self._writer_client, self._pen, "write"))
        try:
            await wait_until(self._clock, wanted, until)
        finally:
            if not wanted.done():
                wanted.cancel()
        return wanted.result() if wanted.done() and not wanted.cancelled() else None

    async def _failed(self, writing: _Writing, error: EngineError) -> None:
        writing.failures += 1
        if self._pen is self._lane:
            self._out.trouble(error.code)
        if writing.failures >= MOST_FAILURES or error.code == "engine_cannot":
            self._give_up(writing.draft, error.code, str(error))
        if error.code != "engine_cannot":
            await self._rest(self._writer_client, "write", self._write_backoff.failed())

    async def _rest(self, client: EngineClient, kind: SliceKind, seconds: float) -> None:
        """Others may have their slices meanwhile."""
        if seconds > 0:
            client.finished(kind)
            await self._clock.sleep(seconds)

    def _give_up(self, draft: Draft, code: str, message: str) -> None:
        if self._drafts.pop(draft.id, None) is not None:
            self._out.write_failed(draft.id, code, message)


async def _slot(client: EngineClient, lane: SliceLane, kind: SliceKind) -> Slice:
    """A slice for a lane that has nothing else to do by then."""
    while True:
        await lane.free()
        slot = await client.slice(kind)
        if not lane.busy and not lane.slicing:
            return slot
        slot.give_back()


class WriterExecutor:
    """A lane of its own at another engine, for texts only."""

    def __init__(self, engine: Engine, spec: EngineSpec, timeout_s: float) -> None:
        self._engine = engine
        self._spec = spec
        self._timeout_s = timeout_s
        self._session: EngineSession | None = None
        self.busy = self.slicing = False

    async def free(self) -> None:
        """At once: only slices go this way, one after the other."""

    async def slice(self, slot: Slice, work: Callable[[EngineSession], Awaitable[T]]) -> T:
        """As `EngineLane.slice`."""
        return await slot.result(asyncio.ensure_future(self._sliced(work)))

    async def _sliced(self, work: Callable[[EngineSession], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._session is None:
                    self._session = await self._engine.open(self._spec)
                return await work(self._session)
        except TimeoutError:
            raise EngineError(
                f"The engine {self._engine.name} did not answer in time.", code="engine_timeout"
            ) from None

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await close_session(session, self._engine.name)
