import math
from dataclasses import replace
from typing import Any

import pytest

from joyvl_server.core.decision.attribution import Attribution, attribute, attributed, candidates
from joyvl_server.core.decision.choices import NONE, Candidate
from joyvl_server.core.decisions import Score, Suppressed, Urgency
from joyvl_server.core.prompt.notices import Query
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.core.watches.watches import Watch, WatchSet, watch_set
from joyvl_server.core.watches.zones import Box, Zone

DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))
AT_DOOR, ELSEWHERE = Box(0.1, 0.4, 0.2, 0.6), Box(0.8, 0.4, 0.9, 0.6)
GUEST = Watch("guest", "guest", "guest", zones=("door",))
EAGER = Watch("eager", "eager", "eager", threshold=0.2)
PICKY = Watch("picky", "picky", "picky", threshold=0.9)
QUERY = Query("q", "Why?", 0.0, shown=True)


def about(
    speak: bool,
    suppressed: Suppressed | None = None,
    watches: tuple[str, ...] = (),
    query: str | None = None,
    urgency: Urgency = Urgency.REMARK,
) -> Attribution:
    """An attribution, whatever the threshold."""
    return Attribution(speak, 0.0, suppressed, watches, query, urgency)


def weighed(*args: Any) -> Attribution:
    return replace(attribute(*args), threshold=0.0)


def known(*args: Any) -> Attribution:
    return replace(attributed(*args), threshold=0.0)


SILENT = about(speak=False)


@pytest.mark.parametrize(("value", "speak"), [(0.49, False), (0.5, True), (1.0, True), (math.nan, False)])
def test_without_watches_the_threshold_decides_exactly(value, speak) -> None:
    assert weighed(Score(value), WatchSet(), 0.5, None) == about(speak=speak)


def test_garbage_is_silence_whatever_the_score() -> None:
    assert weighed(Score(1.0, garbage="Hello"), WatchSet(), 0.0, QUERY) == SILENT


def test_a_sighting_where_no_watch_looks_is_suppressed() -> None:
    watches = watch_set([GUEST], [DOOR])
    assert weighed(Score(1.0, "enter", ELSEWHERE), watches, 0.5, None) == about(False, Suppressed.ZONE)
    assert weighed(Score(1.0, "enter", AT_DOOR), watches, 0.5, None) == about(
        True, None, ("guest",), None, Urgency.ALERT
    )
    assert weighed(Score(1.0, "dark"), watches, 0.5, None).watches == ("guest",)


def test_a_kind_that_no_watch_there_wants_is_suppressed() -> None:
    comes = Watch("comes", "comes", "comes", kinds=(WatchKind.ENTER,))
    at_door = Watch("door", "door", "door", zones=("door",), kinds=(WatchKind.LEAVE,))
    watches = watch_set([comes, at_door], [DOOR])
    assert weighed(Score(1.0, "leave", ELSEWHERE), watches, 0.5, None) == about(False, Suppressed.KIND)
    assert weighed(Score(1.0, "leave", AT_DOOR), watches, 0.5, None).watches == ("door",)
    assert weighed(Score(1.0, "enter", AT_DOOR), watches, 0.5, None).watches == ("comes",)
    assert weighed(Score(1.0, "dark"), watches, 0.5, None) == about(False, Suppressed.KIND)
    assert weighed(Score(0.4, "dark"), watches, 0.5, None) == SILENT


def test_what_comes_without_a_kind_concerns_every_watch() -> None:
    watches = watch_set([Watch("comes", "comes", "comes", kinds=(WatchKind.ENTER,))])
    assert weighed(Score(1.0), watches, 0.5, None).watches == ("comes",)


def test_each_watch_has_its_own_threshold() -> None:
    watches = watch_set([GUEST, EAGER, PICKY], [DOOR])
    assert weighed(Score(0.3), watches, 0.5, None).watches == ("eager",)
    assert weighed(Score(0.6), watches, 0.5, None).watches == ("guest", "eager")
    assert weighed(Score(0.95), watches, 0.5, None).watches == ("guest", "eager", "picky")
    assert weighed(Score(0.1), watches, 0.5, None) == SILENT
    only_door = watch_set([Watch("a", "a", "a", zones=("door",), threshold=0.2), PICKY], [DOOR])
    dropped = weighed(Score(0.3, "enter", ELSEWHERE), only_door, 0.5, None)
    assert not dropped.speak
    assert dropped.suppressed is None


def test_an_open_query_is_answered_at_the_threshold_of_the_session() -> None:
    expected = about(True, None, (), "q", Urgency.ANSWER)
    assert weighed(Score(0.5), watch_set([PICKY]), 0.5, QUERY) == expected
    assert weighed(Score(0.3), watch_set([EAGER]), 0.5, QUERY) == expected
    assert weighed(Score(0.3), watch_set([PICKY]), 0.5, QUERY) == SILENT


def test_what_an_engine_sees_by_structure_is_never_an_answer() -> None:
    assert weighed(Score(1.0, "enter"), WatchSet(), 0.5, QUERY) == about(speak=True)


def test_candidates_are_questions_then_active_watches_the_eager_ones_first() -> None:
    paused = Watch("paused", "paused", "paused", paused=True)
    assert candidates(watch_set([PICKY, GUEST, paused, EAGER], [DOOR]), 0.5, {"q": "Why?"}) == (
        Candidate("Why?", query="q"),
        Candidate("eager", watch="eager"),
        Candidate("guest (only here: door, left)", watch="guest"),
        Candidate("picky", watch="picky"),
    )
    assert candidates(watch_set([GUEST, EAGER]), 0.1, {})[0].watch == "guest"


@pytest.mark.parametrize(
    ("candidate", "at", "urgency"),
    [
        (Candidate("eager", watch="eager"), 0.2, Urgency.ALERT),
        (Candidate("guest", watch="guest"), 0.5, Urgency.ALERT),
        (Candidate("picky", watch="picky"), 0.9, Urgency.ALERT),
        (Candidate("Why?", query="q"), 0.5, Urgency.ANSWER),
        (NONE, 0.5, Urgency.REMARK),
    ],
)
def test_what_a_remark_is_about_has_its_own_threshold(candidate, at, urgency) -> None:
    watches = () if candidate.watch is None else (candidate.watch,)
    for value, speak in ((at, True), (math.nextafter(at, 0.0), False)):
        suppressed = None if speak else Suppressed.BELOW
        assert known(Score(value), candidate, watch_set([GUEST, EAGER, PICKY]), 0.5) == about(
            speak, suppressed, watches, candidate.query, urgency
        )


def test_a_watch_that_is_paused_or_gone_concerns_nobody() -> None:
    for watches in ((), (Watch("eager", "eager", "eager", paused=True),)):
        assert known(Score(1.0), Candidate("eager", watch="eager"), watch_set(watches), 0.0) == SILENT


def test_the_threshold_that_counted_is_told() -> None:
    watches = watch_set([GUEST, EAGER, PICKY], [DOOR])
    assert attribute(Score(0.1), watches, 0.5, None).threshold == 0.2
    assert attribute(Score(0.1), watch_set([PICKY]), 0.5, QUERY).threshold == 0.5
    assert attribute(Score(0.6), watch_set([PICKY]), 0.5, QUERY).threshold == 0.5
    assert attribute(Score(0.95), watch_set([PICKY]), 0.5, None).threshold == 0.9
    assert attribute(Score(0.6), WatchSet(), 0.5, None).threshold == 0.5
    assert attributed(Score(0.6), Candidate(watch="picky"), watches, 0.5).threshold == 0.9
    assert attributed(Score(0.6), NONE, watches, 0.5).threshold == 0.5
