"""Answers what has to do with the past: looks it up, then asks the engine with it, or says itself what was noted."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from joyvl_server.core.errors import JoyvlError, NotFound, why_of
from joyvl_server.core.inputs import QueryAsked, QueryWithdrawn
from joyvl_server.core.past.questions import AnsweredBy, PastQuestion
from joyvl_server.core.past.wishes import Forget, Remember, Undo
from joyvl_server.sessions.memory import timeline_answer
from joyvl_server.sessions.memory.known.told import facts_that_answer
from joyvl_server.sessions.memory.known.unwatched import unwatched
from joyvl_server.sessions.memory.known.words import not_watched, told
from joyvl_server.sessions.memory.phrases import say
from joyvl_server.sessions.memory.recaller import WAIT_S
from joyvl_server.sessions.memory.requests import Asker, Confirm, OfFacts
from joyvl_server.sessions.memory.timeline_answer import OwnAnswer, Place
from joyvl_server.sessions.query_list import UNSAID, QueryView
from joyvl_server.sessions.sinks.base import QueuedSink, SinkContext
from joyvl_server.sessions.sinks.messages import Message, QueryOpened, RequestWithdrawn, SessionStarted, SessionUpdated
from joyvl_server.store.memories.records import MemoryRecord

log = structlog.get_logger(__name__)


class RecallSink(QueuedSink):
    """One question after the other, each within fractions of a second; no tick waits for one."""

    wants = (SessionStarted, SessionUpdated, QueryOpened, RequestWithdrawn)
    capacity = 32

    def __init__(self, context: SinkContext) -> None:
        self._past = context.past
        self._machine = context.machine
        self._queries = context.queries
        self._clock = context.deps.clock
        self._events = context.deps.events
        self._record = context.record
        self._cameras = context.deps.cameras
        self._watches = context.watches

    async def handle(self, message: Message) -> None:
        """Cancelled, the question goes to the engine as it is."""
        if isinstance(message, QueryOpened) and not isinstance(message.request, (Remember, Forget, Undo, Confirm)):
            self._past.wishes.passed()
        match message:
            case SessionStarted() | SessionUpdated():
                await self._past.tell_known(self._machine)
            case QueryOpened(query, request) if request is not None:
                asked = QueryAsked(self._machine.now, query.id, query.text, query.asked_wall)
                try:
                    asked = await self._ready(query, message)
                finally:
                    self._ask(asked)
            case RequestWithdrawn(query_id) if self._past.wishes.wished(query_id):
                await self._past.wishes.undo(self._clock.wall(), "en")
                await self._past.tell_known(self._machine)

    def dropped(self, message: Message) -> None:
        if isinstance(message, QueryOpened) and message.request is not None:
            query = message.query
            self._ask(QueryAsked(self._machine.now, query.id, query.text, query.asked_wall))

    def _ask(self, asked: QueryAsked) -> None:
        """It may have been withdrawn meanwhile: the machine did not know it then."""
        self._machine.take(asked)
        if self._queries.withdrawn(asked.id):
            self._machine.take(QueryWithdrawn(self._machine.now, asked.id))

    async def _ready(self, query: QueryView, opened: QueryOpened) -> QueryAsked:
        """The question, with what is remembered or with the answer."""
        request, text = opened.request, query.text
        reads_words = self._machine.capabilities.follows_instructions
        if isinstance(request, PastQuestion):
            if reads_words:
                return await self._with_memories(query, request, opened.asker)
            if request.answered_by is AnsweredBy.NOTES:
                answer = await self._noted(query, request)
            else:
                answer = await self._told(query, request, opened.asker)
        elif isinstance(request, OfFacts):
            answer = await self._told(query, None, opened.asker)
            if reads_words or not answer.rests_on:
                return QueryAsked(self._machine.now, query.id, query.text, query.asked_wall)
        else:
            if isinstance(request, Forget) and request.about:
                self._queries.reword(query.id, text := UNSAID)
            answer = await self._wish(query, request, opened.asker)
            if answer.rests_on:  # asked back
                self._queries.reword(query.id, text := query.text)
        self._queries.rests_on(query.id, answer.rests_on)
        return QueryAsked(self._machine.now, query.id, text, query.asked_wall, reply=answer.text)

    async def _with_memories(self, query: QueryView, question: PastQuestion, asker: Asker) -> QueryAsked:
        missed = await self._not_watched(query, question)
        recaller = self._past.recaller
        found = await recaller.for_question(query.text, question, query.asked_wall, missed, asker=asker)
        note = None if found.missed is None else say(self._past.language(query.text), found.missed)
        self._queries.rests_on(query.id, found.rests_on, note)
        return QueryAsked(self._machine.now, query.id, query.text, query.asked_wall, found.lines)

    async def _place(self) -> Place:
        record = self._record
        created = record.created_wall
        if record.camera_id is not None:
            with suppress(NotFound):
                created = (await self._cameras.get(record.camera_id)).created_wall
        active = [(watch.fires_at, watch.created_wall) for watch in self._watches.all() if not watch.paused]
        unwanted = timeline_answer.unwanted_kinds(kinds for kinds, _ in active)
        return Place(record.camera_id, record.id, created, unwanted, timeline_answer.late_kinds(active))

    async def _not_watched(self, query: QueryView, question: PastQuestion) -> str:
        """For the engine: what of the asked time it cannot know of."""
        spans, now = question.time.spans, query.asked_wall
        try:
            async with asyncio.timeout(WAIT_S):
                place = await self._place()
                away = await unwatched(self._events, place.filter, place.created_wall, spans, now)
        except (JoyvlError, TimeoutError) as error:
            log.warning("what was not watched cannot be looked up", error=why_of(error))
            return "It is not known now whether anybody watched at that time."
        local = self._past.calendar.local
        return not_watched("en", away, lambda wall: f"{local(wall):%Y-%m-%d %H:%M:%S}")

    async def _noted(self, query: QueryView, question: PastQuestion) -> OwnAnswer:
        language = self._past.language(query.text)
        try:
            return await timeline_answer.answer(
                self._events, self._past.calendar, await self._place(), question, query.asked_wall, language
            )
        except JoyvlError as error:
            log.warning("the timeline cannot be read for an answer", error=str(error))
            return OwnAnswer(say(language, "broken"))

    async def _told(self, query: QueryView, question: PastQuestion | None, asker: Asker) -> OwnAnswer:
        language = self._past.language(query.text)
        facts: list[MemoryRecord] = []
        try:
            if question is None or question.answered_by is AnsweredBy.FACTS:
                facts = facts_that_answer(query.text, question, await self._past.recaller.facts(asker))
        except (JoyvlError, TimeoutError) as error:
            log.warning("facts cannot be read for an answer", error=why_of(error))
            return OwnAnswer(say(language, "broken"))
        return OwnAnswer(told(language, [fact.text for fact in facts]), tuple(fact.id for fact in facts))

    async def _wish(self, query: QueryView, wish: Remember | Forget | Undo | Confirm | None, asker: Asker) -> OwnAnswer:
        wishes, language = self._past.wishes, self._past.language(query.text)
        match wish:
            case Remember():
                answer = await wishes.remember(query.id, wish, query.asked_wall, language)
            case Forget():
                answer = await wishes.forget(query.id, wish, self._clock.wall(), language, asker)
            case Confirm():
                answer = await wishes.confirm(query.id, wish, self._clock.wall(), language, asker)
            case _:
                told = isinstance(wish, Undo) and wish.told
                answer = await wishes.undo(self._clock.wall(), language, told=told)
        await self._past.tell_known(self._machine)
        return answer
