"""One client of the reference's API: the session of ours behind it, and what it has been told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from joyvl_server.api.reference.chat_request import ChatRequest
from joyvl_server.api.reference.replies import Told
from joyvl_server.core.errors import EngineTimeout, EngineUnavailable, NotFound
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.sinks.messages import UtteranceShown
from joyvl_server.sessions.sinks.updates import SlowReader, Subscription, Update
from joyvl_server.sessions.ticking.requested import RequestedTicker, TickRequest
from joyvl_server.store.ticks.records import TickRecord

TICKS = ("response.listen", "response.done", "response.skip")
TOLD_S = 5.0
"""the longest wait for a decision that was taken already"""
MANNERS: dict[str, dict[str, Any]] = {
    "default": {"threshold": None, "delegation": None},
    "silent": {"threshold": 0.2, "delegation": False},
    "talkative": {"threshold": -0.2, "delegation": None},
}
"""What each persona changes: the threshold by so much, and whether questions are handed over."""


@dataclass(slots=True)
class SessionNews:
    """What the session told since the last answer that was a decision."""

    said: dict[int, str] = field(default_factory=dict)
    """by epoch"""
    task: dict[str, Any] | None = None
    """the delegated task that moved on last, as `payloads.task` shows it"""


class OpenClientSession:
    """`decide` is for one request at a time."""

    def __init__(self, session: Session, ticker: RequestedTicker, clock: Clock) -> None:
        self.session = session
        self._ticker = ticker
        self._clock = clock
        self._updates: Subscription = session.updates.since(None)
        self._news = SessionNews()
        self._query: tuple[str, str] | None = None
        """(text, id) of what was asked last"""
        self._repeats = False
        """the request before carried that text too"""
        self._frames = 0
        self._base = session.settings.threshold
        self._persona = "default"
        self._delegation: bool | None = None

    @property
    def over(self) -> bool:
        return self.session.updates.closed

    def be(self, persona: str) -> bool:
        """Take this manner on; False where there is none of that name."""
        if persona not in MANNERS:
            return False
        self._persona = persona
        self._apply()
        return True

    async def decide(self, request: ChatRequest) -> Told:
        """One tick with these pictures. Raises as `RequestedTicker.decide`, and `EngineUnavailable` where the
        engine failed.

        Cancelled, a step in flight goes on; what comes of it is told with the next answer.
        """
        began = self._clock.monotonic()
        if request.delegation is not None and request.delegation != self._delegation:
            self._delegation = request.delegation
            self._apply()
        self._ask(request.text)
        settings = self.session.settings
        wanted = TickRequest(request.pictures, request.times[0] if request.times else None, self._offsets(request))
        try:
            t = await self._ticker.decide(wanted, 2 * settings.engine_timeout_s + 10)
        except EngineUnavailable as error:
            reason = self.session.engine_state.reason
            raise EngineUnavailable(reason or str(error), code=error.code) from None
        self._frames += len(request.pictures)
        try:
            async with asyncio.timeout(TOLD_S):
                tick = await self._come_to(t)
        except TimeoutError:
            raise EngineTimeout("The session did not tell what it decided.") from None
        if tick.skipped == "failed":
            raise EngineUnavailable(tick.detail or "The engine failed.", code="engine_unavailable")
        return self._told(tick, (self._clock.monotonic() - began) * 1000)

    def _offsets(self, request: ChatRequest) -> tuple[float, ...]:
        """Of pictures that have a time each, where all are of one tick; else they are spread over it."""
        offsets = tuple(t - request.times[0] for t in request.times)
        several = len(offsets) > 1 and len(set(offsets)) == len(offsets)
        return offsets if several and offsets[-1] < self.session.settings.tick_s else ()

    def _ask(self, text: str) -> None:
        """A text that is another than before is a new question, which takes the place of the one before. Clients that
        send the same one with every picture ask it once."""
        repeats, self._repeats = self._repeats, bool(text)
        if not text or (repeats and self._query is not None and self._query[0] == text):
            return
        if self._query is not None:
            try:
                self.session.withdraw(self._query[1])
            except NotFound:
                pass  # it was answered long ago
        self._query = (text, self.session.ask(text).id)

    def _apply(self) -> None:
        manner = MANNERS[self._persona]
        by, delegation = manner["threshold"], manner["delegation"]
        if self._delegation is not None:
            delegation = self._delegation and delegation is not False
        threshold = None if by is None else round(min(0.95, max(0.05, self._base + by)), 3)
        self.session.change(self.session.spec.changed({"threshold": threshold, "delegation": delegation}))

    # ----------------------------------------------------------------------------------------------------- the answer

    async def _come_to(self, t: float) -> TickRecord:
        """The tick of stream time `t`, which is over; what was told until then is noted."""
        while True:
            try:
                update = await anext(self._updates)
            except SlowReader:
                self._updates = self.session.updates.since(None)
                continue
            except StopAsyncIteration:
                raise NotFound("The session has ended; the next request begins another.") from None
            tick = update.values.get("tick")
            if update.type in TICKS and isinstance(tick, TickRecord) and abs(tick.t - t) < 0.001:
                return tick
            self._note(update)

    def _note(self, update: Update) -> None:
        if update.type == "response.output_text.done":
            self._news.said[update.values["epoch"]] = update.values["text"]
        elif update.type == "task.updated":
            self._news.task = update.values["task"]

    def _told(self, tick: TickRecord, total_ms: float) -> Told:
        news, self._news = self._news, SessionNews()
        number, tokens, memory = self.session.machine.remembered()
        said = tuple(text for epoch, text in news.said.items() if epoch != tick.epoch)
        for epoch in news.said:  # it stands in the reply; a task that it tells of is delivered
            self.session.bus.publish(UtteranceShown(epoch))
        return Told(
            tick, said, news.task, self.session.id, self.session.record.engine, self._frames, total_ms, number, tokens,
            memory,
        )  # fmt: skip
