"""Summaries that nobody waits for: asked for at the cut, retried with bounds, replaced by what was said."""

import pytest

from fakes.media.frames import make_frame
from fakes.media.sender import BeginChunk, PrepareChunk, Sender, StopWriting, Write
from joyvl_server.core.inputs import PastForgotten
from joyvl_server.core.prompt.summaries import GIVE_UP_AFTER, MAX_ATTEMPTS, MAX_LATE, MAX_TURNS, RETRY_TURNS
from joyvl_server.core.prompt.turns import Draft, Look
from joyvl_server.core.watches.watches import Watch, watch_set

HALL = "A quiet hall with two doors."


def writer(**config) -> Sender:
    return Sender(**{"prepares": True, "writes": True, "lead_turns": 2, **config})


def history(prefix: str) -> list[str]:
    """The lines of `[Video History]`."""
    blocks = [block for block in prefix.split("\n\n") if block.startswith("[Video History]")]
    return blocks[0].split("\n")[1:] if blocks else []


def switch(sender: Sender) -> str:
    """Warm what is prepared until it is the present chunk; its prefix."""
    for _ in range(60):
        if sender.mirror.prepared is not None:
            sender.warms()
        chunk, _ = sender.second()
        if chunk is not None:
            return chunk.prefix
    raise AssertionError("no switch")


def test_the_turns_before_the_cut_are_summed_up_and_the_summary_stands_in_the_next_chunk() -> None:
    sender = writer(language="de-DE", summary_tokens=100)
    sender.composer.watches_changed(watch_set([Watch("w", "fall", "Tell me when someone falls")]))
    draft = sender.until(Write).draft
    cut = sender.t
    assert draft.turns == sender.context.turns
    assert (draft.chunk, draft.max_tokens) == (sender.context.chunk, 100)
    assert "German" in draft.instruction
    assert "at most 50 words" in draft.instruction
    assert "- Tell me when someone falls" in draft.instruction
    assert "Write" not in [type(effect).__name__ for effect in sender.seconds(2)]
    (prepare,) = sender.writes(f"</response> {HALL} [Clock] At <12.0 seconds> a man came.")
    assert history(prepare.chunk.prefix) == [
        f"<0.0 seconds ~ {cut:.1f} seconds> {HALL} (Clock) At <12.0 seconds> a man came."
    ]
    assert [settled.user.frame.t for settled in prepare.chunk.lead] == [cut + 1, cut + 2]
    assert switch(sender) == prepare.chunk.prefix
    assert sender.until(Write).draft.chunk == sender.context.chunk  # the lead is summed up with its own chunk
    sender.second()
    (prepare,) = sender.writes("Nothing changed.")
    first, second = history(prepare.chunk.prefix)
    assert HALL in first
    assert second.startswith(f"<{cut + 1:.1f} seconds ~ ")


def test_a_summary_that_comes_during_a_turn_is_used_after_it() -> None:
    sender = writer()
    sender.until(Write)
    sender.second()
    effects, message = sender.composer.compose(9999, make_frame(sender.t + 1), Look.FULL)
    sender.context.append(message.turn)
    assert sender.writes(HALL) == effects == []
    sender.context.settle("</silence>")
    (prepare,) = sender.composer.settled(message)
    assert HALL in prepare.chunk.prefix


def test_where_the_summary_is_late_what_was_said_takes_its_place_until_the_chunk_after() -> None:
    sender = writer()
    sender.composer.watches_changed(watch_set([Watch("w", "sits", "Tell me when someone sits down", paused=True)]))
    sender.composer.said(3.0, "A man came in.", ())
    sender.composer.said(5.0, "A man sat down.", ("w",))
    draft = sender.until(Write).draft
    prefix = sender.until(PrepareChunk).chunk.prefix
    (line,) = history(prefix)
    assert line.endswith("<3.0 seconds> A man came in. <5.0 seconds> sits: A man sat down.")
    assert sender.writes(HALL, draft.id) == []
    assert history(switch(sender)) == [line]
    sender.until(Write)
    sender.second()
    (prepare,) = sender.writes("Nothing changed.")
    assert HALL in history(prepare.chunk.prefix)[0]
    assert "sat down" not in history(prepare.chunk.prefix)[0]


def test_a_draft_whose_chunk_is_left_is_stopped_and_still_taken_if_it_comes() -> None:
    sender = writer()
    draft = sender.until(Write).draft
    begun = sender.until(BeginChunk)
    assert StopWriting(draft.id) in sender.effects
    assert history(begun.chunk.prefix) == []
    sender.writes(HALL, draft.id)
    sender.writes("Twice", draft.id)
    sender.until(Write)
    sender.second()
    (prepare,) = sender.writes("Nothing changed.")
    assert HALL in history(prepare.chunk.prefix)[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "</silence>",
        "I can't help with that.",
        "Es tut mir leid, das geht nicht.",
        "the " * 60,
        "?!?! 0000",
        "aaaaaa",
    ],
)
def test_what_is_no_summary_is_asked_for_again_and_given_up_in_the_end(text) -> None:
    sender = writer(chunk_s=1e9)
    sender.until(Write)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        sender.second()
        effects = sender.writes(text) if attempt % 2 else sender.fails_to_write()
        # The next chunk is prepared without it as soon as it has failed once.
        assert [type(effect) for effect in effects] == ([PrepareChunk] if attempt == 1 else [])
        if attempt < MAX_ATTEMPTS:
            wrote = [effect for effect in sender.seconds(RETRY_TURNS) if isinstance(effect, Write)]
            assert len(wrote) == 1
    assert history(sender.until(BeginChunk).chunk.prefix) == []
    assert not any(isinstance(effect, Write) for effect in sender.seconds(8))


def test_a_retry_that_waits_when_the_chunk_is_left_is_never_sent() -> None:
    sender = writer()
    sender.until(Write)
    sender.until(PrepareChunk)
    sender.fails_to_write()
    sender.context.restart()
    effects = sender.seconds(RETRY_TURNS + 1)
    assert not any(isinstance(effect, Write | StopWriting) for effect in effects)


def test_words_about_unknown_drafts_are_ignored() -> None:
    sender = writer()
    sender.seconds(3)
    assert sender.writes("x", "draft_7") == []
    assert sender.fails_to_write("draft_7") == []


def test_a_draft_is_given_up_after_many_turns() -> None:
    sender = writer(chunk_s=1e9, context_tokens=200_000, lead_turns=200)
    draft = sender.until(Write, limit=1000).draft
    effects = sender.seconds(MAX_TURNS)
    assert StopWriting(draft.id) in effects
    assert sum(isinstance(effect, Write | StopWriting) for effect in effects) == 1


def test_a_draft_too_long_for_the_room_that_is_left_is_stopped() -> None:
    sender = writer()
    sender.until(Write)
    wanted = sender.composer._rollover.summaries
    assert wanted.settled((), sender.context.tokens, 400) == [StopWriting(sender.draft.id)]
    assert wanted.settled((), sender.context.tokens, 400) == []


def test_a_late_text_keeps_its_times_where_time_jumped_back() -> None:
    sender = writer(memory_tokens=600, summary_tokens=100)
    draft = filled(sender)
    sender.second(t=5.0)
    sender.writes("At <1.0 seconds> it began.", draft.id)
    sender.until(Write)
    sender.second()
    line = history(sender.writes("Nothing changed.")[0].chunk.prefix)[0]
    assert "minutes before> it began." in line


def test_late_texts_are_waited_for_within_bounds() -> None:
    sender = writer()
    ids = []
    while len(ids) <= MAX_LATE:
        ids.append(sender.until(Write).draft.id)
        sender.until(BeginChunk)
    for draft_id in ids:
        sender.writes(f"{HALL} It was {draft_id}.", draft_id)
    lines = history(sender.until(PrepareChunk).chunk.prefix)
    assert len(lines) == MAX_LATE
    assert not any(ids[0] in line for line in lines)


def test_summaries_that_always_come_too_late_are_not_waited_for() -> None:
    sender = writer()
    for _ in range(GIVE_UP_AFTER):
        asked = sender.until(Write)
        sender.seconds(1)
        assert sender.context.prepared is None
        switch(sender)
    asked = sender.until(Write)
    sender.seconds(1)
    assert sender.context.prepared is not None
    sender.writes(HALL, asked.draft.id)
    switch(sender)
    sender.until(Write)
    sender.seconds(1)
    assert sender.context.prepared is None  # one came in time: worth waiting for again


def test_an_engine_that_keeps_no_prefix_warm_gets_its_summaries_too() -> None:
    sender = writer(prepares=False)
    sender.until(Write)
    assert not any(isinstance(effect, PrepareChunk) for effect in sender.seconds(5))
    sender.writes(HALL)
    begun = sender.until(BeginChunk).chunk
    assert HALL in begun.prefix
    assert len(begun.lead) >= 15  # all that the summary does not tell


def test_nothing_is_written_where_there_is_no_room_for_history_or_no_writer() -> None:
    for config in ({"memory_tokens": 0}, {"writes": False}):
        sender = writer(**config)
        sender.composer.said(1.0, "A man came in.", ())
        effects = sender.seconds(200)
        assert any(isinstance(effect, PrepareChunk) for effect in effects)
        assert not any(isinstance(effect, Write) for effect in effects)
        assert history(sender.context.chunk.prefix) == []


def test_what_fits_no_draft_is_told_by_what_was_said() -> None:
    sender = writer(context_tokens=4000, chunk_s=1e9)
    sender.composer.said(0.0, "A man came in.", ())
    while sender.context.tokens < 2300:
        assert not sender.seconds(1)[1:]
    sender.second(said=f"</response> {'word ' * 690}")
    assert sender.context.cut is not None
    assert sender.effects == []
    assert "A man came in" in sender.until(BeginChunk, limit=2).chunk.prefix


# ------------------------------------------------------------------------------------------------- long-term accounts


def filled(sender: Sender) -> Draft:
    """Summaries until there are too many; the draft of an account of the oldest."""
    for number in range(3000):
        sender.second()
        if sender.mirror.prepared is not None:
            sender.warms()
        for draft in list(sender.mirror.drafts.values()):
            if draft.chunk is None:
                return draft
            sender.writes(f"Part {number}: at <{sender.t:.1f} seconds> {HALL} " + "It stayed quiet. " * 8, draft.id)
    raise AssertionError("no account")


def account_of(sender: Sender) -> list[str]:
    """The history of the next chunk."""
    sender.until(Write)
    sender.second()
    (prepare,) = sender.writes("Nothing changed.")
    return history(prepare.chunk.prefix)


def test_the_oldest_summaries_become_one_account() -> None:
    sender = writer(memory_tokens=600, summary_tokens=100)
    sender.composer.watches_changed(watch_set([Watch("w", "fall", "Tell me when someone falls")]))
    draft = filled(sender)
    assert (draft.chunk, draft.turns, draft.max_tokens) == (None, (), 100)
    assert "log of a long video" in draft.system
    assert "- Tell me when someone falls" in draft.instruction
    assert draft.instruction.count("Part ") == 2
    sender.writes("Two quiet parts.", draft.id)
    lines = account_of(sender)
    assert lines[0].startswith("<0.0 seconds ~ ")
    assert lines[0].endswith("Two quiet parts.")
    assert sum("Part " in line for line in lines) >= 2


def test_an_account_that_cannot_be_written_is_made_of_the_beginnings() -> None:
    sender = writer(memory_tokens=600, summary_tokens=100)
    filled(sender)
    for _ in range(MAX_ATTEMPTS - 1):
        sender.fails_to_write()
        assert any(isinstance(effect, Write) for effect in sender.seconds(RETRY_TURNS))
    sender.writes("I cannot do that.")
    line = account_of(sender)[0]
    assert line.count("Part ") == 2
    assert "… Part " in line


def test_an_account_that_never_comes_is_given_up() -> None:
    sender = writer(memory_tokens=600, summary_tokens=100, prepares=True)
    draft = filled(sender)
    effects = sender.seconds(MAX_TURNS)
    assert StopWriting(draft.id) in effects
    sender.writes("Two quiet parts.", draft.id)  # too late: they are one already


@pytest.mark.parametrize("failed_before", [False, True])
def test_an_account_of_what_is_forgotten_is_not_asked_for_again(failed_before: bool) -> None:
    sender = writer(memory_tokens=600, summary_tokens=100)
    filled(sender)
    for fails in (failed_before, not failed_before):
        if fails:
            sender.fails_to_write()
        else:
            sender.composer.take(PastForgotten(sender.t, 0.0, 20.0))
    effects = sender.seconds(RETRY_TURNS + 1)
    assert not [effect for effect in effects if isinstance(effect, Write) and effect.draft.chunk is None]


def test_an_account_larger_than_the_room_is_made_of_the_beginnings_at_once() -> None:
    sender = writer(memory_tokens=600, summary_tokens=100)
    summaries = sender.composer._rollover.summaries
    for start in (0.0, 10.0, 20.0):
        number = summaries.cover(start, start + 10)
        summaries._log.write((number,), f"From {start}: " + "words " * 80, 0.0)
    assert summaries.settled((), 300, 300) == []
    assert "From 0.0" in summaries.lines(0.0, 600)[0]
    assert "… From 10.0" in summaries.lines(0.0, 600)[0]


def test_it_all_stays_bounded() -> None:
    sender = writer(memory_tokens=600, summary_tokens=100, context_tokens=5000)
    for _ in range(1500):
        sender.second()
        if sender.t % 7 == 0:
            sender.composer.said(sender.t, f"It is {sender.t}.", ())
        for draft_id in list(sender.mirror.drafts):
            if sender.t % 3 == 0:
                sender.writes(f"At {sender.t}: " + "It stayed quiet. " * 8, draft_id)
    summaries = sender.composer._rollover.summaries
    assert len(summaries._log) <= 96
    assert len(summaries._log._events) <= 256
    assert len(summaries._late) <= MAX_LATE
    assert len(history(sender.context.chunk.prefix)) <= 20
    assert sender.mirror.switched + len(sender.mirror.began) > 60


@pytest.mark.parametrize("outcome", ["?!?! 0000", None])
def test_a_summary_that_fails_once_is_not_waited_for_so_the_next_chunk_is_warm_in_time(outcome: str | None) -> None:
    sender = writer(chunk_s=1e9, context_tokens=12_000)
    for _ in range(12):  # it learns that warming takes no time at all
        sender.until(Write)
        sender.second()
        sender.writes(HALL)
        switch(sender)
    sender.until(Write)
    sender.second()
    effects = sender.fails_to_write() if outcome is None else sender.writes(outcome)
    assert isinstance(effects[0], PrepareChunk)
    assert sender.context.left > 4
    # What a later try brings stands in the chunk after this one.
    retried = sender.until(Write).draft
    sender.writes(HALL, retried.id)
    assert HALL in switch(sender)
    sender.until(Write)
    sender.second()
    (prepare,) = sender.writes("Nothing changed.")
    assert history(prepare.chunk.prefix)[-2].endswith(HALL)


def test_what_is_remembered_is_told_to_who_asks() -> None:
    sender = writer()
    assert sender.composer.remembered() == []
    sender.until(Write)
    sender.writes(HALL)
    assert [summary.text for summary in sender.composer.remembered()] == [HALL]
