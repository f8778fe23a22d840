"""The past of one session: what it is asked about it, what it may recall, what people want remembered."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from joyvl_server.core.inputs import PastKnown
from joyvl_server.core.past.questions import language_of
from joyvl_server.sessions.memory.places import SHARED, collection_of
from joyvl_server.sessions.memory.recaller import Recaller
from joyvl_server.sessions.memory.requests import PastRequests
from joyvl_server.sessions.memory.wishes import MemoryWishes
from joyvl_server.sessions.sinks.base import Machine
from joyvl_server.store.memories.records import MemoryRecord
from joyvl_server.store.sessions import SessionRecord

if TYPE_CHECKING:
    from joyvl_server.sessions.deps import SessionDeps


class SessionPast:
    """`collection`: where its memories lie."""

    def __init__(self, record: SessionRecord, memory_of: str | None, language: str, deps: SessionDeps) -> None:
        self.collection = collection_of(record, memory_of)
        self.calendar = deps.past.calendar
        self.requests = PastRequests(deps.past.calendar)
        self.recaller = Recaller(record.id, self.collection, deps.memory, deps.cameras, deps.past)
        self.wishes = MemoryWishes(record, self.collection, deps.memory, self.requests, deps.past)
        self._language = language
        self._spoken: str | None = None
        self._told: tuple[str, ...] = ()

    async def tell_known(self, machine: Machine) -> None:
        """The next chunk begins with what is known of before. Waits a second at most; cancelling it changes nothing."""
        lines = await self.recaller.known()
        if lines != self._told:
            self._told = lines
            machine.take(PastKnown(machine.now, lines))

    def knows(self, memory: MemoryRecord) -> bool:
        """Is it a fact of this session's place, or of all?"""
        return memory.kind == "fact" and memory.collection in (self.collection, SHARED)

    def forgotten(self, memories: Collection[str]) -> bool:
        """These are gone: what is known is told again. May a prompt quote one of them?"""
        self._told = ()
        self.wishes.forgotten(memories)
        return self.recaller.forgotten(memories)

    def language(self, text: str) -> str:
        """en, de or zh: of what somebody said, where that tells it ("nein" does not), of what was said before, else of
        the session."""
        if (spoken := language_of(text)) is not None:
            self._spoken = spoken
        own = self._language.lower()[:2]
        return self._spoken or (own if own in ("de", "zh") else "en")
