"""Whom a score concerns: watches, a query, or nobody in particular, and whether it is high enough for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from joyvl_server.core.decision.choices import Candidate
from joyvl_server.core.decisions import Score, Suppressed, Urgency
from joyvl_server.core.prompt.notices import Query
from joyvl_server.core.prompt.prefix import watch_line
from joyvl_server.core.watches.watches import WatchSet


@dataclass(frozen=True, slots=True)
class Attribution:
    """`speak` or not, why not where the wish was there, and whom the remark concerns: watches or a query.

    `threshold` is what the score was compared with: the lowest of what could have been spoken about, or that of what
    the remark is about.
    """

    speak: bool
    threshold: float
    suppressed: Suppressed | None = None
    watches: tuple[str, ...] = ()
    query: str | None = None
    urgency: Urgency = Urgency.REMARK


def attribute(score: Score, watch_set: WatchSet, threshold: float, query: Query | None) -> Attribution:
    """Weigh one score.

    `threshold` is the session's; a watch may have its own. `query` is the open one an answer would belong to. What an
    engine sees by structure (`kind`) is never an answer. Without any watch everything is reported.
    """
    if score.kind is not None:
        query = None
    lowest = watch_set.threshold(threshold)
    if query is not None:
        lowest = min(lowest, threshold)
    if score.garbage is not None or not score.value >= lowest:
        return Attribution(False, lowest)
    if query is not None:
        return Attribution(True, threshold, query=query.id, urgency=Urgency.ANSWER)
    if not watch_set.active:
        return Attribution(True, threshold)
    if not watch_set.looking_at(score.box):
        return Attribution(False, lowest, Suppressed.ZONE)
    wanted = watch_set.matching(score.box, score.kind)
    if not wanted:
        return Attribution(False, lowest, Suppressed.KIND)
    fired = tuple(w.id for w in wanted if score.value >= (threshold if w.threshold is None else w.threshold))
    level = watch_set.threshold_of(fired or [w.id for w in wanted], threshold)
    return Attribution(bool(fired), level, watches=fired, urgency=Urgency.ALERT)


def candidates(watch_set: WatchSet, threshold: float, questions: Mapping[str, str]) -> tuple[Candidate, ...]:
    """What a remark may be about: questions first, for somebody waits; then the active watches, the eager ones first.

    `questions` are texts by id. Where there are more than a choice can hold, the least likely to fire are left out.
    """
    asked = [Candidate(text, query=query_id) for query_id, text in questions.items()]
    eager_first = sorted(watch_set.active, key=lambda watch: watch_set.threshold_of([watch.id], threshold))
    return (*asked, *(Candidate(watch_line(watch, watch_set.zones), watch=watch.id) for watch in eager_first))


def attributed(score: Score, candidate: Candidate, watch_set: WatchSet, threshold: float) -> Attribution:
    """Weigh a score that is known to be about `candidate`: its own threshold counts, the session's for all but watches.

    Nobody is concerned by a watch that is no longer active.
    """
    watches = () if candidate.watch is None else (candidate.watch,)
    level = watch_set.threshold_of(watches, threshold)
    if candidate.watch is not None and candidate.watch not in {watch.id for watch in watch_set.active}:
        return Attribution(False, level)
    speak = score.value >= level
    urgency = Urgency.ALERT if watches else Urgency.ANSWER if candidate.query else Urgency.REMARK
    return Attribution(speak, level, None if speak else Suppressed.BELOW, watches, candidate.query, urgency)
