"""The machine wants to speak: what about, and is the threshold of that reached?"""

import math

import pytest

from fakes.observing import AT_DOOR, CAME, GUEST, POST, Shell, kinds, only
from joyvl_server.core.decisions import Decision, Suppressed, Urgency
from joyvl_server.core.effects import AskChoice, Decided, QueryClosed, Rollback, Say, Settle, UtteranceDone
from joyvl_server.core.inputs import QueryWithdrawn
from joyvl_server.core.observer import StepState
from joyvl_server.core.watches.watches import Watch

FALL = Watch("fall", "fall", "Tell me when someone falls", threshold=0.8)
ONCE = (1.0, 0.0, 0.0)


def watching(*watches: Watch, **config) -> Shell:
    shell = Shell(**{"chooses": True, "cooldown_s": 0.0, **config})
    shell.watch(0.0, *watches)
    shell.silent(0.0)
    return shell


def asked(shell: Shell, t: float, text: str = "Who is in the garden?", query_id: str = "q") -> None:
    """A question that the model has read and not answered."""
    shell.ask(t, query_id, text)
    shell.tick(t)
    shell.choose(t, *ONCE)
    shell.score(t, 0.0)


@pytest.mark.parametrize("watch", [FALL, POST])
def test_a_remark_is_about_the_watch_that_the_engine_says(watch) -> None:
    shell = watching(FALL, POST)
    shell.tick(1.0)
    choice = shell.score(1.1, 0.9)
    assert shell.observer.state is StepState.ATTRIBUTING
    assert only(choice, AskChoice).options == ("A", "B", "C")
    assert shell.choose_text(1.2, choice, watch.text) == [Say(2)]
    effects = shell.text(1.3, CAME) + shell.done(1.4)
    assert only(effects, Decided).watches == (watch.id,)
    assert only(effects, UtteranceDone).urgency is Urgency.ALERT


def test_below_the_threshold_of_its_watch_it_is_dropped_and_recorded() -> None:
    shell = watching(FALL, POST)
    shell.tick(1.0)
    effects = shell.choose_text(1.2, shell.score(1.1, math.nextafter(0.8, 0.0)), FALL.text)
    assert kinds(effects) == ["Settle", "Decided"]
    decided = only(effects, Decided)
    assert (decided.decision, decided.suppressed, decided.watches) == (Decision.SILENT, Suppressed.BELOW, ("fall",))
    assert only(effects, Settle).answer == "</silence>"
    shell.tick(2.0)
    assert shell.choose_text(2.2, shell.score(2.1, 0.8), FALL.text) == [Say(3)]


def test_below_the_lowest_threshold_nothing_is_asked() -> None:
    shell = watching(FALL, POST)
    shell.tick(1.0)
    assert kinds(shell.score(1.1, 0.49)) == ["Settle", "Decided"]


def test_one_watch_leaves_no_doubt() -> None:
    shell = watching(FALL, Watch("old", "old", "old", paused=True))
    shell.tick(1.0)
    assert shell.score(1.1, 0.8) == [Say(2)]
    assert only(shell.text(1.2, CAME) + shell.done(1.3), Decided).watches == ("fall",)


def test_one_question_leaves_no_doubt() -> None:
    shell = watching()
    asked(shell, 1.0)
    shell.tick(2.0)
    assert shell.score(2.1) == [Say(3)]
    assert only(shell.text(2.2, "The gardener is.") + shell.done(2.3), QueryClosed).id == "q"


def test_a_remark_about_none_is_nobodys_alert() -> None:
    shell = watching(FALL, Watch("eager", "eager", "Tell me of cats", threshold=0.1))
    for score, suppressed in ((math.nextafter(0.5, 0.0), Suppressed.BELOW), (0.5, None)):
        shell.tick(1.0)
        effects = shell.choose_text(1.2, shell.score(1.1, score), "none of these")
        if suppressed is None:
            effects = shell.text(1.3, CAME) + shell.done(1.4)
            assert only(effects, UtteranceDone).urgency is Urgency.REMARK
        assert (only(effects, Decided).suppressed, only(effects, Decided).watches) == (suppressed, ())


def test_an_answer_is_told_from_an_alert() -> None:
    shell = watching(POST, cooldown_s=100.0)
    asked(shell, 1.0)
    shell.tick(2.0)
    shell.choose_text(2.2, shell.score(2.1, 0.9), POST.text)
    effects = shell.text(2.3, "The postman comes.") + shell.done(2.4)
    assert (only(effects, Decided).watches, only(effects, Decided).query) == (("post",), None)
    assert "QueryClosed" not in kinds(effects)
    shell.tick(3.0)
    assert shell.choose_text(3.2, shell.score(3.1, 0.5), "Who is in the garden?") == [Say(4)]  # cooldown or not
    effects = shell.text(3.3, "The gardener is.") + shell.done(3.4)
    assert (only(effects, Decided).watches, only(effects, Decided).query) == ((), "q")
    assert only(effects, QueryClosed) == QueryClosed("q", "answered", 2, "The gardener is.")
    assert only(effects, UtteranceDone).urgency is Urgency.ANSWER


def test_an_alert_while_somebody_waits_for_an_answer_has_its_cooldown() -> None:
    shell = watching(POST, cooldown_s=100.0)
    shell.says(1.0, CAME)
    asked(shell, 2.0)
    shell.tick(3.0)
    effects = shell.choose_text(3.2, shell.score(3.1), POST.text)
    assert (only(effects, Decided).suppressed, only(effects, Decided).watches) == (Suppressed.COOLDOWN, ("post",))


def test_the_question_of_the_turn_is_a_candidate_and_older_ones_are_too() -> None:
    shell = watching()
    asked(shell, 1.0)
    shell.ask(1.5, "b", "What colour is the car?")
    shell.tick(2.0)
    shell.choose(2.1, *ONCE)
    choice = shell.score(2.2)
    lines = only(choice, AskChoice).question.splitlines()
    assert lines[1:4] == [
        'A: question "Who is in the garden?"',
        'B: question "What colour is the car?"',
        "C: none of these",
    ]
    shell.choose_text(2.3, choice, "garden")
    assert only(shell.text(2.4, "The gardener is.") + shell.done(2.5), QueryClosed).id == "q"


def test_a_question_has_the_threshold_of_the_session() -> None:
    shell = watching(Watch("eager", "eager", "Tell me of cats", threshold=0.1))
    asked(shell, 1.0)
    shell.tick(2.0)
    effects = shell.choose_text(2.2, shell.score(2.1, 0.3), "garden")
    decided = only(effects, Decided)
    assert (decided.suppressed, decided.query, decided.watches) == (Suppressed.BELOW, None, ())


def test_what_ended_meanwhile_concerns_no_one() -> None:
    shell = watching(FALL, POST)
    shell.tick(1.0)
    choice = shell.score(1.1)
    shell.watch(1.15, FALL)
    decided = only(shell.choose_text(1.2, choice, POST.text), Decided)
    assert (decided.decision, decided.suppressed, decided.watches) == (Decision.SILENT, None, ())
    asked(shell, 2.0)
    shell.tick(3.0)
    choice = shell.score(3.1)
    shell.observer.handle(QueryWithdrawn(3.15, "q"))
    assert only(shell.choose_text(3.2, choice, "garden"), Decided).decision is Decision.SILENT


@pytest.mark.parametrize(("value", "watches"), [(0.6, ("post",)), (0.9, ("fall", "post"))])
def test_what_is_not_found_out_concerns_all_whose_threshold_is_reached(value, watches) -> None:
    shell = watching(FALL, POST)
    shell.tick(1.0)
    shell.score(1.1, value)
    assert shell.choose(1.2) == [Say(2)]
    assert only(shell.text(1.3, CAME) + shell.done(1.4), Decided).watches == watches


def test_thresholds_count_as_they_are_when_the_engine_answers() -> None:
    shell = watching(FALL, POST)
    shell.tick(1.0)
    choice = shell.score(1.1, 0.6)
    shell.configure(1.15, threshold=0.7)
    assert only(shell.choose_text(1.2, choice, POST.text), Decided).suppressed is Suppressed.BELOW


def test_what_an_engine_sees_by_structure_needs_no_question() -> None:
    shell = watching(FALL, GUEST)
    shell.tick(1.0)
    assert shell.score(1.1, kind="enter", box=AT_DOOR) == [Say(2)]


def test_a_failure_while_it_is_attributed_rolls_back() -> None:
    shell = watching(FALL, POST)
    shell.tick(1.0)
    choice = shell.score(1.1)
    assert only(shell.fail(1.2), Rollback) == Rollback(2)
    assert shell.choose_text(1.3, choice, POST.text) == []
    assert shell.observer.state is StepState.IDLE


def test_attribution_leaves_no_trace() -> None:
    shells = []
    for pick in (FALL.text, POST.text, None):
        shell = watching(FALL, POST)
        shell.tick(1.0)
        choice = shell.score(1.1, 0.9)
        shell.choose(1.2) if pick is None else shell.choose_text(1.2, choice, pick)
        shell.text(1.3, CAME)
        shell.done(1.4)
        shell.silent(2.0)
        shells.append(shell)
    contexts = {repr((shell.observer.context.chunk, shell.observer.context.turns)) for shell in shells}
    assert len(contexts) == 1
    assert "letter" not in contexts.pop()


def test_what_would_be_held_back_anyway_is_not_asked_about() -> None:
    shell = watching(FALL, POST, cooldown_s=3.0)
    shell.tick(1.0)
    shell.choose_text(1.2, shell.score(1.1, 0.55), POST.text)
    shell.text(1.3, CAME)
    shell.done(1.4)
    shell.tick(2.0)
    assert only(shell.score(2.1, 0.9), Decided).suppressed is Suppressed.COOLDOWN
    shell.tick(5.0)
    assert only(shell.score(5.1, 0.55), Decided).suppressed is Suppressed.HOVERING
    shell.tick(6.0)
    assert kinds(shell.score(6.1, 0.9)) == ["AskChoice"]


def test_each_watch_hovers_about_its_own_threshold() -> None:
    shell = watching(FALL, POST)
    shell.tick(1.0)
    shell.choose_text(1.2, shell.score(1.1, 0.85), FALL.text)
    shell.text(1.3, "Someone has fallen.")
    shell.done(1.4)
    shell.tick(2.0)
    decided = only(shell.choose_text(2.2, shell.score(2.1, 0.85), FALL.text), Decided)
    assert (decided.suppressed, decided.watches) == (Suppressed.HOVERING, ("fall",))
    shell.tick(3.0)
    assert shell.choose_text(3.2, shell.score(3.1, 0.85), POST.text) == [Say(4)]
