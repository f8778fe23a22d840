"""Forgets for good: memories and events with all that tells the same, in every file of the data folder.

What is to go is written down first; what a kill interrupts is finished at the next start. Afterwards nothing of that
past is taken any more: an account of an old time may be written much later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from joyvl_server.agents.queue import TaskQueue
from joyvl_server.core.errors import Conflict, NotFound, StoreError
from joyvl_server.kit.clock import Clock
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.store.erasure_records import ErasedEvent, ErasureScope, Past
from joyvl_server.store.erasure_scopes import ErasureScopes, parts
from joyvl_server.store.erasures import PRIVATE, Erasures
from joyvl_server.store.events import EventFilter
from joyvl_server.store.memories.records import MemoryFilter
from joyvl_server.store.store import Store
from joyvl_server.store.ticks.erasing import Forgets, blank_ticks
from joyvl_server.store.ticks.records import TickRecord
from joyvl_server.timeline.timeline import Timeline

log = structlog.get_logger(__name__)

RETRY_S = 30.0
"""between two looks for what is left over, and whether the clock was set back"""
NEAR_S = 0.5  # stream time and the clock on the wall do not agree to the last digit


class RunningSession(Protocol):
    """A session that runs now, as far as it has to forget."""

    @property
    def id(self) -> str: ...

    @property
    def camera_id(self) -> str | None: ...

    def forget(self, since: float, until: float) -> None:
        """What it remembers of that time (Unix seconds), also for its next prompt."""

    def forgotten(self, memories: Collection[str]) -> None:
        """These are deleted by now: its next prompt quotes none of them."""


class RunningSessions(Protocol):
    def sessions(self) -> Sequence[RunningSession]: ...


@dataclass(frozen=True, slots=True)
class Erased:
    """How many are gone."""

    memories: int
    events: int


@dataclass(frozen=True, slots=True)
class ErasedRecords:
    """Where something may lie that is to be forgotten."""

    store: Store
    memory: LongTermMemory
    timeline: Timeline
    tasks: TaskQueue
    sessions: RunningSessions


class Eraser:
    """`start` before use, `aclose` before the store is closed. One erasure at a time."""

    def __init__(self, records: ErasedRecords, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._erasures = Erasures(records.store.main, records.store.ticks)
        self._scopes = ErasureScopes(self._erasures, records.timeline.events, records.memory.memories)
        self._working = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Erased]] = set()
        self._unfinished = asyncio.Event()

    def start(self) -> None:
        """Finish what an earlier run could not. Returns at once."""
        self._unfinished.set()
        if self._running is None:
            self._running = asyncio.create_task(self._finish(), name="what was to be forgotten is forgotten")

    async def aclose(self) -> None:
        """What is not done goes on at the next start. Idempotent."""
        tasks = {*self._tasks, *(() if self._running is None else (self._running,))}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def forget(self, filter: MemoryFilter, wished: tuple[str, str] | None = None) -> Erased:
        """All memories that match, and the events they are from; where a filter names only places and times, all that
        was seen, said and heard there and then. Kept ones too, unless `filter.kept` is False. `wished`: session and
        query that wish it, whose words go too.

        Raises `StoreError`; what was written down by then is done later. Cancelled, it goes on in the background.
        """

        async def meant() -> list[ErasureScope]:
            scope = await self._scopes.of(filter, self._clock.wall())
            if wished is not None:
                events, _ = await self._erasures.traced(await self._erasures.asked(*wished))
                scope = replace(scope, events=tuple(dict.fromkeys((*scope.events, *events))))
            return [scope]

        return await self._erase(meant)

    async def forget_asked(self, session_id: str, query_id: str) -> Erased:
        """What was said in that query. See `forget`."""

        async def meant() -> list[ErasureScope]:
            events, tasks = await self._erasures.traced(await self._erasures.asked(session_id, query_id))
            return [ErasureScope(None, (), events, tasks)]

        return await self._erase(meant)

    async def forget_all(self) -> Erased:
        """Everything that was seen, said and heard, facts too. Cameras, watches and settings stay. See `forget`."""

        async def meant() -> list[ErasureScope]:
            return [ErasureScope(Past(0.0, self._clock.wall(), open=True))]

        return await self._erase(meant)

    async def forget_events(self, wanted: EventFilter) -> Erased:
        """All events that match, and the memories, alerts and words that come from them. See `forget`."""
        matched = 0

        async def meant() -> list[ErasureScope]:
            nonlocal matched
            scopes, matched = await self._scopes.of_events(wanted)
            return scopes

        erased = await self._erase(meant)
        return Erased(erased.memories, matched)

    # -------------------------------------------------------------------------------------------------- how it is done

    async def _erase(self, meant: Callable[[], Awaitable[list[ErasureScope]]]) -> Erased:
        work = asyncio.ensure_future(self._all_of(meant))
        self._tasks.add(work)
        work.add_done_callback(self._ended)
        return await asyncio.shield(work)

    async def _all_of(self, meant: Callable[[], Awaitable[list[ErasureScope]]]) -> Erased:
        """What was begun is finished, whatever fails and whoever still waits for it."""
        try:
            return await self._work([await self._begin(scope) for scope in await meant()])
        except BaseException:
            self._unfinished.set()
            raise

    def _ended(self, work: asyncio.Task[Erased]) -> None:
        self._tasks.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            log.warning("what was to be forgotten is not gone yet", error=str(error))

    async def _begin(self, scope: ErasureScope) -> tuple[int, ErasureScope]:
        if scope.past is not None:
            scope = replace(scope, sessions=await self._erasures.sessions(scope.past))
        return await self._erasures.begin(scope, self._clock.wall()), scope

    async def _work(self, begun: Sequence[tuple[int, ErasureScope]]) -> Erased:
        """One after the other; what is deleted of all of them is taken out of the files together."""
        async with self._working:
            gone = [await self._delete(scope) for _, scope in begun]
            if begun and await self._erasures.purge():
                for number, _ in begun:
                    await self._erasures.done(number)
                await self._erasures.purge()
            elif begun:
                self._unfinished.set()
            return Erased(sum(one.memories for one in gone), sum(one.events for one in gone))

    async def _delete(self, scope: ErasureScope) -> Erased:
        """Every step may be done twice."""
        self._forget_running(scope)
        events = await self._delete_events(scope)  # first: no memory is written late of an event that is gone
        memories = await self._delete_memories(scope)
        for session in self._records.sessions.sessions():
            session.forgotten({*memories, *scope.memories})
        await self._delete_tasks(scope)
        await self._erasures.delete_with(scope)
        await self._blank_ticks(scope)
        await self._records.timeline.files.removed()
        await self._records.memory.purge_index()
        return Erased(len(memories), events)

    def _forget_running(self, scope: ErasureScope) -> None:
        times = [scope.past] if scope.past is not None else list(scope.accounts)
        times += [Past(e.wall - NEAR_S, e.wall + 1.0, e.camera_id, (e.session_id,)) for e in scope.events]
        for session in self._records.sessions.sessions():
            for time in times:
                mine = time.sessions is None or session.id in time.sessions
                if mine and time.camera_id in (None, session.camera_id):
                    session.forget(time.since, time.until)

    async def _delete_memories(self, scope: ErasureScope) -> list[str]:
        memory, records = self._records.memory, self._records.memory.memories
        filters = [MemoryFilter(ids=part) for part in parts(scope.memories)]
        filters += [MemoryFilter(event_ids=part) for part in parts([event.id for event in scope.events])]
        if (past := scope.past) is not None:
            several: Iterable[str | None] = (None,) if past.sessions is None else past.sessions
            since, until = _span(past)
            filters += [
                MemoryFilter(camera_id=past.camera_id, session_id=session, since=since, until=until)
                for session in several
            ]
        gone = [await (records.forget_all() if f == MemoryFilter() else records.forget(f)) for f in filters]
        return [one.id for several in gone for one in memory.forgotten(several)]

    async def _delete_events(self, scope: ErasureScope) -> int:
        events, past = self._records.timeline.events, scope.past
        count = await events.delete(event.id for event in scope.events)
        if past is not None:
            for session in (None,) if past.sessions is None else past.sessions:
                since, until = _span(past)
                wanted = EventFilter(None, session, past.camera_id, PRIVATE, since=since, until=until)
                count += await events.delete_matching(wanted)
        return count

    async def _delete_tasks(self, scope: ErasureScope) -> None:
        ids = list(scope.tasks) if scope.past is None else await self._erasures.tasks(scope.past)
        for task_id in ids:
            try:
                await self._records.tasks.cancel(task_id)
                await self._records.tasks.records.delete(task_id)
            except (NotFound, Conflict):
                continue

    async def _blank_ticks(self, scope: ErasureScope) -> None:
        db, past = self._records.store.ticks, scope.past
        if past is not None:
            since, until = past.since, past.until
            await blank_ticks(db, scope.sessions, since, until, lambda tick: since <= tick.wall < until)
        for event in scope.events:
            await blank_ticks(db, [event.session_id], event.wall, event.wall, _made(event))

    async def _finish(self) -> None:
        """The supervisor's edge: whatever fails is tried again."""
        while True:
            now = self._clock.wall()
            try:
                # With a clock that was ahead, the times to come would be a forgotten past.
                if await self._erasures.clock_is(now):
                    log.warning("the clock was set back: what is yet to come is no forgotten past")
                if self._unfinished.is_set():
                    self._unfinished.clear()
                    if left := await self._erasures.unfinished():
                        log.info("what was to be forgotten is forgotten now", erasures=len(left))
                        await self._work(left)
            except StoreError as error:
                log.warning("what was to be forgotten is not gone yet", error=str(error))
                self._unfinished.set()
            except Exception:
                log.exception("what was to be forgotten is not gone yet")
                self._unfinished.set()
            await self._clock.sleep(RETRY_S)


def _span(past: Past) -> tuple[float | None, float | None]:
    """From and to, None where it has no end there."""
    return past.since if past.since > 0 else None, None if past.open else past.until


def _made(event: ErasedEvent) -> Forgets:
    """Is it the tick that made this event?"""

    def of(tick: TickRecord) -> bool:
        return (event.epoch is not None and tick.epoch == event.epoch) or abs(tick.wall - event.wall) < 0.01

    return of
