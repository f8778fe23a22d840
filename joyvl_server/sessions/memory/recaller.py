"""Finds what is remembered for a question, for a task, and for a session that begins; never longer than it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from joyvl_server.core.errors import JoyvlError, why_of
from joyvl_server.core.past.questions import PastQuestion
from joyvl_server.memory.base import Recalled, RecallRequest
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.sessions.memory.places import SHARED, may_look_in
from joyvl_server.sessions.memory.requests import ANYBODY, Asker
from joyvl_server.sessions.memory.services import PastServices
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.memories.records import MemoryFilter, MemoryRecord

T = TypeVar("T")

log = structlog.get_logger(__name__)

WAIT_S = 0.3
"""for memories, while somebody waits for an answer"""
MEANING_S = 0.2
"""of it, for the embedder and the index: words and times find memories without them"""
BEGIN_S = 1.0
"""for what is known, before a session begins"""
KNOWN_FACTS = 40
KNOWN_SUMMARIES = 24
MOST_TOLD = 1000
"""memories of which is known that a prompt may quote them"""
_SAID = {
    "summary": "summary", "block": "summary", "said": "said by you", "heard": "said by somebody",
    "watch_fired": "alert", "task": "answer of an agent", "fact": "the user wants remembered",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecalledLines:
    """Lines for a prompt, and ids of what they rest on. `missed`: why there are none; a key of `phrases`."""

    lines: tuple[str, ...] = ()
    rests_on: tuple[str, ...] = ()
    missed: str | None = None


class Recaller:
    """Of one session, whose memories lie in `collection`."""

    def __init__(
        self, session_id: str, collection: str, memory: LongTermMemory, cameras: Cameras, services: PastServices
    ) -> None:
        self.collection = collection
        self._session_id = session_id
        self._told: dict[str, str] = {}
        """ids of memories that a prompt of the session may quote, and their collections; the newest last"""
        self._forgets = 0
        self._memory = memory
        self._cameras = cameras
        self._services = services

    async def for_question(
        self, text: str, question: PastQuestion, now: float, missed: str = "", *, asker: Asker = ANYBODY
    ) -> RecalledLines:
        """Lines with times, the best first; `missed`: what of the time was not watched, a sentence.

        Within `WAIT_S`, else none. Cancelling it changes nothing."""
        span = question.time.span
        try:
            async with asyncio.timeout(WAIT_S):
                between = None if span is None else (span.start, span.end)
                found = await self._steady(lambda: self._recall(text, between, asker))
        except TimeoutError:
            return RecalledLines(self._head(question, now, missed, found=False), missed="late")
        except JoyvlError as error:
            log.warning("memories cannot be read", error=str(error))
            return RecalledLines(self._head(question, now, missed, found=False), missed="without")
        kept = [recalled.memory for recalled in found if _matches(recalled.memory, question)]
        self._tell(kept)
        lines = [self._line(memory) for memory in kept]
        rests_on = tuple(memory.event_id or memory.id for memory in kept)
        return RecalledLines((*self._head(question, now, missed, found=bool(kept)), *lines), rests_on)

    async def facts(self, asker: Asker = ANYBODY) -> list[MemoryRecord]:
        """What somebody wanted remembered, wherever this session may look. Raises `StoreError`, `TimeoutError` where it
        takes too long. Cancelling it changes nothing."""
        async with asyncio.timeout(BEGIN_S):
            where = await self._places(asker)
            return await self._steady(
                lambda: self._memory.memories.list(MemoryFilter(collections=where, kinds=("fact",)), limit=MOST_TOLD)
            )

    async def for_task(self, question: str) -> tuple[str, ...]:
        """What may help an agent; within `WAIT_S`, else nothing. Cancelling it changes nothing."""
        try:
            async with asyncio.timeout(WAIT_S):
                return tuple(self._line(recalled.memory) for recalled in await self._recall(question, None))
        except TimeoutError:
            return ()
        except JoyvlError as error:
            log.warning("memories cannot be read", error=str(error))
            return ()

    async def known(self) -> tuple[str, ...]:
        """What a session begins with: the newest summaries of others before it, then the facts; within `BEGIN_S`, else
        nothing. Cancelling it changes nothing.
        """
        try:
            async with asyncio.timeout(BEGIN_S):
                found = await self._steady(self._known)
        except (TimeoutError, JoyvlError) as error:
            log.warning("a session begins without what is known", collection=self.collection, error=why_of(error))
            return ()
        self._tell(found)
        return tuple(self._line(memory) for memory in found)

    def forgotten(self, memories: Collection[str]) -> bool:
        """These are gone. May a prompt of the session quote one of them?"""
        self._forgets += 1
        quoted = [memory_id for memory_id in memories if memory_id in self._told]
        for memory_id in quoted:
            del self._told[memory_id]
        return bool(quoted)

    @property
    def told_of_others(self) -> list[str]:
        """Ids of memories of other cameras that a prompt of the session may quote."""
        return [memory_id for memory_id, place in self._told.items() if place not in (self.collection, SHARED)]

    async def _known(self) -> list[MemoryRecord]:
        records, here = self._memory.memories, (self.collection,)
        earlier = MemoryFilter(collections=here, kinds=("summary", "block"), but_session_id=self._session_id)
        summaries = await records.list(earlier, limit=KNOWN_SUMMARIES)
        facts = await records.list(MemoryFilter(collections=(*here, SHARED), kinds=("fact",)), limit=KNOWN_FACTS)
        return [memory for some in (summaries, facts) for memory in sorted(some, key=lambda memory: memory.wall)]

    async def _steady(self, look: Callable[[], Awaitable[T]]) -> T:
        """What it finds, looked for again where something was forgotten meanwhile."""
        while True:
            forgets = self._forgets
            found = await look()
            if forgets == self._forgets:
                return found

    def _tell(self, memories: Iterable[MemoryRecord]) -> None:
        for memory in memories:
            self._told.pop(memory.id, None)
            self._told[memory.id] = memory.collection
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]

    async def _places(self, asker: Asker) -> tuple[str, ...]:
        across = self._services.settings.across_cameras and asker.across
        return await may_look_in(self.collection, self._cameras, across=across)

    async def _recall(self, text: str, span: tuple[float, float] | None, asker: Asker = ANYBODY) -> list[Recalled]:
        settings = self._services.settings
        where = await self._places(asker)
        return await self._memory.recall(
            RecallRequest(text, where, span, settings.recall_memories, settings.recall_tokens, meaning_s=MEANING_S)
        )

    def _head(self, question: PastQuestion, now: float, missed: str, *, found: bool) -> tuple[str, ...]:
        """What the engine has to know besides the memories."""
        lines = [f"It is now {self._services.calendar.local(now):%A %Y-%m-%d %H:%M}."]
        if not found:
            lines.append("Nothing is remembered that fits the question and its time.")
        if missed:
            lines.append(f"{missed} So nothing of that is known: say so, and never that nothing happened.")
        unknown = (f'Nobody knows when "{words}" was: say so if it matters.' for words in question.time.not_understood)
        return (*lines, *unknown)

    def _line(self, memory: MemoryRecord) -> str:
        local = self._services.calendar.local
        when = f"{local(memory.wall):%Y-%m-%d %H:%M}"
        if memory.until_wall - memory.wall >= 60:
            until = local(memory.until_wall)
            same_day = until.date() == local(memory.wall).date()
            when += f" to {until:%H:%M}" if same_day else f" to {until:%Y-%m-%d %H:%M}"
        where = f", {memory.source}" if memory.collection not in (self.collection, SHARED) and memory.source else ""
        quoted = memory.text.replace('"', "'")
        return f'{when}{where} ({_SAID.get(memory.kind, memory.kind)}): "{quoted}"'


def _matches(memory: MemoryRecord, question: PastQuestion) -> bool:
    """Is it of one of the stretches that the question means? What was recalled is of all between the first and last."""
    spans = question.time.spans
    return not spans or any(memory.wall < span.end and memory.until_wall >= span.start for span in spans)
