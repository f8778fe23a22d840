"""The machine speaks: what is shown, what is held back, what is handed over, what was heard."""

from fakes.media.frames import EPOCH
from fakes.observing import CAME, Shell, kinds, only
from joyvl_server.core.decisions import Decision, Suppressed, Urgency
from joyvl_server.core.effects import (
    Abort,
    Append,
    Decided,
    Delegate,
    QueryClosed,
    Say,
    Settle,
    TickNow,
    UtteranceDelta,
    UtteranceDone,
)
from joyvl_server.core.inputs import (
    PlaybackAcked,
    PlaybackEnded,
    SpeechLasted,
    SpeechStarted,
    SpeechStopped,
    TaskChanged,
    Transcript,
    TranscriptFailed,
)
from joyvl_server.core.observer import StepState

# ------------------------------------------------------------------------------------------------------------- speaking


def test_speech_is_held_to_the_first_sentence_and_then_flows() -> None:
    shell = Shell()
    shell.tick(3.0)
    assert shell.score(3.1, 0.9) == [Say(1)]
    assert shell.observer.state is StepState.HOLDING
    assert shell.text(3.2, " A man came in through the") == []
    assert shell.text(3.3, " door. He") == [UtteranceDelta(1, f"{CAME} He")]
    assert shell.observer.state is StepState.SPEAKING
    assert shell.text(3.4, " smiles") == [UtteranceDelta(1, " smiles")]
    assert shell.text(3.4, ".</resp") == [UtteranceDelta(1, ".")]
    effects = shell.done(3.5)
    said = f"{CAME} He smiles."
    assert effects == [
        UtteranceDone(1, 3.0, EPOCH + 3.0, said, Urgency.REMARK),
        Settle(1, f"</response> {said}"),
        only(effects, Decided),
    ]
    decided = only(effects, Decided)
    assert (decided.decision, decided.text, decided.epoch, decided.score) == (Decision.SPEAK, said, 1, 0.9)


def test_a_marker_with_nothing_after_it_is_silence() -> None:
    effects = Shell().says(0.0, "  ")
    decided = only(effects, Decided)
    assert (decided.decision, decided.suppressed) == (Decision.SILENT, Suppressed.EMPTY)
    assert only(effects, Settle) == Settle(1, "</silence>")


def test_the_same_words_are_stopped_before_anything_is_shown() -> None:
    shell = Shell(cooldown_s=0.0)
    shell.says(0.0, CAME)
    shell.silent(1.0)
    shell.silent(2.0)
    shell.tick(3.0)
    shell.score(3.0)
    effects = shell.text(3.1, f"{CAME} Again")
    assert kinds(effects) == ["Abort", "Settle", "Decided"]
    assert only(effects, Settle).answer == "</silence>"
    decided = only(effects, Decided)
    assert (decided.suppressed, decided.text, decided.detail) == (Suppressed.DUPLICATE, "", f"{CAME} Again")
    assert shell.done(3.2) == []  # of a step that is over
    assert only(shell.says(31.0, CAME), Decided).decision is Decision.SPEAK


def test_another_happening_may_be_told_in_the_same_words() -> None:
    shell = Shell(cooldown_s=0.0)
    assert only(shell.says(0.0, CAME, kind="enter", key="1"), Decided).decision is Decision.SPEAK
    assert only(shell.says(1.0, CAME, kind="enter", key="2"), Decided).decision is Decision.SPEAK
    assert only(shell.says(2.0, CAME, kind="enter", key="2"), Decided).suppressed is Suppressed.DUPLICATE


def test_the_cooldown_is_per_kind_and_survives_silences() -> None:
    shell = Shell(cooldown_s=3.0)
    shell.says(0.0, CAME, kind="enter")
    shell.silent(1.0)
    shell.tick(2.0)
    assert only(shell.score(2.0, kind="enter", key="other"), Decided).suppressed is Suppressed.COOLDOWN
    assert only(shell.says(2.5, "Something left on the right.", kind="leave"), Decided).decision is Decision.SPEAK
    assert only(shell.says(3.0, "Another one came.", kind="enter"), Decided).decision is Decision.SPEAK


def test_an_answer_that_ended_is_not_waited_for() -> None:
    shell = Shell()
    shell.tick(0.0)
    shell.score(0.0)
    effects = shell.text(0.1, f"{CAME}</response> and so on")
    assert kinds(effects) == ["UtteranceDelta", "Abort", "UtteranceDone", "Settle", "Decided"]
    assert only(effects, Decided).text == CAME


def test_endless_words_are_cut() -> None:
    shell = Shell(max_answer_chars=100)
    shell.tick(0.0)
    shell.score(0.0)
    effects = shell.text(0.1, "word " * 1000)
    assert "Abort" in kinds(effects)
    assert len(only(effects, Decided).text) <= 100


# ----------------------------------------------------------------------------------------------------------- delegation


def test_a_question_is_handed_over_while_the_note_is_shown() -> None:
    shell = Shell(task_prefix="run1_")
    shell.ask(0.0, text="Who built this house?")
    effects = shell.says(0.1, "Let me find out. </delegation> Who built the house at 1 Main Street?")
    assert kinds(effects)[-5:] == ["UtteranceDelta", "UtteranceDone", "Settle", "Delegate", "Decided"]
    task = only(effects, Delegate)
    assert task == Delegate("run1_1", 0.1, "Let me find out.", "Who built the house at 1 Main Street?")
    decided = only(effects, Decided)
    assert (decided.decision, decided.text, decided.question) == (Decision.DELEGATE, task.note, task.question)
    assert only(effects, Settle).answer == f"</response> {task.note} </delegation> {task.question}"
    assert "QueryClosed" not in kinds(effects)  # a holding note is no answer


def test_a_question_without_a_note_says_nothing() -> None:
    effects = Shell().says(0.0, "</delegation> Who is it?")
    decided = only(effects, Decided)
    assert (decided.decision, decided.epoch, decided.text) == (Decision.DELEGATE, None, "")
    assert not any(isinstance(effect, UtteranceDelta | UtteranceDone) for effect in effects)


def test_the_result_of_a_task_is_told_at_once_and_answers_the_query() -> None:
    shell = Shell()
    shell.ask(0.0, text="Who built this house?")
    shell.says(0.1, "Let me find out. </delegation> Who built it?")
    assert shell.observer.handle(TaskChanged(1.0, "task_1", "running")) == []
    assert shell.observer.handle(TaskChanged(2.0, "task_1", "completed", "A. Builder")) == [TickNow()]
    effects = shell.says(2.1, "It was built by A. Builder.")
    assert only(effects, Append).turn.news == ("[Result of the question handed over] Who built it?: A. Builder",)
    assert only(effects, QueryClosed).reason == "answered"


def test_a_result_in_mid_step_ticks_right_after_it() -> None:
    shell = Shell()
    shell.says(0.0, "Let me find out. </delegation> Who built it?")
    shell.tick(1.0)
    assert shell.observer.handle(TaskChanged(1.1, "task_1", "failed", "No agent.")) == []
    assert kinds(shell.score(1.2, 0.0)) == ["Settle", "Decided", "TickNow"]


def test_without_delegation_the_question_is_dropped() -> None:
    effects = Shell(delegation=False).says(0.0, "Let me find out. </delegation> Who built it?")
    decided = only(effects, Decided)
    assert (decided.decision, decided.question) == (Decision.SPEAK, "")
    assert only(effects, Settle).answer == "</response> Let me find out."
    assert "Delegate" not in kinds(effects)


# ------------------------------------------------------------------------------------------------------------- playback


def test_what_was_heard_is_kept_by_epoch() -> None:
    shell = Shell()
    shell.says(0.0, CAME)
    assert shell.observer.heard(1) == ""
    assert shell.observer.handle(PlaybackAcked(1.0, 1, 5)) == []
    assert shell.observer.heard(1) == "A man"
    assert shell.observer.handle(PlaybackAcked(1.0, 99, 5)) == []


def test_without_a_voice_nobody_interrupts() -> None:
    shell = Shell()
    shell.says(0.0, CAME)
    for input in (
        SpeechStarted(1.0, "s", 0.9),
        SpeechLasted(1.3, "s"),
        SpeechStopped(1.9, "s", 1.4, 0.5),
        Transcript(2.0, "s", "Who?", True),
        TranscriptFailed(2.0, "s", "It failed."),
        PlaybackEnded(2.0, 1, None),
    ):
        assert shell.observer.handle(input) == []
    assert shell.observer.handle(PlaybackEnded(2.0, 1, 5)) == []
    assert shell.observer.heard(1) == "A man"


def test_nothing_is_aborted_without_need() -> None:
    shell = Shell()
    assert not any(isinstance(effect, Abort) for effect in shell.says(0.0, CAME))
