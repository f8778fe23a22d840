"""Chunks: when one ends, what leads the next, what goes first where room is short."""

from dataclasses import replace

import pytest

from fakes.media.frames import make_frame
from fakes.media.sender import BeginChunk, PrepareChunk, Sender, StopWriting, Write
from fakes.server.configs import make_config
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.errors import ConfigError
from joyvl_server.core.prompt.context import ANSWER_RESERVE, SHORT_LEAD, ChunkMove, Context
from joyvl_server.core.prompt.turns import SILENCE, Look, Second, UserTurn
from joyvl_server.core.watches.watches import Watch, watch_set

FALL = Watch("w1", "fall", "Tell me when someone falls")


def times(sender: Sender) -> list[float]:
    return [settled.user.frame.t for settled in sender.context.turns]


# ------------------------------------------------------------------------------------------------- chunks, not prepared


def test_the_first_turn_begins_the_first_chunk_at_model_time_0() -> None:
    sender = Sender()
    sender.composer.watches_changed(watch_set([FALL]))
    assert sender.context.tokens == 0
    chunk, message = sender.second(t=57.3)
    assert message.turn.t == 0.0
    assert (chunk.number, chunk.lead, chunk.origin) == (1, (), 57.3)
    assert "Tell me when someone falls" in chunk.prefix
    assert chunk.prefix.startswith("[Clock] <0.0 seconds> is 2026-01-01 00:00:57 UTC+00:00")
    assert "three actions" in chunk.system
    assert sender.second(t=58.3)[1].turn.t == pytest.approx(1.0)


def test_the_system_prompt_can_be_ones_own_or_without_delegation() -> None:
    own, alone = Sender(system="Be quiet."), Sender(delegation=False)
    assert own.second()[0].system == "Be quiet."
    assert "two actions" in alone.second()[0].system


def test_a_failed_turn_leaves_no_trace() -> None:
    sender = Sender()
    sender.second()
    before = (sender.context.turns, sender.context.tokens)
    sender.second(fails=True)
    assert (sender.context.turns, sender.context.tokens) == before
    sender.second()
    assert times(sender) == [0, 2]


def test_a_chunk_whose_first_turn_failed_begins_again_with_the_same_words() -> None:
    sender = Sender(chunk_s=10.0, lead_turns=3)
    sender.seconds(11)
    first, _ = sender.second(fails=True)
    sender.composer.watches_changed(watch_set([FALL]))
    again, message = sender.second()
    assert (first.number, again.number) == (2, 3)
    assert replace(again, number=2) == first
    assert FALL.text in message.turn.news[0]  # it came after the prefix was written
    assert times(sender) == [8, 9, 10, 12]
    assert sender.second()[0] is None


def test_a_chunk_ends_by_age_and_the_last_turns_lead_the_next() -> None:
    sender = Sender(chunk_s=10.0, lead_turns=3)
    sender.seconds(12)
    chunk = sender.context.chunk
    assert chunk.number == 2
    assert [settled.user.frame.t for settled in chunk.lead] == [8, 9, 10]
    assert times(sender) == [8, 9, 10, 11]
    assert sender.context.turns[-1].user.t == 11.0  # model time goes on


def test_no_lead_where_none_is_wanted() -> None:
    sender = Sender(chunk_s=10.0, lead_turns=0)
    sender.seconds(12)
    assert sender.context.chunk.lead == ()
    assert sender.context.turns[-1].user.t == 0.0


def test_a_chunk_ends_by_budget() -> None:
    sender = Sender(context_tokens=4096, chunk_s=1e9)
    for _ in range(60):
        sender.second()
        assert sender.context.tokens <= 4096
    assert sender.context.chunk.number > 2


def test_model_time_restarts_at_the_first_switch_after_two_hours() -> None:
    sender = Sender(chunk_s=10.0, lead_turns=2, model_time_s=20.0)
    sent = [sender.second()[1].turn for _ in range(40)]
    restarts = [turn.frame.t for before, turn in zip(sent, sent[1:], strict=False) if turn.t < before.t]
    assert restarts == [33.0]  # chunks begin at 0, 11, 22, 33; the lead of the last begins at 31
    assert sent[33].t == 2.0
    assert [settled.user.t for settled in sender.context.turns][:2] == [0.0, 1.0]


def test_time_that_jumps_back_begins_a_new_chunk_and_history_stays_as_old_as_it_is() -> None:
    sender = Sender(writes=True)
    sender.second(t=100.0)
    sender.composer.said(100.0, "A man came in.", ())
    sender.second(t=101.0)
    chunk, message = sender.second(t=3.0)
    assert message.turn.t == 0.0
    assert times(sender) == [3]
    assert "[Response 1 minute before] A man came in." in chunk.prefix
    assert "<1 minute before> <1 minute before> A man came in." in chunk.prefix


def test_time_may_jump_back_before_anything_has_settled() -> None:
    sender = Sender()
    sender.second(t=100.0, fails=True)
    chunk, message = sender.second(t=3.0)
    assert (chunk.origin, message.turn.t) == (3.0, 0.0)


def test_history_in_the_prefix_ends_where_the_lead_begins() -> None:
    sender = Sender(chunk_s=10.0, lead_turns=3)
    for t in range(12):
        sender.second()
        sender.composer.said(t, f"remark {t}", ())
    prefix = sender.context.chunk.prefix
    assert "[Response@7.0 seconds] remark 7" in prefix
    assert "remark 8" not in prefix
    assert "[Video History]" not in prefix  # this engine writes nothing


def test_an_open_query_stands_in_the_prefix_unless_the_lead_shows_it() -> None:
    sender = Sender(chunk_s=10.0, lead_turns=3)
    for t in range(12):
        if t in (2, 9):
            sender.composer.ask(f"q{t}", {2: "Who?", 9: "Why?"}[t], t)
        sender.second()
    assert "Who?" in sender.context.chunk.prefix
    assert "Why?" not in sender.context.chunk.prefix


def test_a_budget_too_small_for_the_system_prompt_is_refused_with_a_number() -> None:
    with pytest.raises(ConfigError, match=r"context budget of 2048 tokens is too small .* raise it to \d+") as refused:
        Context(ObserverConfig(context_tokens=2048, system="word " * 1000))
    least = int(str(refused.value).split("raise it to ")[1].split()[0])
    Context(ObserverConfig(context_tokens=least, system="word " * 1000))
    Context(ObserverConfig(context_tokens=2048))


def test_wrong_order_is_a_mistake_of_the_caller() -> None:
    context = Context(ObserverConfig())
    turn = UserTurn(1, 0.0, make_frame(0))
    assert context.move(turn) is ChunkMove.NEW
    with pytest.raises(RuntimeError, match="before the first chunk"):
        context.append(turn)
    with pytest.raises(RuntimeError, match="no turn to settle"):
        context.settle(SILENCE)
    with pytest.raises(RuntimeError, match="no turn to roll back"):
        context.rollback()
    context.begin(context.make("", (), 0.0), 0.0)
    context.append(turn)
    with pytest.raises(RuntimeError, match="append a turn: the turn before"):
        context.append(turn)
    with pytest.raises(RuntimeError, match="begin a chunk: the turn before"):
        context.begin(context.make("", (), 0.0), 0.0)


# ------------------------------------------------------------------------------------------------------- room, backlog


def seconds(*starts: float, pictures: int = 1) -> tuple[Second, ...]:
    return tuple(Second(tuple(make_frame(t + n / 10) for n in range(pictures)), Look.FULL) for t in starts)


def test_seconds_that_passed_go_into_the_turn_under_their_own_times() -> None:
    sender = Sender()
    sender.second()
    burst = (make_frame(4.0), make_frame(4.5))
    stale = seconds(0.0, 9.0)  # before the last turn, after this one
    _, message = sender.second(t=4.9, burst=burst, backlog=seconds(1.0, 2.0, 3.0) + stale)
    assert [second.frames[0].t for second in message.turn.backlog] == [1.0, 2.0, 3.0]
    assert message.turn.t == 4.0  # of the first picture of its second
    assert len(message.turn.seconds[-1].frames) == 3


def test_where_not_even_a_new_chunk_has_room_the_oldest_seconds_go_first_then_the_burst() -> None:
    sender = Sender(context_tokens=4096)
    sender.seconds(3)
    chunk, message = sender.second(t=20.0, backlog=seconds(*range(4, 12), pictures=2))
    assert len(chunk.lead) <= 1
    assert [second.frames[0].t for second in message.turn.backlog] == [8.0, 9.0, 10.0, 11.0]
    assert sender.context.tokens + ANSWER_RESERVE <= 4096
    burst = tuple(make_frame(39.0 + n / 100) for n in range(20))
    _, message = sender.second(t=40.0, burst=burst, backlog=seconds(21.0))
    assert (message.turn.backlog, len(message.turn.burst)) == ((), 9)
    assert message.turn.t == pytest.approx(burst[-9].t - sender.context.origin)
    assert sender.context.tokens + ANSWER_RESERVE <= 4096


def test_a_context_keeps_to_the_room_that_the_engine_has() -> None:
    sender = Sender(chunk_s=1e9)
    sender.seconds(40)
    assert sender.context.tokens > 4000
    sender.context.set_limit(4000)
    chunk, _ = sender.second()
    assert len(chunk.lead) >= 3
    assert sender.context.tokens + ANSWER_RESERVE <= 4000
    sender.context.set_limit(100)
    assert sender.context.budget.tokens > 1000  # less would be no context at all
    sender.context.set_limit(10**6)
    assert sender.context.budget.tokens == sender.config.context_tokens


def test_an_engine_that_lost_its_cache_gets_a_short_chunk() -> None:
    sender = Sender(prepares=True, writes=True)
    sender.until(Write)
    sender.composer.said(sender.t, "A man came in.", ())
    sender.context.restart()
    chunk, _ = sender.second()
    assert len(chunk.lead) == SHORT_LEAD
    assert [type(effect) for effect in sender.effects] == [StopWriting, BeginChunk]
    assert sender.second()[0] is None


def test_nothing_is_prepared_between_the_loss_of_the_cache_and_the_short_chunk() -> None:
    sender = Sender(prepares=True)
    sender.until(PrepareChunk)
    sender.warms()
    _, message = sender.composer.compose(10**6, make_frame(sender.t + 1), Look.FULL)
    sender.context.append(message.turn)
    sender.context.restart()
    sender.context.settle(SILENCE)
    assert sender.composer.settled(message) == []
    assert sender.context.prepared is None


# -------------------------------------------------------------------------------------------------- the prepared chunk


def test_the_next_chunk_is_prepared_while_the_present_one_goes_on_and_switched_to_when_warm() -> None:
    sender = Sender(prepares=True, lead_turns=3)
    prepared = sender.until(PrepareChunk).chunk
    assert len(prepared.lead) == 1
    sender.warms()
    assert sender.second()[0] is None  # the lead is too short
    sender.second()
    sender.warms(2)
    assert sender.second()[0] is None  # and not all of it is warm
    sender.warms()
    chunk, _ = sender.second()
    assert (chunk.number, chunk.prefix, chunk.origin) == (prepared.number, prepared.prefix, prepared.origin)
    assert len(chunk.lead) == 4
    assert chunk.lead[:1] == prepared.lead
    assert sender.mirror.switched == 1


def test_word_of_another_chunk_says_nothing_about_this_one() -> None:
    sender = Sender(prepares=True, lead_turns=0)
    prepared = sender.until(PrepareChunk).chunk
    sender.mirror.prepared.chunk = replace(prepared, number=prepared.number - 1)
    sender.warms()
    sender.mirror.prepared.chunk = prepared
    assert sender.second()[0] is None


def test_a_full_chunk_is_left_also_where_the_next_one_is_cold() -> None:
    sender = Sender(prepares=True, chunk_s=1e9)
    number = sender.until(PrepareChunk).chunk.number
    begun = sender.until(BeginChunk).chunk
    assert begun.number == number
    assert len(begun.lead) >= 6
    assert sender.context.chunk is begun


@pytest.mark.parametrize(("most", "longest"), [(24_000, 6600), (6200, 6200), (None, 6000)])
def test_a_share_is_overdrawn_a_little_while_the_next_chunk_is_warmed(most, longest) -> None:
    sender = Sender(prepares=True, chunk_s=1e9)
    sender.context.set_limit(6000, most)
    sender.until(PrepareChunk)
    number, seen = sender.context.chunk.number, 0
    while sender.context.chunk.number == number:
        seen = max(seen, sender.context.tokens)
        sender.second()
    turn = sender.context.present.size
    assert longest - ANSWER_RESERVE - turn < seen <= longest - ANSWER_RESERVE


def test_the_lead_takes_at_most_a_third_of_the_room() -> None:
    sender = Sender(prepares=True, context_tokens=4000, chunk_s=1e9)
    sender.until(PrepareChunk)
    begun = sender.until(BeginChunk).chunk
    assert 2 <= len(begun.lead) <= 5


def test_a_chunk_near_its_age_is_prepared_too() -> None:
    sender = Sender(prepares=True, chunk_s=100.0, lead_turns=3)
    sender.until(PrepareChunk, width=384, height=216)
    assert 88 <= sender.t <= 93
    sender.warms()
    sender.second()
    sender.second()
    sender.warms()
    assert sender.second()[0] is not None


def test_watches_that_change_while_a_chunk_is_prepared_are_told_in_its_lead() -> None:
    sender = Sender(prepares=True, lead_turns=2)
    sender.composer.watches_changed(watch_set([FALL]))
    prepared = sender.until(PrepareChunk).chunk
    assert FALL.text in prepared.prefix
    comes = Watch("w2", "comes", "Tell me when someone comes")
    sender.composer.watches_changed(watch_set([comes]))
    sender.second()
    sender.warms()
    chunk, message = sender.second()
    assert comes.text not in chunk.prefix
    assert chunk.lead[-1].user.news[0] == "[Instruction ended] Tell me when someone falls"
    assert comes.text in chunk.lead[-1].user.news[1]
    assert message.turn.news == ()


def test_a_watch_not_told_yet_when_the_next_chunk_is_prepared_is_told_in_its_lead() -> None:
    sender = Sender(prepares=True, lead_turns=0, writes=True)
    sender.until(Write)
    sender.second()
    sender.composer.watches_changed(watch_set([FALL]))
    (effect,) = sender.writes("A quiet hall.")
    assert FALL.text not in effect.chunk.prefix
    sender.second()
    sender.warms()
    chunk, _ = sender.second()
    assert any(FALL.text in line for settled in chunk.lead for line in settled.user.news)


def test_model_time_restarts_in_a_prepared_chunk() -> None:
    sender = Sender(prepares=True, lead_turns=2, model_time_s=40.0)
    prepared = sender.until(PrepareChunk).chunk
    assert prepared.lead[0].user.t == 0.0
    assert prepared.origin == prepared.lead[0].user.frame.t
    sender.second()
    assert sender.context.turns[-1].user.t > 40.0
    sender.warms()
    chunk, message = sender.second()
    assert [settled.user.t for settled in chunk.lead] == [0.0, 1.0]
    assert message.turn.t == 2.0


def test_a_prepared_chunk_that_the_room_does_not_hold_any_more_is_dropped() -> None:
    sender = Sender(prepares=True, lead_turns=30)
    sender.until(PrepareChunk)
    sender.seconds(12)
    assert sender.context.prepared is not None
    sender.context.set_limit(2000)
    assert sender.context.prepared is None
    chunk, _ = sender.second()
    assert chunk.number > sender.mirror.began[0].number + 1
    assert sender.context.tokens + ANSWER_RESERVE <= 2000


def test_a_turn_that_fits_neither_chunk_begins_one_of_its_own() -> None:
    sender = Sender(prepares=True, context_tokens=4000, chunk_s=1e9)
    number = sender.until(PrepareChunk).chunk.number
    chunk, message = sender.second(t=720.0, backlog=seconds(*range(700, 708), pictures=2))
    assert chunk.number > number
    assert len(message.turn.backlog) == 4


def test_a_chunk_that_would_leave_no_room_for_a_turn_is_not_prepared() -> None:
    context = Context(make_config(context_tokens=2048, prepares=True))
    turn = UserTurn(1, 0.0, make_frame(0))
    context.begin(context.make("", (), 0.0), 0.0)
    context.append(turn)
    context.settle(SILENCE)
    assert context.prepare(context.make("word " * 100, context.turns, 0.0))
    assert not context.prepare(context.make("word " * 2000, context.turns, 0.0))


def test_a_cold_chunk_is_small_where_the_engine_keeps_prefixes_warm() -> None:
    begun = {}
    for prepares in (True, False):
        sender = Sender(prepares=prepares, writes=True, lead_turns=4, chunk_s=1e9, memory_tokens=4000)
        summaries = sender.composer._rollover.summaries
        for start in range(-600, 0, 60):
            summaries._log.write((summaries.cover(start, start + 59.0),), "It stayed quiet. " * 40, 0.0)
        sender.until(Write)
        sender.seconds(5)
        begun[prepares], _ = sender.second(t=5000.0, backlog=seconds(*range(4900, 4908), pictures=4))
    cold, plain = begun[True], begun[False]
    assert (len(cold.lead), len(plain.lead)) == (4, 5)
    assert cold.prefix.count("before> It stayed") == 3
    assert plain.prefix.count("before> It stayed") > 6


# -------------------------------------------------------------------------------- where the engine finds it too long


def test_a_prompt_found_too_long_is_followed_by_a_short_chunk() -> None:
    sender = Sender()
    sender.seconds(10)
    sender.second(fails=True)
    sender.context.too_long()
    chunk, _ = sender.second()
    assert len(chunk.lead) == SHORT_LEAD
    assert len(sender.context.turns) == SHORT_LEAD + 1


def test_where_that_is_too_long_too_it_begins_without_any_earlier_turn() -> None:
    sender = Sender()
    sender.seconds(10)
    for lead in (SHORT_LEAD, 0):
        sender.context.too_long()
        chunk, _ = sender.second(fails=True)
        assert len(chunk.lead) == lead
    sender.context.too_long()
    chunk, _ = sender.second()
    assert chunk.lead == ()
    sender.seconds(3)
    assert len(sender.context.turns) == 4


def test_where_the_budget_is_at_its_least_every_turn_stands_alone_until_there_is_more_room() -> None:
    sender = Sender()
    sender.context.set_limit(1)
    sender.seconds(2)
    sender.context.too_long()
    for _ in range(4):
        chunk, _ = sender.second()
        assert chunk is not None
        assert chunk.lead == ()
    sender.context.set_limit(20_000)
    sender.second()
    sender.second()
    assert len(sender.context.turns) > 1
