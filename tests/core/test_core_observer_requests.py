"""The machine is told something: questions, standing instructions, and the end of one."""

import pytest

from fakes.observing import CAME, GUEST, Shell, kinds, only
from joyvl_server.core.decisions import Decision, Skip
from joyvl_server.core.effects import (
    AddWatch,
    Append,
    AskChoice,
    AskScore,
    Decided,
    EndWatch,
    QueryClosed,
    Rollback,
    UtteranceDone,
)
from joyvl_server.core.inputs import Chosen, QueryWithdrawn
from joyvl_server.core.observer import StepState
from joyvl_server.core.watches.watches import Watch

POST = "Tell me when the postman comes"
FALL = Watch("fall", "fall", "Tell me when someone falls")
KINDS = {"once": (1.0, 0.0, 0.0), "standing": (0.0, 1.0, 0.0), "cancel": (0.0, 0.0, 1.0)}


def told(text: str, *watches: Watch, **config) -> Shell:
    """Somebody says `text`; the turn that carries it is sent."""
    shell = Shell(chooses=True, **config)
    shell.watch(0.0, *watches)
    shell.silent(0.0)
    shell.ask(0.5, "q", text)
    shell.tick(1.0)
    return shell


def test_a_request_is_classified_before_the_turn_is_scored() -> None:
    shell = Shell(chooses=True)
    shell.ask(0.0, "q", POST)
    effects = shell.tick(0.1)
    assert kinds(effects) == ["BeginChunk", "Append", "AskChoice"]
    assert only(effects, Append).turn.query == POST
    choice = only(effects, AskChoice)
    assert (choice.step, choice.options) == (1, ("A", "B", "C"))
    assert POST in choice.question
    assert shell.observer.state is StepState.CLASSIFYING
    assert shell.choose(0.2, *KINDS["once"]) == [AskScore(1)]
    assert shell.observer.state is StepState.SCORING
    assert "AskChoice" not in kinds(shell.score(0.3, 0.0) + shell.tick(1.0))


def test_engines_that_do_not_choose_are_asked_for_nothing_but_scores() -> None:
    shell = Shell()
    shell.watch(0.0, GUEST, FALL)
    shell.ask(0.0)
    effects = shell.says(0.1, "It is red.")
    assert kinds(effects)[:3] == ["BeginChunk", "Append", "AskScore"]
    assert "AskChoice" not in kinds(effects)
    assert only(effects, QueryClosed).reason == "answered"


def test_the_question_leaves_no_trace() -> None:
    shells = [told(POST), told(POST)]
    plain, asked = shells
    plain.choose(1.1)
    asked.choose(1.1, *KINDS["once"])
    for shell in shells:
        shell.score(1.2, 0.0)
        shell.silent(2.0)
    plain_context, context = (repr((s.observer.context.chunk, s.observer.context.turns)) for s in shells)
    assert plain_context == context
    assert "letter" not in context


def test_a_standing_instruction_becomes_a_watch_that_the_model_is_not_told_again() -> None:
    shell = told(POST)
    assert shell.choose(1.1, *KINDS["standing"]) == [AddWatch("q", POST), AskScore(2)]
    shell.watch(1.15, Watch("new", "postman", POST))
    settled = shell.score(1.2, 0.0)
    assert kinds(settled) == ["Settle", "QueryClosed", "Decided"]
    assert only(settled, QueryClosed) == QueryClosed("q", "standing")
    assert only(shell.tick(2.0), Append).turn.news == ()


def test_nor_where_the_watch_comes_after_its_turn() -> None:
    shell = told(POST)
    shell.choose(1.1, *KINDS["standing"])
    shell.score(1.2, 0.0)
    shell.watch(1.3, Watch("new", "postman", POST))
    assert only(shell.tick(2.0), Append).turn.news == ()
    shell.score(2.1, 0.0)
    shell.watch(2.2)
    assert only(shell.tick(3.0), Append).turn.news == (f"[Instruction ended] {POST}",)


def test_who_gives_an_instruction_is_answered() -> None:
    shell = told(POST, GUEST, FALL, cooldown_s=100.0)
    shell.choose(1.1, *KINDS["standing"])
    assert kinds(shell.score(1.2, 0.5)) == ["Say"]
    effects = shell.text(1.3, "I will tell you.") + shell.done(1.4)
    decided = only(effects, Decided)
    assert (decided.decision, decided.query, decided.watches) == (Decision.SPEAK, "q", ())
    assert only(effects, QueryClosed) == QueryClosed("q", "standing", decided.epoch, "I will tell you.")
    assert kinds(effects).index("QueryClosed") > kinds(effects).index("UtteranceDone")


def test_an_instruction_may_also_be_handed_over() -> None:
    shell = told(POST)
    shell.choose(1.1, *KINDS["standing"])
    shell.score(1.2)
    effects = shell.text(1.3, "One moment. </delegation> When does the post come?") + shell.done(1.4)
    assert only(effects, QueryClosed).reason == "standing"
    assert only(effects, Decided).decision is Decision.DELEGATE


def test_a_failed_turn_keeps_the_kind_and_adds_no_second_watch() -> None:
    shell = told(POST)
    shell.choose(1.1, *KINDS["standing"])
    assert kinds(shell.fail(1.2)) == ["Rollback", "Decided"]
    again = shell.tick(2.0)
    assert kinds(again) == ["Append", "AskScore"]
    assert only(again, Append).turn.query == POST
    assert only(shell.score(2.1, 0.0), QueryClosed).reason == "standing"


@pytest.mark.parametrize("state", [StepState.CLASSIFYING, StepState.ENDING])
def test_a_failure_while_it_is_classified_rolls_back_and_late_answers_are_ignored(state) -> None:
    shell = told("Stop it", GUEST, FALL)
    if state is StepState.ENDING:
        shell.choose(1.1, *KINDS["cancel"])
    assert shell.observer.state is state
    effects = shell.fail(1.2)
    assert only(effects, Rollback) == Rollback(2)
    assert only(effects, Decided).skipped is Skip.FAILED
    assert shell.choose(1.3, *KINDS["standing"]) == []
    assert kinds(shell.tick(2.0)) == ["Append", "AskChoice"]


@pytest.mark.parametrize("shares", [(), (0.5, 0.5), (float("nan"), 0.0, 1.0)])
def test_what_is_not_found_out_is_a_question(shares) -> None:
    shell = told(POST, GUEST)
    assert shell.choose(1.1, *shares) == [AskScore(2)]
    assert "QueryClosed" not in kinds(shell.score(1.2, 0.0))
    assert "AskChoice" not in kinds(shell.tick(2.0))


def test_one_watch_is_ended_without_asking_which() -> None:
    shell = told("You may stop now", GUEST, Watch("old", "old", "old", paused=True))
    assert shell.choose(1.1, *KINDS["cancel"]) == [EndWatch("q", "guest"), AskScore(2)]
    assert only(shell.score(1.2, 0.0), QueryClosed) == QueryClosed("q", "cancel")


def test_of_several_the_right_one_is_ended() -> None:
    shell = told("Forget about falls", GUEST, FALL)
    asked = shell.choose(1.1, *KINDS["cancel"])
    assert kinds(asked) == ["AskChoice"]
    assert shell.observer.state is StepState.ENDING
    assert only(asked, AskChoice).options == ("A", "B", "C")
    assert shell.choose_text(1.2, asked, FALL.text) == [EndWatch("q", "fall"), AskScore(2)]
    shell.fail(1.3)
    assert kinds(shell.tick(2.0)) == ["Append", "AskScore"]  # it has ended already
    assert only(shell.score(2.1, 0.0), QueryClosed).reason == "cancel"


def test_an_open_question_may_be_dropped() -> None:
    shell = Shell(chooses=True)
    shell.watch(0.0, GUEST)
    shell.ask(0.0, "who", "Who is in the garden?")
    shell.tick(0.1)
    shell.choose(0.1, *KINDS["once"])
    shell.score(0.1, 0.0)
    shell.ask(0.2, "q", "Never mind the garden")
    shell.tick(1.0)
    asked = shell.choose(1.1, *KINDS["cancel"])
    assert "Never mind the garden" in only(asked, AskChoice).question.splitlines()[0]
    dropped = shell.choose_text(1.2, asked, "Who is in the garden?")
    assert dropped == [QueryClosed("who", "withdrawn"), AskScore(2)]
    assert only(shell.score(1.3, 0.0), QueryClosed) == QueryClosed("q", "cancel")


@pytest.mark.parametrize("answer", ["none of these", None])
def test_an_end_of_nothing_is_a_question(answer) -> None:
    shell = told("Stop shouting", GUEST, FALL)
    asked = shell.choose(1.1, *KINDS["cancel"])
    scored = shell.choose(1.2) if answer is None else shell.choose_text(1.2, asked, answer)
    assert scored == [AskScore(2)]
    shell.score(1.3, 0.0)
    answered = shell.tick(2.0) + shell.score(2.1, 1.0)
    assert "Stop shouting" in only(answered, AskChoice).question


def test_without_anything_to_end_it_is_a_question() -> None:
    shell = told("Stop it")
    assert shell.choose(1.1, *KINDS["cancel"]) == [AskScore(2)]
    assert only(shell.score(1.2, 1.0) + shell.text(1.3, "What do you mean?") + shell.done(1.4), QueryClosed).reason == (
        "answered"
    )


def test_a_watch_that_ended_meanwhile_needs_no_end() -> None:
    shell = told("Forget about falls", GUEST, FALL)
    asked = shell.choose(1.1, *KINDS["cancel"])
    shell.watch(1.15, GUEST)
    assert shell.choose_text(1.2, asked, FALL.text) == [AskScore(2)]


@pytest.mark.parametrize("kind", ["standing", "cancel"])
def test_a_request_withdrawn_meanwhile_changes_nothing(kind) -> None:
    shell = told(POST, GUEST)
    shell.observer.handle(QueryWithdrawn(1.05, "q"))
    assert shell.choose(1.1, *KINDS[kind]) == [AskScore(2)]
    assert kinds(shell.score(1.2, 0.0)) == ["Settle", "Decided", "TickNow"]


def test_a_request_withdrawn_while_asking_which_ends_nothing() -> None:
    shell = told("Forget about falls", GUEST, FALL)
    asked = shell.choose(1.1, *KINDS["cancel"])
    shell.observer.handle(QueryWithdrawn(1.15, "q"))
    assert shell.choose_text(1.2, asked, FALL.text) == [AskScore(2)]


def test_the_same_id_may_be_used_for_another_request() -> None:
    shell = told(POST)
    shell.choose(1.1, *KINDS["once"])
    shell.score(1.2, 0.0)
    shell.ask(1.5, "q", "Who is it?")
    assert only(shell.tick(2.0), AskChoice).question.splitlines()[0].count("Who is it?") == 1


def test_each_of_several_requests_is_classified_in_its_own_turn() -> None:
    shell = told(POST)
    shell.ask(1.05, "b", "Who is it?")
    shell.choose(1.1, *KINDS["standing"])
    assert kinds(shell.score(1.2, 0.0))[-1] == "TickNow"
    assert "Who is it?" in only(shell.tick(1.3), AskChoice).question
    assert shell.choose(1.4, *KINDS["once"]) == [AskScore(3)]
    answered = shell.score(1.5) + shell.text(1.6, "It is the postman.") + shell.done(1.7)
    assert only(answered, QueryClosed).id == "b"


def test_an_answer_that_broke_off_still_closes_what_was_no_question() -> None:
    shell = told(POST)
    shell.choose(1.1, *KINDS["standing"])
    shell.score(1.2)
    shell.text(1.3, f"{CAME} I will")
    effects = shell.fail(1.4)
    assert only(effects, UtteranceDone).interrupted
    epoch = only(effects, Decided).epoch
    assert only(effects, QueryClosed) == QueryClosed("q", "standing", epoch, f"{CAME} I will")


def test_an_answer_nobody_asked_for_is_a_mistake_of_the_shell() -> None:
    shell = Shell(chooses=True)
    shell.tick(0.0)
    with pytest.raises(
        RuntimeError, match="Step 1 is SCORING; this outcome belongs to CLASSIFYING or ENDING or ATTRIB"
    ):
        shell.choose(0.1, 1.0)
    with pytest.raises(RuntimeError, match="outcome of step 7, but the last step was 1"):
        shell.observer.handle(Chosen(0.1, 7, ()))
    asking = told(POST)
    with pytest.raises(RuntimeError, match="Step 2 is CLASSIFYING; this outcome belongs to SCORING"):
        asking.score(1.1)
