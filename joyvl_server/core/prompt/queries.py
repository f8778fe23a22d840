"""The questions that wait for an answer. A question is shown to the model once, and again where that turn failed."""

from __future__ import annotations

from dataclasses import dataclass, replace

MAX_OPEN = 32

ANSWERED, WITHDRAWN, EXPIRED, STANDING, CANCEL = "answered", "withdrawn", "expired", "standing", "cancel"
"""how a query ends: `QueryClosed.reason`; the last two were no questions (`choices.Kind`)"""


@dataclass(frozen=True, slots=True)
class Query:
    """`asked_at` in stream seconds; `shown` once it stands in a settled turn."""

    id: str
    text: str
    asked_at: float
    shown: bool = False


class OpenQueries:
    """The open queries of one session, oldest first."""

    def __init__(self) -> None:
        self._open: dict[str, Query] = {}

    def ask(self, query: Query) -> Query | None:
        """Open a query; returns the oldest one where there are too many: it is open no more."""
        self._open[query.id] = query
        return self.close(next(iter(self._open))) if len(self._open) > MAX_OPEN else None

    def close(self, query_id: str) -> Query | None:
        """The query, open no more; None where it was not open."""
        return self._open.pop(query_id, None)

    def expire(self, at: float, ttl_s: float) -> list[Query]:
        """Close the queries asked `ttl_s` or longer before `at`."""
        late = [query for query in self._open.values() if at - query.asked_at >= ttl_s]
        for query in late:
            del self._open[query.id]
        return late

    def waiting(self) -> Query | None:
        """The oldest query that the model has not seen."""
        return next((query for query in self._open.values() if not query.shown), None)

    def shown(self) -> list[Query]:
        return [query for query in self._open.values() if query.shown]

    def is_open(self, query_id: str | None) -> bool:
        return query_id in self._open

    def show(self, query_id: str | None) -> None:
        if query_id is not None and query_id in self._open:
            self._open[query_id] = replace(self._open[query_id], shown=True)

    def concerned(self, asked_now: str | None) -> Query | None:
        """The query that an answer belongs to: the one asked in its turn if still open, else the oldest one shown.

        `asked_now` is the id of the query in the turn that is being answered.
        """
        if asked_now is not None:
            return self._open.get(asked_now)
        return next(iter(self.shown()), None)
