"""What came of a delegated task is told: by the model, or by the server where the model keeps it to itself."""

from __future__ import annotations

from fakes.observing import Shell, kinds, only
from joyvl_server.core.decision import task_results
from joyvl_server.core.decision.task_results import PATIENCE_S, UNREAD_S
from joyvl_server.core.decisions import Skip
from joyvl_server.core.effects import Append, TaskTold, UtteranceDelta, UtteranceDone
from joyvl_server.core.inputs import TaskChanged, TickSkipped

FOUND = "The house was built by A. Builder in 1907."


def asking() -> Shell:
    shell = Shell(cooldown_s=0.0)
    shell.says(0.0, "Let me find out. </delegation> Who built it?")
    return shell


def finished(shell: Shell, at: float, text: str = FOUND, status: str = "completed", task: str = "task_1"):
    return shell.observer.handle(TaskChanged(at, task, status, text, wall=at))


def test_the_model_tells_it_in_the_turn_that_brought_it() -> None:
    shell = asking()
    finished(shell, 1.0)
    effects = shell.says(1.1, "Found it.")
    assert only(effects, TaskTold) == TaskTold(("task_1",), only(effects, UtteranceDone).epoch)
    for second in range(2, 40):
        assert "UtteranceDelta" not in kinds(shell.silent(float(second)))


def test_an_outcome_comes_never_too_soon_after_a_remark() -> None:
    shell = Shell(cooldown_s=10.0)
    shell.says(0.0, "Let me find out. </delegation> Who built it?")
    finished(shell, 1.0)
    effects = shell.says(1.1, "It was A. Builder, in 1907.")
    assert only(effects, TaskTold).task_ids == ("task_1",)
    assert "UtteranceDelta" not in kinds(shell.says(2.0, "A red car stops in front of it."))


def test_the_model_tells_it_later_in_its_words() -> None:
    shell = asking()
    finished(shell, 1.0)
    shell.silent(1.1)
    assert "TaskTold" not in kinds(shell.says(3.0, "A red car stops in front of it."))
    effects = shell.says(5.0, "This house was built by A. Builder in 1907.")
    assert only(effects, TaskTold).task_ids == ("task_1",)


def test_what_the_model_keeps_to_itself_the_server_says() -> None:
    shell = asking()
    finished(shell, 1.0)
    shell.silent(1.1)
    assert "UtteranceDelta" not in kinds(shell.silent(1.1 + PATIENCE_S - 0.5))
    effects = shell.tick(1.1 + PATIENCE_S + 0.5)
    assert kinds(effects)[:3] == ["UtteranceDelta", "UtteranceDone", "TaskTold"]
    assert only(effects, UtteranceDelta).text == FOUND
    assert only(effects, TaskTold).epoch == only(effects, UtteranceDone).epoch
    shell.score(10.0, 0.0)
    assert "UtteranceDelta" not in kinds(shell.silent(60.0))


def test_an_engine_that_is_away_does_not_keep_it_back() -> None:
    shell = asking()
    finished(shell, 1.0)
    assert shell.observer.handle(TickSkipped(2.0, 2.0, Skip.OFFLINE))
    shell.step += 1
    effects = shell.observer.handle(TickSkipped(1.0 + UNREAD_S, 77.0, Skip.OFFLINE))
    assert only(effects, UtteranceDone).wall == 77.0


def test_an_engine_without_words_has_it_said_at_once() -> None:
    shell = asking()
    shell.able(0.5, follows_instructions=False)
    assert kinds(finished(shell, 1.0)) == ["UtteranceDelta", "UtteranceDone", "TaskTold"]


def test_why_there_is_no_result_is_told_too() -> None:
    shell = asking()
    finished(shell, 1.0, "No agent is there.", "failed")
    shell.silent(1.1)
    assert only(shell.tick(20.0), UtteranceDelta).text == "No agent is there."


def test_what_an_agent_asks_for_is_said_at_once() -> None:
    shell = asking()
    assert only(finished(shell, 1.0, "It wants to run: ls. Yes or no?", "waiting"), UtteranceDelta).text.endswith("no?")
    assert finished(shell, 2.0, "", "waiting") == []


def test_nobody_is_told_of_what_was_cancelled_or_is_empty() -> None:
    shell = asking()
    finished(shell, 1.0)
    finished(shell, 1.5, "", "cancelled")
    assert "UtteranceDelta" not in kinds(shell.silent(60.0))
    shell.able(60.5, follows_instructions=False)
    assert finished(shell, 61.0, "", task="other") == []


def test_a_result_of_an_earlier_session_comes_with_its_question() -> None:
    shell = Shell()
    shell.observer.handle(TaskChanged(0.5, "tsk_old", "completed", FOUND, "Who built it?"))
    news = only(shell.tick(1.0), Append).turn.news
    assert news == (f"[Result of the question handed over] Who built it?: {FOUND}",)


def test_of_too_many_the_oldest_is_said_at_once() -> None:
    shell = asking()
    for number in range(task_results.MOST):
        assert "UtteranceDelta" not in kinds(finished(shell, 1.0, f"Found {number}.", task=f"t{number}"))
    assert only(finished(shell, 1.0, "One more.", task="more"), UtteranceDelta).text == "Found 0."


def test_time_that_jumps_back_begins_the_wait_again() -> None:
    shell = asking()
    finished(shell, 100.0)
    assert "UtteranceDelta" not in kinds(shell.observer.handle(TickSkipped(1.0, 1.0, Skip.OFFLINE)))
    shell.step += 1
    assert "UtteranceDelta" in kinds(shell.observer.handle(TickSkipped(1.0 + UNREAD_S, 1.0, Skip.OFFLINE)))
