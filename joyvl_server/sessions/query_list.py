"""The questions of one session: open ones and the last closed ones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.kit.ids import new_id

MAX_OPEN = 16
KEPT = 100
UNSAID = "…"
"""the words of a question that are forgotten while it still waits for its answer"""


@dataclass(frozen=True, slots=True)
class QueryView:
    """A request of a user. `status`: open, answered, withdrawn, expired, standing or cancel.

    `answer` is what was said to it; `watch_id` the watch that was made of it, or that it ended. `rests_on`: ids of the
    events and memories that the answer rests on. `note`: a sentence, where it was asked without what it needs.
    """

    id: str
    text: str
    asked_wall: float
    status: str = "open"
    answer: str | None = None
    watch_id: str | None = None
    rests_on: tuple[str, ...] = ()
    note: str | None = None


class QueryList:
    def __init__(self) -> None:
        self._all: dict[str, QueryView] = {}
        self._withdrawn: dict[str, None] = {}
        self._closed = asyncio.Event()
        """set, and another one put in its place, whenever a question is closed"""

    def all(self) -> list[QueryView]:
        return list(self._all.values())

    def get(self, query_id: str) -> QueryView:
        try:
            return self._all[query_id]
        except KeyError:
            raise NotFound(f"There is no query {query_id} in this session.") from None

    def check_open(self, count: int = 1) -> None:
        """Raises `Conflict` (too_many) where this many more cannot be asked."""
        if sum(q.status == "open" for q in self._all.values()) + count > MAX_OPEN:
            raise Conflict(f"{MAX_OPEN} questions are still open; withdraw one or wait.", code="too_many")

    def ask(self, text: str, wall: float) -> QueryView:
        self.check_open()
        view = QueryView(new_id("qry"), text, wall)
        self._all[view.id] = view
        while len(self._all) > KEPT:
            del self._all[next(iter(self._all))]
        return view

    def concerns(self, query_id: str, watch_id: str) -> None:
        """This request became that watch, or ended it."""
        if query_id in self._all:
            self._all[query_id] = replace(self._all[query_id], watch_id=watch_id)

    def rests_on(self, query_id: str, ids: tuple[str, ...], note: str | None = None) -> None:
        """The answer to it rests on these events and memories."""
        if query_id in self._all:
            self._all[query_id] = replace(self._all[query_id], rests_on=ids, note=note)

    def reword(self, query_id: str, text: str) -> None:
        """It is shown with this text."""
        if query_id in self._all:
            self._all[query_id] = replace(self._all[query_id], text=text)

    def withdraw(self, query_id: str) -> None:
        """Nobody wants an answer any more. Raises `NotFound`."""
        self.get(query_id)
        self._withdrawn[query_id] = None
        while len(self._withdrawn) > KEPT:
            del self._withdrawn[next(iter(self._withdrawn))]

    def withdrawn(self, query_id: str) -> bool:
        return query_id in self._withdrawn

    def close(self, query_id: str, reason: str, answer: str | None) -> QueryView | None:
        view = self._all.get(query_id)
        if view is None:
            return None
        self._all[query_id] = view = replace(view, status=reason, answer=answer)
        self._closed.set()
        self._closed = asyncio.Event()
        return view

    def forget(self, since: float, until: float) -> None:
        """Closed questions that were asked between these wall times are gone."""
        self._all = {
            id: view for id, view in self._all.items() if view.status == "open" or not since <= view.asked_wall < until
        }

    async def answered(self, query_id: str) -> None:
        """Wait until it is open no more, or not there. Cancelling it only ends the wait."""
        while query_id in self._all and self._all[query_id].status == "open":
            await self._closed.wait()
