"""The machine: ticks, watches, failures."""

from dataclasses import replace

import pytest

from fakes.media.frames import EPOCH, make_frame
from fakes.observing import AT_DOOR, CAME, ELSEWHERE, GUEST, Shell, grey, kinds, only
from joyvl_server.core.decisions import Decision, Pressure, Score, Skip, Suppressed, Urgency
from joyvl_server.core.effects import (
    Append,
    AskScore,
    BeginChunk,
    Decided,
    QueryClosed,
    Rollback,
    Settle,
    UtteranceDone,
)
from joyvl_server.core.inputs import EngineFailed, PressureChanged, SaidDone, Scored, TextDelta, Tick, TickSkipped
from joyvl_server.core.observer import StepState
from joyvl_server.core.prompt.turns import Look
from joyvl_server.core.watches.watches import Watch

# ---------------------------------------------------------------------------------------------------------------- ticks


def test_the_first_tick_begins_a_chunk_and_asks_for_a_score() -> None:
    shell = Shell()
    effects = shell.tick(5.0)
    assert kinds(effects) == ["BeginChunk", "Append", "AskScore"]
    assert only(effects, Append).turn.frame.t == 5.0
    assert only(effects, AskScore) == AskScore(1)
    assert shell.observer.state is StepState.SCORING
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
            threshold=0.5,
            score=0.49,
            kind="move",
            zone="left",
            box=AT_DOOR,
            change=1.0,
        ),
    ]
    assert shell.observer.state is StepState.IDLE


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
    assert shell.observer.state is StepState.SCORING


def test_a_picture_is_looked_at_as_the_gaze_says() -> None:
    shell = Shell()
    gaze = shell.gaze()
    still = only(shell.tick(0.0, grey=grey(Look.SKIP)), Decided)
    assert (still.skipped, still.change, still.look) == (Skip.STILL, 0.25, Look.SKIP)
    assert only(shell.tick(1.0, grey=grey(Look.GLANCE)), Append).turn.look is Look.GLANCE
    assert only(shell.score(1.1, 0.0), Decided).look is Look.GLANCE
    assert gaze.looked == [1.0]


def test_a_frame_of_a_failed_turn_was_not_looked_at() -> None:
    shell = Shell()
    gaze = shell.gaze()
    shell.tick(0.0, grey=grey(Look.FULL))
    shell.fail(0.1)
    assert gaze.looked == []
    shell.tick(1.0, grey=grey(Look.FULL))
    shell.score(1.1)
    assert gaze.looked == [1.0]
    shell.fail(1.2)  # the model weighed it, but it is gone: it is looked at again
    shell.tick(2.0, grey=grey(Look.FULL))
    shell.fail(2.1)
    shell.tick(3.0, grey=grey(Look.FULL))
    shell.score(3.1, 0.0)
    shell.tick(4.0, grey=grey(Look.FULL))
    assert gaze.wanted == [False, False, True, True, False]


def test_what_was_not_told_yet_is_looked_at_in_full() -> None:
    shell = Shell()
    gaze = shell.gaze()
    shell.watch(0.5, GUEST)
    shell.tick(1.0, grey=grey(Look.FULL))
    assert gaze.wanted == [True]


def test_the_gaze_knows_of_pressure_and_of_watches_that_depend_on_time() -> None:
    shell = Shell()
    gaze = shell.observer._sampler.gaze
    assert shell.observer.handle(PressureChanged(0.0, Pressure.SLOWER)) == []
    assert gaze.pressure is Pressure.SLOWER
    oven = Watch("oven", "oven", "Tell me when the oven was on for 5 minutes")
    shell.watch(0.0, GUEST, oven)
    assert gaze.timed
    shell.watch(1.0, GUEST, replace(oven, paused=True))
    assert not gaze.timed


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
    shell.configure(0.5, threshold=0.3)
    assert only(shell.says(1.0, CAME, 0.3), Decided).decision is Decision.SPEAK


def test_what_pictures_may_cost_changes_with_the_next_one() -> None:
    shell = Shell()
    looks = []
    for t, fidelity in enumerate(["faithful", "faithful", "adaptive", "adaptive", "faithful", "eco"]):
        assert shell.configure(t, fidelity=fidelity) == []
        looks.append(only(shell.tick(float(t), glance=True), Append).turn.look)
        shell.score(t + 0.1, 0.0)
    assert looks == [Look.FULL, Look.FULL, Look.GLANCE, Look.GLANCE, Look.FULL, Look.GLANCE]


# -------------------------------------------------------------------------------------------------------------- watches


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


def test_watches_before_the_first_tick_stand_in_the_prefix_and_later_ones_in_the_turn() -> None:
    shell = Shell()
    assert shell.watch(0.0, GUEST) == []
    first = shell.tick(1.0) + shell.score(1.0, 0.0)
    assert GUEST.text in only(first, BeginChunk).chunk.prefix
    shell.watch(1.5, GUEST, Watch("fall", "fall", "Tell me when someone falls"))
    assert "Tell me when someone falls" in "".join(only(shell.tick(2.0), Append).turn.news)


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("until", [StepState.SCORING, StepState.HOLDING])
def test_a_failure_before_anything_was_shown_rolls_back(until) -> None:
    shell = Shell()
    shell.silent(0.0)
    shell.tick(1.0)
    if until is StepState.HOLDING:
        shell.score(1.1, 0.9)
        shell.text(1.2, "A man")
    assert shell.observer.state is until
    effects = shell.fail(1.3)
    assert kinds(effects) == ["Rollback", "Decided"]
    assert only(effects, Rollback) == Rollback(2)
    decided = only(effects, Decided)
    assert (decided.skipped, decided.decision, decided.detail) == (Skip.FAILED, Decision.SILENT, "It took too long.")
    assert decided.score == (None if until is StepState.SCORING else 0.9)
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
    assert shell.observer.state is StepState.SCORING


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


def test_what_is_no_input_is_refused() -> None:
    with pytest.raises(AssertionError):
        Shell().observer.handle("Tick")


def test_a_prompt_that_the_engine_found_too_long_is_followed_by_a_short_chunk() -> None:
    shell = Shell()
    for t in range(10):
        shell.silent(float(t))
    shell.tick(10.0)
    effects = shell.observer.handle(EngineFailed(10.0, shell.step, "engine_context", "The context is too long."))
    assert only(effects, Decided).skipped is Skip.FAILED
    begun = only(shell.tick(11.0), BeginChunk)
    assert len(begun.chunk.lead) < 5
    assert "BeginChunk" not in kinds(shell.score(11.0, 0.0) + shell.tick(12.0))
