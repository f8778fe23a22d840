"""What is to be forgotten where somebody names memories, events, a place or a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from joyvl_server.core.decision.repetition import normal
from joyvl_server.store.erasure_records import ErasureScope, Past
from joyvl_server.store.erasures import Erasures
from joyvl_server.store.events import EventFilter, Events
from joyvl_server.store.memories.memories import Memories
from joyvl_server.store.memories.records import MemoryFilter, MemoryRecord

PAGE = 1000
PART = 500
"""ids in one scope, which is one entry of the journal"""
ACCOUNTS = ("summary", "block")
SAID = ("heard", "query_asked", "query_closed")
"""events in which people tell a fact, ask for it, or get it told"""
LEAST_WORDS = 2
LEAST_SIGNS = 4
"""of a fact, or else it is only looked for as a whole: not all that has one word in it tells that fact"""


class ErasureScopes:
    """Looks up what belongs to it; nothing is changed. All raise `StoreError`; cancelling changes nothing."""

    def __init__(self, erasures: Erasures, events: Events, memories: Memories) -> None:
        self._erasures = erasures
        self._events = events
        self._memories = memories

    async def of_events(self, wanted: EventFilter) -> tuple[list[ErasureScope], int]:
        """All events that match, with what comes from them, in parts; and how many events match."""
        ids: list[str] = []
        before: str | None = None
        while True:
            found = await self._events.list(wanted, limit=PAGE, before=before)
            ids += [event.id for event in found]
            if len(found) < PAGE:
                break
            before = found[-1].cursor
        several = [MemoryFilter(event_ids=part) for part in parts(ids)]
        memories = [memory.id for filter in several for memory in await self._all(filter)]
        answers = await self._erasures.resting_on([*ids, *memories])
        several += [MemoryFilter(event_ids=part) for part in parts(sorted(answers.difference(ids)))]
        return [await self._naming(filter, await self._all(filter)) for filter in several], len(ids)

    async def of(self, filter: MemoryFilter, now: float) -> ErasureScope:
        """All memories that match, and the events they are from; where a filter names only places and times, all that
        was seen, said and heard there and then. `now`: Unix seconds."""
        past = self._past_of(filter, now)
        if past is None:
            return await self._with_answers(filter)
        if filter.collections and past.camera_id is None:  # a caller: all of its sessions, and facts without one
            memories = await self._all(filter)
            sessions = {memory.session_id for memory in memories if memory.session_id is not None}
            if not sessions:
                return await self._with_answers(filter)
            past = replace(past, sessions=tuple(sorted(sessions)))
            return ErasureScope(past, tuple(memory.id for memory in memories))
        return ErasureScope(past)

    def _past_of(self, filter: MemoryFilter, now: float) -> Past | None:
        """The time and place that a filter is about; None where it chooses among what is there."""
        if filter.ids or filter.event_ids or filter.kinds or filter.words.strip() or filter.kept is not None:
            return None
        since = 0.0 if filter.since is None else filter.since
        until = now if filter.until is None else filter.until
        sessions = None if filter.session_id is None else (filter.session_id,)
        camera_id = filter.camera_id
        if filter.collections:
            if len(filter.collections) > 1 or camera_id not in (None, filter.collections[0]):
                return None
            if filter.collections[0].startswith("cam_"):
                camera_id = filter.collections[0]
        return Past(since, until, camera_id, sessions, open=filter.until is None)

    async def _naming(self, filter: MemoryFilter, memories: Sequence[MemoryRecord]) -> ErasureScope:
        """These memories, which match it, and events, and what comes from them."""
        ids = {memory.id for memory in memories} | set(filter.ids)
        from_events = {memory.event_id for memory in memories if memory.event_id is not None} | set(filter.event_ids)
        events, tasks = await self._erasures.traced(from_events)
        accounts = tuple(
            Past(memory.wall, memory.until_wall, memory.camera_id, None if s is None else (s,))
            for memory in memories
            if memory.kind in ACCOUNTS and (s := memory.session_id) is not None
        )
        return ErasureScope(None, tuple(sorted(ids)), events, tasks, accounts)

    async def _with_answers(self, filter: MemoryFilter) -> ErasureScope:
        """The same, with the answers that rest on one of them, and with all in which a fact of them was told or
        asked."""
        found = await self._all(filter)
        facts = list(dict.fromkeys(memory.text for memory in found if memory.kind == "fact"))
        scope = await self._naming(filter, found)
        told = await self._erasures.resting_on([*scope.memories, *(event.id for event in scope.events)])
        if facts:
            told = await self._erasures.conversations(told.union(*[await self._said(fact) for fact in facts]))
        heard = {id for fact in facts for id in await self._heard(fact)}
        if not told and not heard:
            return scope
        events, tasks = await self._erasures.traced(told.union(event.id for event in scope.events))
        memories = tuple(sorted({*scope.memories, *heard}))
        return replace(scope, memories=memories, events=events, tasks=tuple(sorted({*scope.tasks, *tasks})))

    async def _said(self, fact: str) -> set[str]:
        """Events in which these words were said, or answered to somebody."""
        found: set[str] = set()
        before: str | None = None
        while True:
            wanted = EventFilter(types=(*SAID, "spoke"), words=fact)
            page = await self._events.list(wanted, limit=PAGE, before=before)
            answers = [event for event in page if event.type in SAID or event.data.get("query") is not None]
            found |= {event.id for event in answers if tells(event.text, fact)}
            if len(page) < PAGE:
                return found
            before = page[-1].id

    async def _heard(self, fact: str) -> set[str]:
        memories = await self._all(MemoryFilter(kinds=("heard",), words=fact))
        return {memory.id for memory in memories if tells(memory.text, fact)}

    async def _all(self, filter: MemoryFilter) -> list[MemoryRecord]:
        found: list[MemoryRecord] = []
        before: str | None = None
        while True:
            page = await self._memories.list(filter, limit=PAGE, before=before)
            found += page
            if len(page) < PAGE:
                return found
            before = page[-1].id


def parts(ids: Iterable[str], size: int = PART) -> list[tuple[str, ...]]:
    """The same ids, `size` at a time."""
    several = tuple(ids)
    return [several[start : start + size] for start in range(0, len(several), size)]


def tells(text: str, fact: str) -> bool:
    """Are the words of `fact` in `text`, in this order?"""
    said, wanted = normal(text), normal(fact)
    if wanted.isascii():
        enough = len(wanted.split()) >= LEAST_WORDS
        return f" {wanted} " in f" {said} " if enough else said == wanted
    said, wanted = said.replace(" ", ""), wanted.replace(" ", "")
    return wanted in said if len(wanted) >= LEAST_SIGNS else said == wanted
