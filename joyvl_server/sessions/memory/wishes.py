"""Does what people want remembered or forgotten: written before it is answered, and taken back when they say so."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from joyvl_server.core.decision.repetition import normal
from joyvl_server.core.errors import JoyvlError
from joyvl_server.core.past.questions import is_of_what_happened
from joyvl_server.core.past.wishes import Forget, Remember
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.sessions.memory.phrases import listed, say
from joyvl_server.sessions.memory.places import SHARED
from joyvl_server.sessions.memory.requests import ANYBODY, Asker, Confirm, PastRequests
from joyvl_server.sessions.memory.services import PastServices
from joyvl_server.sessions.memory.timeline_answer import OwnAnswer
from joyvl_server.store.memories.records import MemoryFilter, MemoryRecord
from joyvl_server.store.sessions import SessionRecord

WRITE_S = 5.0
ERASE_S = 20.0
"""longest time that writing, and forgetting for good, may take"""
MOST_ASKED = 8
"""facts that the server asks back about"""
UNDO_S = 120.0
"""The last wish is taken back within this time: "undo that" later means something else."""
PASSED = 2
"""other things that may be said in between"""


@dataclass(frozen=True, slots=True)
class _Done:
    """What `query_id` wished, by `wall` (Unix seconds): `remembered` to be forgotten, or `forgotten` to be written
    again, if it is taken back."""

    query_id: str
    wall: float
    remembered: tuple[str, ...] = ()
    forgotten: tuple[MemoryRecord, ...] = ()


class MemoryWishes:
    """Of one session, whose memories lie in `collection`."""

    def __init__(
        self,
        record: SessionRecord,
        collection: str,
        memory: LongTermMemory,
        requests: PastRequests,
        services: PastServices,
    ) -> None:
        self._services = services
        self._record = record
        self._collection = collection
        self._memory = memory
        self._requests = requests
        self._last: _Done | None = None
        self._passed = 0

    async def remember(self, query_id: str, wish: Remember, wall: float, language: str) -> OwnAnswer:
        """Written when this returns, or said that it is not. Cancelled, it may be written."""
        draft = MemoryDraft(
            self._collection, "fact", wish.fact, wall, camera_id=self._record.camera_id,
            session_id=self._record.id, kept=True, source=self._record.name,
        )  # fmt: skip
        try:
            async with asyncio.timeout(WRITE_S):
                memory = await self._memory.add(draft)
        except (JoyvlError, TimeoutError) as error:
            return OwnAnswer(say(language, "not_kept", why=str(error)))
        self._note(_Done(query_id, wall, remembered=(memory.id,)))
        return OwnAnswer(say(language, "remembered", fact=memory.text), (memory.id,))

    async def forget(
        self, query_id: str, wish: Forget, wall: float, language: str, asker: Asker = ANYBODY
    ) -> OwnAnswer:
        """A fact that is named whole is forgotten at once; about others, and all of it, the server asks back."""
        try:
            async with asyncio.timeout(ERASE_S):
                return await self._forget(query_id, wish, wall, language, asker)
        except (JoyvlError, TimeoutError) as error:
            return _not_forgotten(error, language)

    async def confirm(
        self, query_id: str, answer: Confirm, wall: float, language: str, asker: Asker = ANYBODY
    ) -> OwnAnswer:
        """A yes or no to what was asked back."""
        if not answer.yes:
            return OwnAnswer(say(language, "left"))
        if not answer.facts and not asker.erases:
            return OwnAnswer(say(language, "not_yours"))
        try:
            async with asyncio.timeout(ERASE_S):
                if not answer.facts:
                    await self._erase(MemoryFilter(collections=(self._collection,)), query_id)
                    self._last = None
                    return OwnAnswer(say(language, "forgot_all"))
                return await self._forget_these(query_id, answer.facts, wall, language)
        except (JoyvlError, TimeoutError) as error:
            return _not_forgotten(error, language)

    async def undo(self, wall: float, language: str, *, told: bool = False) -> OwnAnswer:
        """The last wish is taken back, once and for a short while; `told`: only where it was to remember something.
        Cancelled, it may be."""
        last, self._last = self._last, None
        if last is None or wall - last.wall > UNDO_S or self._passed > PASSED or (told and not last.remembered):
            return OwnAnswer(say(language, "nothing_to_undo"))
        try:
            async with asyncio.timeout(ERASE_S):
                if last.remembered:
                    await self._erase(MemoryFilter(ids=last.remembered))
                    return OwnAnswer(say(language, "unremembered"))
                again = await self._memory.add_all([_draft(memory) for memory in last.forgotten])
        except (JoyvlError, TimeoutError) as error:
            self._last = last
            if last.remembered:
                return _not_forgotten(error, language)
            return OwnAnswer(say(language, "not_kept", why=str(error)))
        facts = listed(language, [memory.text for memory in again])
        return OwnAnswer(say(language, "undone", fact=facts), tuple(memory.id for memory in again))

    def wished(self, query_id: str) -> bool:
        """Can something be taken back that it did?"""
        return self._last is not None and self._last.query_id == query_id

    def passed(self) -> None:
        """Somebody says something else."""
        self._passed += 1

    def forgotten(self, memories: Collection[str]) -> None:
        """These are deleted for good, by whomever: what went before does not bring anything back."""
        if self._last is not None and (self._last.forgotten or not {*self._last.remembered}.isdisjoint(memories)):
            self._last = None

    async def _erase(self, wanted: MemoryFilter, query_id: str | None = None) -> None:
        """For good, with all that tells the same, and with what was said in the query that wishes it."""
        if self._services.eraser is None:
            await self._memory.forget(wanted)
        else:
            wished = None if query_id is None else (self._record.id, query_id)
            await self._services.eraser.forget(wanted, wished)

    async def _forget(self, query_id: str, wish: Forget, wall: float, language: str, asker: Asker) -> OwnAnswer:
        records, here = self._memory.memories, (self._collection,)
        if not wish.about:
            if not asker.erases:
                return OwnAnswer(say(language, "not_yours"))
            count = await records.count(MemoryFilter(collections=here))
            if not count:
                return OwnAnswer(say(language, "no_fact"))
            self._requests.ask_back((), wall)
            return OwnAnswer(say(language, "all_of_it", count=count))
        where = (*here, SHARED) if asker.across else here
        facts = await records.list(MemoryFilter(collections=where, kinds=("fact",)), limit=1000)
        same = [fact for fact in facts if normal(fact.text) == normal(wish.about)]
        if same and not wish.everything:
            return await self._forget_these(query_id, tuple(same), wall, language)
        alike = [fact for fact in facts if _contains(fact.text, wish.about)][:MOST_ASKED]
        if not alike:
            if self._services.eraser is not None:
                await self._services.eraser.forget_asked(self._record.id, query_id)
            seen = is_of_what_happened(wish.about, wall, self._requests.calendar)
            return OwnAnswer(say(language, "only_facts" if seen else "no_fact"))
        self._requests.ask_back(tuple(alike), wall)
        which = say(language, "them" if len(alike) > 1 else "it")
        shown = listed(language, [f"“{fact.text[:200].rstrip('.。')}”" for fact in alike])
        return OwnAnswer(say(language, "which", list=shown, all=which), tuple(fact.id for fact in alike))

    async def _forget_these(
        self, query_id: str, facts: tuple[MemoryRecord, ...], wall: float, language: str
    ) -> OwnAnswer:
        await self._erase(MemoryFilter(ids=tuple(fact.id for fact in facts)), query_id)
        self._note(_Done(query_id, wall, forgotten=facts))
        return OwnAnswer(say(language, "forgot", which=say(language, "them" if len(facts) > 1 else "it")))

    def _note(self, done: _Done) -> None:
        self._last, self._passed = done, 0


def _not_forgotten(error: Exception, language: str) -> OwnAnswer:
    if isinstance(error, TimeoutError):
        return OwnAnswer(say(language, "forgetting"))
    return OwnAnswer(say(language, "not_forgotten", why=str(error)))


def _contains(text: str, about: str) -> bool:
    """Every word of `about`, whole; in Chinese, the signs in this order."""
    words, wanted = normal(text), normal(about)
    if not wanted.isascii():
        return wanted.replace(" ", "") in words.replace(" ", "")
    return set(wanted.split()) <= set(words.split())


def _draft(memory: MemoryRecord) -> MemoryDraft:
    return MemoryDraft(
        memory.collection, "fact", memory.text, memory.wall, memory.until_wall, memory.t, memory.camera_id,
        memory.session_id, memory.event_id, memory.kept, memory.source, memory.data,
    )  # fmt: skip
