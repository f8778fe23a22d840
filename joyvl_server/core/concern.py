"""May the engine speak, and whom does it concern? One score serves many watches."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.events import Score, Suppressed, Urgency
from joyvl_server.core.queries import Query
from joyvl_server.core.watches import WatchBook


@dataclass(frozen=True, slots=True)
class Concern:
    """`speak` or not, why not where the wish was there, and whom the remark concerns: watches or a query."""

    speak: bool
    suppressed: Suppressed | None = None
    watches: tuple[str, ...] = ()
    query: str | None = None
    urgency: Urgency = Urgency.REMARK


def concern(score: Score, book: WatchBook, threshold: float, query: Query | None) -> Concern:
    """Weigh one score.

    `threshold` is the session's; a watch may have its own. `query` is the open one an answer would belong to. What an
    engine sees by structure (`kind`) is never an answer. Without any watch everything is reported.
    """
    if score.kind is not None:
        query = None
    lowest = book.threshold(threshold)
    if query is not None:
        lowest = min(lowest, threshold)
    if score.garbage is not None or not score.value >= lowest:
        return Concern(speak=False)
    if query is not None:
        return Concern(speak=True, query=query.id, urgency=Urgency.ANSWER)
    if not book.active:
        return Concern(speak=True)
    here = book.matching(score.box)
    if not here:
        return Concern(speak=False, suppressed=Suppressed.ZONE)
    fired = tuple(w.id for w in here if score.value >= (threshold if w.threshold is None else w.threshold))
    return Concern(speak=bool(fired), watches=fired, urgency=Urgency.ALERT)
