"""Seconds that pass during a reply, several pictures a second, and what the machine hands on to others."""

import pytest

from fakes.media.frames import EPOCH, make_frame
from fakes.observing import CAME, FALLS, GUEST, Shell, grey, kinds, only
from joyvl_server.core.decisions import Skip
from joyvl_server.core.effects import Append, BeginChunk, PrepareChunk, Write
from joyvl_server.core.inputs import ChunkWarmed, ContextLimitChanged, EngineRestarted, WriteFailed, Written
from joyvl_server.core.observer import StepState
from joyvl_server.core.prompt.turns import Look

FULL, GLANCE, SKIP = grey(Look.FULL), grey(Look.GLANCE), grey(Look.SKIP)


def speaking(t: float = 0.0, *, held: bool = False, **config) -> Shell:
    """A reply is on its way."""
    shell = Shell(cooldown_s=0.0, **config)
    shell.tick(t)
    shell.score(t)
    if not held:
        shell.text(t, f"{CAME} He")
    return shell


def backlog(shell: Shell, t: float) -> list[float]:
    return [second.frames[0].t for second in only(shell.tick(t), Append).turn.backlog]


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("how", ["passes", "tick"])
def test_seconds_during_a_reply_go_into_the_next_turn(held, how) -> None:
    shell = speaking(held=held)
    for t in (1.0, 2.0):
        if how == "passes":
            decided = shell.passes(t)
        else:
            flying, (decided,) = shell._flying, shell.tick(t)
            shell._flying = flying
        assert (decided.skipped, decided.t, decided.wall, decided.look) == (Skip.BUSY, t, EPOCH + t, Look.SKIP)
    shell.done(2.5)
    effects = shell.tick(3.0)
    turn = only(effects, Append).turn
    assert [(second.frames[0].t, second.look) for second in turn.backlog] == [(1.0, Look.FULL), (2.0, Look.FULL)]
    assert turn.frame.t == 3.0
    shell.score(3.5, 0.0)
    assert backlog(shell, 4.0) == []


def test_seconds_while_nothing_is_said_are_only_skipped() -> None:
    shell = Shell(chooses=True)
    shell.watch(0.0, GUEST, FALLS)
    assert shell.passes(0.0).skipped is Skip.BUSY
    shell.ask(0.5, "q", "Who is it?")
    shell.tick(1.0)
    for state, go_on in (
        (StepState.CLASSIFYING, lambda: shell.choose(1.2, 1.0, 0.0, 0.0)),
        (StepState.SCORING, lambda: shell.score(1.4)),
        (StepState.ATTRIBUTING, lambda: shell.fail(1.6)),
    ):
        assert shell.observer.state is state
        assert shell.passes(1.1).skipped is Skip.BUSY
        go_on()
    assert backlog(shell, 2.0) == []


def test_engines_that_need_every_frame_get_no_backlog() -> None:
    shell = speaking(needs_every_frame=True)
    assert shell.passes(1.0).skipped is Skip.BUSY
    shell.done(1.5)
    assert backlog(shell, 2.0) == []


def test_a_long_reply_is_thinned_out() -> None:
    shell = speaking()
    for t in range(1, 13):
        shell.passes(float(t))
    shell.done(12.5)
    assert backlog(shell, 13.0) == [1, 3, 5, 7, 9, 10, 11, 12]


def test_the_backlog_of_a_failed_turn_goes_into_the_next() -> None:
    shell = speaking()
    shell.passes(1.0)
    shell.done(1.5)
    assert backlog(shell, 2.0) == [1.0]
    shell.fail(2.1)
    assert backlog(shell, 3.0) == [1.0]
    shell.score(3.1)
    shell.passes(4.0)
    shell.fail(4.1)
    assert backlog(shell, 5.0) == [1.0, 4.0]


def test_pictures_that_are_not_newer_are_not_kept() -> None:
    shell = speaking(5.0)
    for frame_t in (5.0, 3.0):
        assert shell.passes(6.0, frame_t=frame_t).t == frame_t
    shell.done(6.5)
    assert backlog(shell, 7.0) == []


def test_nothing_is_lost_of_a_second_with_several_pictures() -> None:
    shell = speaking()
    shell.passes(1.5, (make_frame(1.0), make_frame(1.25)))
    shell.done(1.7)
    turn = only(shell.tick(2.5, (make_frame(2.0), make_frame(2.25))), Append).turn
    assert [[frame.t for frame in second.frames] for second in turn.seconds] == [[1.0, 1.25, 1.5], [2.0, 2.25, 2.5]]
    assert turn.t == 2.0


def test_a_picture_stands_in_one_second_only() -> None:
    shell = speaking()
    shell.passes(1.0)
    shell.passes(2.0)
    shell.done(2.1)
    turn = only(shell.tick(2.5, (make_frame(2.0),)), Append).turn
    assert [[frame.t for frame in second.frames] for second in turn.seconds] == [[1.0], [2.0, 2.5]]


# ----------------------------------------------------------------------------------------------------------- with gaze


def test_the_gaze_says_what_seconds_of_a_reply_may_cost() -> None:
    shell = speaking()
    gaze = shell.gaze()
    for t, picture in ((1.0, GLANCE), (2.0, SKIP), (3.0, FULL)):
        shell.passes(t, grey=picture)
    assert gaze.looked == [1.0, 3.0]
    shell.done(3.5)
    turn = only(shell.tick(4.0, grey=GLANCE), Append).turn
    assert [(second.frames[0].t, second.look) for second in turn.seconds] == [
        (1.0, Look.GLANCE),
        (3.0, Look.FULL),
        (4.0, Look.GLANCE),
    ]


def test_what_happened_during_a_reply_is_looked_at_though_all_is_still_again() -> None:
    shell = speaking()
    shell.gaze()
    shell.passes(1.0, grey=FULL)
    shell.done(1.5)
    turn = only(shell.tick(2.0, grey=SKIP), Append).turn
    assert [second.look for second in turn.seconds] == [Look.FULL, Look.GLANCE]


def test_a_glance_goes_at_once_also_with_a_still_picture() -> None:
    shell = speaking()
    shell.gaze()
    shell.passes(1.0, grey=GLANCE)
    shell.done(1.5)
    turn = only(shell.tick(2.0, grey=SKIP), Append).turn
    assert turn.look is Look.GLANCE
    assert [second.frames[0].t for second in turn.backlog] == [1.0]


# ------------------------------------------------------------------------------------------------------------- context


def test_the_context_is_told_what_concerns_it() -> None:
    shell = Shell(prepares=True, writes=True, chunk_s=20.0, lead_turns=3, context_tokens=6000)
    seen = []
    for t in range(60):
        effects = shell.silent(float(t))
        seen += effects
        for effect in effects:
            if isinstance(effect, Write):
                outcome = (
                    Written(t + 0.5, effect.draft.id, "A room, and nobody in it.")
                    if t < 30
                    else WriteFailed(t + 0.5, effect.draft.id, "engine", "It failed.")
                )
                seen += shell.observer.handle(outcome)
        prepared = [effect for effect in seen if isinstance(effect, PrepareChunk)]
        if prepared:
            number = prepared[-1].chunk.number
            seen += shell.observer.handle(ChunkWarmed(t + 0.7, number, 100))
    assert {"Write", "PrepareChunk"} <= set(kinds(seen))
    begun = {effect.chunk.number: effect.chunk for effect in seen if isinstance(effect, BeginChunk)}
    assert any("A room, and nobody in it." in chunk.prefix for chunk in begun.values())


def test_a_restarted_engine_gets_a_short_chunk() -> None:
    shell = Shell()
    for t in range(10):
        shell.silent(float(t))
    assert shell.observer.handle(EngineRestarted(9.5)) == []
    assert len(only(shell.tick(10.0), BeginChunk).chunk.lead) <= 2


def test_less_room_makes_a_new_chunk() -> None:
    shell = Shell()
    for t in range(10):
        shell.silent(float(t))
    assert "BeginChunk" not in kinds(shell.silent(10.0))
    assert shell.observer.handle(ContextLimitChanged(10.5, 2048)) == []
    assert "BeginChunk" in kinds(shell.tick(11.0))


def test_a_second_that_passes_though_nobody_speaks_is_only_skipped() -> None:
    shell = speaking()
    shell.done(0.5)
    assert shell.passes(0.7).skipped is Skip.BUSY
    assert backlog(shell, 1.0) == []
