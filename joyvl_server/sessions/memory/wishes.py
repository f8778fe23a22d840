"""Does what people want remembered or forgotten: written before it is answered, and taken back when they say so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from joyvl_server.core.decision.repetition import normal
from joyvl_server.core.errors import JoyvlError
from joyvl_server.core.past.wishes import Forget, Remember
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.sessions.memory.phrases import listed, say
from joyvl_server.sessions.memory.places import SHARED
from joyvl_server.sessions.memory.requests import Confirm, PastRequests
from joyvl_server.sessions.memory.services import PastServices
from joyvl_server.sessions.memory.timeline_answer import OwnAnswer
from joyvl_server.store.memories.records import MemoryFilter, MemoryRecord
from joyvl_server.store.sessions import SessionRecord

WRITE_S = 5.0
ERASE_S = 20.0
"""longest time that writing, and forgetting for good, may take"""
MOST_ASKED = 8
"""facts that the server asks back about"""
KEPT = 32
"""wishes that can still be taken back"""


@dataclass(frozen=True, slots=True)
class _Done:
    """`remembered` to be forgotten, or `forgotten` to be written again, if it is taken back."""

    remembered: tuple[str, ...] = ()
    forgotten: tuple[MemoryRecord, ...] = ()
    fact: str = ""


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
        self._done: dict[str, _Done] = {}
        """by the query that wished it, oldest first"""

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
        self._note(query_id, _Done(remembered=(memory.id,), fact=memory.text))
        return OwnAnswer(say(language, "remembered", fact=memory.text), (memory.id,))

    async def forget(self, query_id: str, wish: Forget, wall: float, language: str) -> OwnAnswer:
        """A fact that is named whole is forgotten at once; about others, and all of it, the server asks back."""
        try:
            async with asyncio.timeout(ERASE_S):
                return await self._forget(query_id, wish, wall, language)
        except (JoyvlError, TimeoutError) as error:
            return _not_forgotten(error, language)

    async def confirm(self, query_id: str, answer: Confirm, language: str) -> OwnAnswer:
        """A yes or no to what was asked back."""
        if not answer.yes:
            return OwnAnswer(say(language, "left"))
        try:
            async with asyncio.timeout(ERASE_S):
                if not answer.facts:
                    await self._erase(MemoryFilter(collections=(self._collection,)), query_id)
                    self._done.clear()
                    return OwnAnswer(say(language, "forgot_all"))
                return await self._forget_these(query_id, answer.facts, language)
        except (JoyvlError, TimeoutError) as error:
            return _not_forgotten(error, language)

    async def undo(self, query_id: str | None, language: str) -> OwnAnswer:
        """What that query wished, or the last one, is taken back. Cancelled, it may be."""
        last = query_id if query_id is not None else next(reversed(self._done), None)
        done = self._done.pop(last, None) if last is not None else None
        if last is None or done is None:
            return OwnAnswer(say(language, "nothing_to_undo"))
        try:
            async with asyncio.timeout(ERASE_S):
                if done.remembered:
                    await self._erase(MemoryFilter(ids=done.remembered))
                    return OwnAnswer(say(language, "taken_back"))
                await self._memory.add_all([_draft(memory) for memory in done.forgotten])
        except (JoyvlError, TimeoutError) as error:
            self._note(last, done)
            if done.remembered:
                return _not_forgotten(error, language)
            return OwnAnswer(say(language, "not_kept", why=str(error)))
        return OwnAnswer(say(language, "undone", fact=done.fact))

    def wished(self, query_id: str) -> bool:
        """Can something be taken back that it did?"""
        return query_id in self._done

    async def _erase(self, wanted: MemoryFilter, query_id: str | None = None) -> None:
        """For good, with all that tells the same, and with what was said in the query that wishes it."""
        if self._services.eraser is None:
            await self._memory.forget(wanted)
        else:
            wished = None if query_id is None else (self._record.id, query_id)
            await self._services.eraser.forget(wanted, wished)

    async def _forget(self, query_id: str, wish: Forget, wall: float, language: str) -> OwnAnswer:
        records, here = self._memory.memories, (self._collection,)
        if not wish.about:
            count = await records.count(MemoryFilter(collections=here))
            if not count:
                return OwnAnswer(say(language, "nothing_to_undo"))
            self._requests.ask_back((), wall)
            return OwnAnswer(say(language, "all_of_it", count=count))
        facts = await records.list(MemoryFilter(collections=(*here, SHARED), kinds=("fact",)), limit=1000)
        same = [fact for fact in facts if normal(fact.text) == normal(wish.about)]
        if same and not wish.everything:
            return await self._forget_these(query_id, tuple(same), language)
        alike = [fact for fact in facts if _contains(fact.text, wish.about)][:MOST_ASKED]
        if not alike:
            return OwnAnswer(say(language, "no_fact", fact=wish.about))
        self._requests.ask_back(tuple(alike), wall)
        which = say(language, "them" if len(alike) > 1 else "it")
        shown = listed(language, [f"“{fact.text[:200].rstrip('.。')}”" for fact in alike])
        return OwnAnswer(say(language, "which", list=shown, all=which), tuple(fact.id for fact in alike))

    async def _forget_these(self, query_id: str, facts: tuple[MemoryRecord, ...], language: str) -> OwnAnswer:
        await self._erase(MemoryFilter(ids=tuple(fact.id for fact in facts)), query_id)
        self._note(query_id, _Done(forgotten=facts, fact=listed(language, [fact.text for fact in facts])))
        return OwnAnswer(say(language, "forgot", which=say(language, "them" if len(facts) > 1 else "it")))

    def _note(self, query_id: str, done: _Done) -> None:
        self._done[query_id] = done
        if len(self._done) > KEPT:
            del self._done[next(iter(self._done))]


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
