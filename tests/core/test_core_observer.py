"""The machine, one behaviour a test: what goes in, what comes out."""

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
import pytest

from fakes.frames import EPOCH, make_frame
from joyvl_server.core.events import (
    Abort,
    Append,
    AskScore,
    BeginChunk,
    Decided,
    Decision,
    Delegate,
    Effect,
    EngineFailed,
    PlaybackAcked,
    QueryAsked,
    QueryClosed,
    QueryWithdrawn,
    Rollback,
    SaidDone,
    Say,
    Score,
    Scored,
    SensitivityChanged,
    Settle,
    Skip,
    Suppressed,
    TaskChanged,
    TextDelta,
    Tick,
    TickNow,
    TickSkipped,
    Urgency,
    UtteranceDelta,
    UtteranceDone,
    WatchesChanged,
)
from joyvl_server.core.observer import NO_WORDS, Observer, ObserverConfig, State
from joyvl_server.core.turns import Look
from joyvl_server.core.watches import Watch, book
from joyvl_server.core.zones import Box, Zone

DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))
GUEST = Watch("guest", "guest", "Tell me when someone comes", zones=("door",))
AT_DOOR, ELSEWHERE = Box(0.1, 0.4, 0.2, 0.6), Box(0.8, 0.4, 0.9, 0.6)
CAME = "A man came in through the door."

E = TypeVar("E")


def only(effects: Iterable[Effect], kind: type[E]) -> E:
    (found,) = [effect for effect in effects if isinstance(effect, kind)]
    return found


def kinds(effects: Iterable[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


class Shell:
    """Plays the shell and the engine: one second at a time."""

    def __init__(self, **config: Any) -> None:
        self.observer = Observer(ObserverConfig(**config))
        self.step = 0

    def tick(self, t: float, **frame: Any) -> list[Effect]:
        self.step += 1
        return self.observer.handle(Tick(t, make_frame(t, **frame)))

    def score(self, t: float, value: float = 1.0, **about: Any) -> list[Effect]:
        return self.observer.handle(Scored(t, self.step, Score(value, **about)))

    def text(self, t: float, text: str) -> list[Effect]:
        return self.observer.handle(TextDelta(t, self.step, text))

    def done(self, t: float) -> list[Effect]:
        return self.observer.handle(SaidDone(t, self.step))

    def fail(self, t: float) -> list[Effect]:
        return self.observer.handle(EngineFailed(t, self.step, "engine_timeout", "It took too long."))

    def silent(self, t: float) -> list[Effect]:
        return self.tick(t) + self.score(t, 0.0)

    def says(self, t: float, text: str, value: float = 1.0, **about: Any) -> list[Effect]:
        """A second in which the engine wants to say something, in one delta."""
        effects = self.tick(t) + self.score(t, value, **about)
        if self.observer.state is State.HOLDING:
            effects += self.text(t, text)
        return effects + self.done(t)

    def ask(self, t: float, query_id: str = "q", text: str = "What colour is the car?") -> list[Effect]:
        return self.observer.handle(QueryAsked(t, query_id, text))

    def watch(self, t: float, *watches: Watch) -> list[Effect]:
        return self.observer.handle(WatchesChanged(t, book(watches, [DOOR])))


# ------------------------------------------------------------------------------------------------------------- ticks


def test_the_first_tick_begins_a_chunk_and_asks_for_a_score() -> None:
    shell = Shell()
    effects = shell.tick(5.0)
    assert kinds(effects) == ["BeginChunk", "Append", "AskScore"]
    assert only(effects, Append).turn.frame.t == 5.0
    assert only(effects, AskScore) == AskScore(1)
    assert shell.observer.state is State.SCORING
    assert kinds(shell.score(5.1, 0.0) + shell.tick(6.0)) == ["Settle", "Decided", "Append", "AskScore"]


def test_below_the_threshold_the_turn_settles_as_silence() -> None:
    shell = Shell()
    shell.tick(5.0)
    effects = shell.score(5.2, 0.49, kind="move", box=AT_DOOR)
    assert effects == [
        Settle(1, "</silence>"),
        Decided(
            step=1,
            t=5.0,
            wall=EPOCH + 5.0,
            decision=Decision.SILENT,
            look=Look.FULL,
            score=0.49,
            kind="move",
            zone="left",
            box=AT_DOOR,
            change=1.0,
        ),
    ]
    assert shell.observer.state is State.IDLE


def test_a_tick_while_busy_is_skipped_and_the_step_goes_on() -> None:
    shell = Shell()
    shell.tick(1.0)
    busy = only(shell.observer.handle(Tick(2.0, make_frame(2.0))), Decided)
    assert (busy.step, busy.skipped, busy.t, busy.look) == (2, Skip.BUSY, 2.0, Look.SKIP)
    assert only(shell.score(2.1, 0.0), Decided).step == 1


def test_a_second_the_shell_skipped_is_told_also_in_flight() -> None:
    shell = Shell()
    shell.tick(1.0)
    for reason in (Skip.LATE, Skip.NO_FRAME, Skip.OFFLINE):
        decided = only(shell.observer.handle(TickSkipped(2.0, EPOCH + 2.0, reason)), Decided)
        assert (decided.skipped, decided.t, decided.wall) == (reason, 2.0, EPOCH + 2.0)
    assert shell.observer.state is State.SCORING


def test_a_still_picture_costs_a_glance_or_nothing() -> None:
    shell = Shell(fidelity="adaptive", max_blind_s=2.0)
    first = shell.tick(0.0, glance=True) + shell.score(0.0, 0.0)
    still = only(shell.tick(1.0, glance=True), Decided)
    assert only(first, Decided).look is Look.FULL
    assert (still.skipped, still.change, still.look) == (Skip.STILL, 0.0, Look.SKIP)
    glance = shell.tick(2.0, glance=True)
    assert only(glance, Append).turn.look is Look.GLANCE


def test_a_frame_of_a_failed_turn_was_not_looked_at() -> None:
    shell = Shell(fidelity="adaptive")
    dark, light = np.zeros((108, 192), np.uint8), np.full((108, 192), 200, np.uint8)
    shell.tick(0.0, grey=dark, glance=True)
    shell.score(0.0, 0.0)
    shell.tick(1.0, grey=light, glance=True)
    shell.fail(1.1)
    assert only(shell.tick(2.0, grey=light, glance=True), Append).turn.look is Look.FULL


def test_news_is_never_skipped_as_still() -> None:
    shell = Shell(fidelity="adaptive", max_blind_s=100.0)
    shell.tick(0.0, glance=True)
    shell.score(0.0, 0.0)
    shell.watch(0.5, GUEST)
    assert only(shell.tick(1.0, glance=True), Append).turn.news != ()


def test_garbage_is_silence_and_is_told() -> None:
    shell = Shell()
    shell.tick(0.0)
    decided = only(shell.score(0.1, 1.0, garbage="I see a man"), Decided)
    assert (decided.decision, decided.detail) == (Decision.SILENT, "I see a man")


def test_chunks_roll_over_with_their_lead() -> None:
    shell = Shell(chunk_s=10.0, lead_turns=2)
    begun = [effect for t in range(25) for effect in shell.silent(t) if isinstance(effect, BeginChunk)]
    assert [effect.chunk.number for effect in begun] == [1, 2, 3]
    assert [settled.user.frame.t for settled in begun[1].chunk.lead] == [9.0, 10.0]


def test_sensitivity_changes_at_once() -> None:
    shell = Shell()
    shell.tick(0.0)
    assert only(shell.score(0.0, 0.3), Decided).decision is Decision.SILENT
    shell.observer.handle(SensitivityChanged(0.5, 0.3))
    assert only(shell.says(1.0, CAME, 0.3), Decided).decision is Decision.SPEAK


# ---------------------------------------------------------------------------------------------------------- speaking


def test_speech_is_held_to_the_first_sentence_and_then_flows() -> None:
    shell = Shell()
    shell.tick(3.0)
    assert shell.score(3.1, 0.9) == [Say(1)]
    assert shell.observer.state is State.HOLDING
    assert shell.text(3.2, " A man came in through the") == []
    assert shell.text(3.3, " door. He") == [UtteranceDelta(1, f"{CAME} He")]
    assert shell.observer.state is State.SPEAKING
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
    assert shell.observer.text_of(1) == said
    assert shell.observer.text_of(None) is None
    assert shell.observer.text_of(99) is None


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


# ----------------------------------------------------------------------------------------------------------- watches


def test_a_watch_fires_where_it_looks_and_nowhere_else() -> None:
    shell = Shell()
    shell.watch(0.0, GUEST)
    fired = shell.says(1.0, CAME, kind="enter", box=AT_DOOR, key="1")
    decided = only(fired, Decided)
    assert (decided.watches, decided.zone, decided.box) == (("guest",), "door", AT_DOOR)
    assert only(fired, UtteranceDone).urgency is Urgency.ALERT
    shell.tick(9.0)
    elsewhere = only(shell.score(9.0, kind="enter", box=ELSEWHERE), Decided)
    assert (elsewhere.suppressed, elsewhere.watches, elsewhere.zone) == (Suppressed.ZONE, (), "right")


def test_without_a_watch_everything_is_reported() -> None:
    shell = Shell()
    shell.watch(0.0, Watch("w", "w", "w", zones=("door",), paused=True))
    decided = only(shell.says(1.0, CAME, kind="enter", box=ELSEWHERE), Decided)
    assert (decided.decision, decided.watches) == (Decision.SPEAK, ())


def test_watches_before_the_first_tick_stand_in_the_prefix_and_later_ones_are_news() -> None:
    shell = Shell()
    assert shell.watch(0.0, GUEST) == []
    first = shell.tick(1.0) + shell.score(1.0, 0.0)
    assert GUEST.text in only(first, BeginChunk).chunk.prefix
    shell.watch(1.5, GUEST, Watch("fall", "fall", "Tell me when someone falls"))
    assert "Tell me when someone falls" in "".join(only(shell.tick(2.0), Append).turn.news)


# ----------------------------------------------------------------------------------------------------------- queries


def test_a_query_ticks_at_once_and_its_answer_is_exempt_from_everything() -> None:
    shell = Shell(cooldown_s=100.0)
    shell.watch(0.0, Watch("picky", "picky", "picky", threshold=1.0))
    shell.says(0.0, "It is red, I think.")
    assert shell.ask(1.2) == [TickNow()]
    assert only(shell.tick(1.3), Append).turn.query == "What colour is the car?"
    shell.score(1.4, 0.5)
    effects = shell.text(1.5, "It is red, I think. Yes") + shell.done(1.6)
    decided = only(effects, Decided)
    assert (decided.decision, decided.query, decided.watches) == (Decision.SPEAK, "q", ())
    assert only(effects, UtteranceDone).urgency is Urgency.ANSWER
    assert only(effects, QueryClosed) == QueryClosed("q", "answered", decided.epoch)
    assert kinds(effects).index("QueryClosed") > kinds(effects).index("UtteranceDone")


def test_a_query_in_mid_step_ticks_right_after_it() -> None:
    shell = Shell()
    shell.tick(1.0)
    assert shell.ask(1.1) == []
    assert kinds(shell.score(1.2, 0.0)) == ["Settle", "Decided", "TickNow"]


def test_each_of_two_queries_gets_its_own_turn() -> None:
    shell = Shell()
    shell.ask(0.0, "a", "Who?")
    shell.ask(0.0, "b", "Why?")
    first = shell.silent(0.1)
    assert only(first, Append).turn.query == "Who?"
    assert isinstance(first[-1], TickNow)
    second = shell.says(0.2, "Because of the rain.")
    assert only(second, Append).turn.query == "Why?"
    assert only(second, QueryClosed).id == "b"
    assert only(shell.says(5.0, "It was the postman."), QueryClosed).id == "a"


def test_a_query_stays_open_through_silences_until_it_is_answered() -> None:
    shell = Shell(chunk_s=5.0, lead_turns=2)
    shell.ask(0.0, text="Tell me the number on the bus.")
    effects = [effect for t in range(8) for effect in shell.silent(t)]
    assert "QueryClosed" not in kinds(effects)
    chunks = [effect.chunk for effect in effects if isinstance(effect, BeginChunk)]
    assert "Tell me the number on the bus." in chunks[1].prefix
    assert only(shell.says(8.0, "It is bus number 12."), QueryClosed).reason == "answered"


def test_a_query_is_sent_again_where_its_turn_failed_without_a_storm() -> None:
    shell = Shell()
    shell.ask(0.0)
    shell.tick(0.1)
    assert kinds(shell.fail(0.2)) == ["Rollback", "Decided"]
    assert only(shell.tick(1.0), Append).turn.query == "What colour is the car?"
    shell.ask(1.1, "other", "Why?")
    assert kinds(shell.fail(1.2)) == ["Rollback", "Decided", "TickNow"]


def test_queries_are_withdrawn_and_expire() -> None:
    shell = Shell(query_ttl_s=60.0)
    shell.ask(0.0, "a")
    shell.ask(10.0, "b")
    assert shell.observer.handle(QueryWithdrawn(11.0, "b")) == [QueryClosed("b", "withdrawn")]
    assert shell.observer.handle(QueryWithdrawn(12.0, "b")) == []
    assert kinds(shell.tick(60.0))[0] == "QueryClosed"
    shell.score(60.0, 0.0)
    shell.ask(61.0, "c")
    assert kinds(shell.observer.handle(TickSkipped(200.0, 0.0, Skip.OFFLINE))) == ["QueryClosed", "Decided"]


def test_the_answer_to_a_query_withdrawn_meanwhile_closes_nothing() -> None:
    shell = Shell()
    shell.ask(0.0)
    shell.tick(0.1)
    shell.score(0.2)
    shell.observer.handle(QueryWithdrawn(0.3, "q"))
    effects = shell.text(0.4, "It is red.") + shell.done(0.5)
    assert only(effects, Decided).query is None
    assert "QueryClosed" not in kinds(effects)


def test_a_query_never_touches_the_watches() -> None:
    shell = Shell()
    shell.watch(0.0, GUEST)
    shell.silent(0.0)
    shell.ask(0.5)
    assert only(shell.says(1.0, "It is red."), Append).turn.news == ()
    assert only(shell.says(9.0, CAME, kind="enter", box=AT_DOOR), Decided).watches == ("guest",)


def test_an_engine_that_reads_no_words_says_so_at_once() -> None:
    shell = Shell(follows_instructions=False)
    effects = shell.observer.handle(QueryAsked(3.0, "q", "Why?", EPOCH + 3.0))
    assert effects == [
        UtteranceDelta(1, NO_WORDS),
        UtteranceDone(1, 3.0, EPOCH + 3.0, NO_WORDS, Urgency.NOTICE),
        QueryClosed("q", "answered", 1),
    ]
    assert shell.observer.text_of(1) == NO_WORDS
    assert only(shell.tick(4.0), Append).turn.query is None


# -------------------------------------------------------------------------------------------------------- delegation


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


# ---------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("until", [State.SCORING, State.HOLDING])
def test_a_failure_before_anything_was_shown_rolls_back(until) -> None:
    shell = Shell()
    shell.silent(0.0)
    shell.tick(1.0)
    if until is State.HOLDING:
        shell.score(1.1, 0.9)
        shell.text(1.2, "A man")
    assert shell.observer.state is until
    effects = shell.fail(1.3)
    assert kinds(effects) == ["Rollback", "Decided"]
    assert only(effects, Rollback) == Rollback(2)
    decided = only(effects, Decided)
    assert (decided.skipped, decided.decision, decided.detail) == (Skip.FAILED, Decision.SILENT, "It took too long.")
    assert decided.score == (None if until is State.SCORING else 0.9)
    assert kinds(shell.tick(2.0)) == ["Append", "AskScore"]


def test_a_failure_in_mid_speech_keeps_what_was_shown() -> None:
    shell = Shell(cooldown_s=0.0)
    shell.ask(0.0)
    shell.tick(0.1)
    shell.score(0.2)
    shell.text(0.3, f"{CAME} He car")
    effects = shell.fail(0.4)
    shown = f"{CAME} He car"
    assert kinds(effects) == ["UtteranceDone", "Settle", "Decided"]
    done = only(effects, UtteranceDone)
    assert (done.text, done.interrupted) == (shown, True)
    assert only(effects, Settle).answer == f"</response> {shown}"
    decided = only(effects, Decided)
    assert (decided.decision, decided.skipped, decided.detail) == (Decision.SPEAK, None, "It took too long.")
    assert only(shell.says(1.0, CAME), QueryClosed).reason == "answered"  # half an answer was none


def test_a_chunk_that_failed_at_its_start_begins_again() -> None:
    shell = Shell()
    shell.tick(0.0)
    shell.fail(0.1)
    assert kinds(shell.tick(1.0))[0] == "BeginChunk"


def test_outcomes_of_steps_that_are_over_are_ignored() -> None:
    shell = Shell()
    shell.silent(0.0)
    for late in (Scored(1.0, 1, Score(1.0)), TextDelta(1.0, 1, "x"), SaidDone(1.0, 1), EngineFailed(1.0, 1, "e", "m")):
        assert shell.observer.handle(late) == []
    shell.tick(1.0)
    assert shell.observer.handle(Scored(1.0, 1, Score(1.0))) == []
    assert shell.observer.state is State.SCORING


def test_mistakes_of_the_shell_are_loud() -> None:
    shell = Shell()
    with pytest.raises(RuntimeError, match="outcome of step 1, but the last step was 0"):
        shell.observer.handle(Scored(0.0, 1, Score(1.0)))
    shell.tick(0.0)
    with pytest.raises(RuntimeError, match="Step 1 is SCORING; this outcome belongs to HOLDING or SPEAKING"):
        shell.text(0.1, "x")
    shell.score(0.1)
    with pytest.raises(RuntimeError, match="Step 1 is HOLDING; this outcome belongs to SCORING"):
        shell.score(0.2)


def test_speech_needs_a_score_first() -> None:
    shell = Shell()
    shell.tick(0.0)
    with pytest.raises(AssertionError, match="not asked to speak"):
        _ = shell.observer._flight.remark


# ---------------------------------------------------------------------------------------------------------- playback


def test_what_was_heard_is_kept_by_epoch() -> None:
    shell = Shell()
    shell.says(0.0, CAME)
    assert shell.observer.heard(1) == ""
    assert shell.observer.handle(PlaybackAcked(1.0, 1, 5)) == []
    assert shell.observer.heard(1) == "A man"
    assert shell.observer.handle(PlaybackAcked(1.0, 99, 5)) == []


def test_nothing_is_aborted_without_need() -> None:
    shell = Shell()
    assert not any(isinstance(effect, Abort) for effect in shell.says(0.0, CAME))
