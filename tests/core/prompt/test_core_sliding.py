"""A chunk that begins with the newest pictures at each turn: what it sends, and how it tells the rest in words."""

from __future__ import annotations

import pytest

from fakes.media.frames import make_frame
from fakes.media.sender import PrepareChunk, Sender, Write
from fakes.observing import Shell, kinds, only
from joyvl_server.core.effects import Append, BeginChunk
from joyvl_server.core.inputs import PictureLimitChanged
from joyvl_server.core.prompt.picture_limit import PictureLimit
from joyvl_server.core.prompt.summary_log import MAX_CHANGES
from joyvl_server.core.prompt.turns import SILENCE, Chunk, Look, Second
from joyvl_server.core.replay import decode_input, encode_input
from joyvl_server.core.watches.watches import Watch, watch_set

FALL = Watch("w1", "fall", "Tell me when someone falls")


def sliding(most: int, fresh: int | None = None, **config: object) -> Sender:
    sender = Sender(**{"writes": True, **config})
    sender.context.limit_pictures(PictureLimit(most, fresh))
    return sender


def history(chunk: Chunk) -> list[str]:
    blocks = [block for block in chunk.prefix.split("\n\n") if block.startswith("[Video History]")]
    return blocks[0].split("\n")[1:] if blocks else []


def began(sender: Sender) -> Chunk:
    chunk = sender.context.chunk
    assert chunk is not None
    return chunk


def speaks(sender: Sender, text: str) -> None:
    sender.second(said=f"</response> {text}")
    sender.composer.said(sender.t, text, ())


def test_a_chunk_has_as_many_of_the_newest_pictures_as_it_may() -> None:
    sender = sliding(3)
    for _ in range(9):
        sender.second()
        assert len(sender.context.turns) <= 3
    assert [settled.user.frame.t for settled in sender.context.turns] == [6, 7, 8]


def test_with_one_picture_a_chunk_every_turn_begins_with_it_alone() -> None:
    sender = sliding(1)
    numbers = [sender.second()[0].number for _ in range(4)]
    assert numbers == [1, 2, 3, 4]
    assert began(sender).lead == ()


def test_a_chunk_begins_with_fewer_where_those_the_engine_knows_cost_less() -> None:
    sender = sliding(5, 2)
    sizes = []
    for _ in range(11):
        sender.second()
        sizes.append(len(sender.context.turns))
    assert sizes == [1, 2, 3, 4, 5, 2, 3, 4, 5, 2, 3]


def test_a_limit_that_shrinks_counts_at_the_next_turn_and_none_lets_it_grow() -> None:
    sender = Sender()
    sender.seconds(12)
    sender.context.limit_pictures(PictureLimit(4, 4))
    sender.second()
    assert len(sender.context.turns) == 4
    sender.context.limit_pictures(PictureLimit())
    sender.seconds(10)
    assert len(sender.context.turns) == 14


def test_an_unwarmed_chunk_begins_with_as_many_as_are_read_in_time_where_old_ones_cost_nothing() -> None:
    sender = Sender(chunk_s=20.0)
    sender.context.limit_pictures(PictureLimit(None, 3))
    sender.seconds(22)
    assert [settled.user.frame.t for settled in began(sender).lead] == [19, 20]


def test_a_failed_turn_begins_the_same_chunk_again() -> None:
    sender = sliding(2)
    sender.seconds(3)
    sender.second(fails=True)
    again, _ = sender.second()
    assert [settled.user.frame.t for settled in again.lead] == [2]
    assert sender.t == 4


def test_a_reply_s_seconds_and_earlier_pictures_go_first_where_there_is_no_time_for_them() -> None:
    sender = sliding(2)
    sender.seconds(3)
    missed = tuple(Second((make_frame(t),)) for t in (2.6, 2.8, 2.9))
    _, message = sender.second(t=3.0, backlog=missed)
    assert [second.frames[0].t for second in message.turn.seconds] == [2.9, 3.0]
    _, message = sender.second(t=4.0, burst=(make_frame(3.4), make_frame(3.6), make_frame(3.8)))
    assert [frame.t for second in message.turn.seconds for frame in second.frames] == [3.8, 4.0]


def test_quiet_seconds_are_told_in_one_line() -> None:
    sender = sliding(2)
    sender.seconds(200)
    assert history(began(sender)) == ["<0.0 seconds ~ 197.0 seconds> Nothing was said. Little changed."]


def test_what_was_said_and_what_changed_is_told_with_its_time() -> None:
    sender = sliding(1)
    sender.seconds(10)
    sender.second(change=0.6)
    speaks(sender, "A man comes in.")
    sender.second(change=0.3)
    sender.seconds(20)
    sender.second(change=0.9)
    sender.second(change=0.9)
    sender.second(change=0.2)
    assert history(began(sender)) == [
        "<0.0 seconds ~ 34.0 seconds> <11.0 seconds> A man comes in. The picture changed from <10.0 seconds> to "
        "<12.0 seconds>, from <33.0 seconds> to <34.0 seconds>."
    ]


def test_a_stretch_in_which_something_happened_ends_after_a_minute_and_by_many_changes() -> None:
    sender = sliding(1)
    sender.second()
    speaks(sender, "A man comes in.")
    sender.seconds(100)
    first, second = history(began(sender))
    assert first == "<0.0 seconds ~ 60.0 seconds> <1.0 seconds> A man comes in. Little changed."
    assert second.startswith("<61.0 seconds ~ ")
    restless = sliding(1)
    restless.second()
    for _ in range(MAX_CHANGES + 2):
        restless.second(change=1.0)
        restless.seconds(4)
    lines = history(began(restless))
    assert [line.count("at <") for line in lines] == [MAX_CHANGES, 2]


def test_the_first_picture_is_no_change() -> None:
    sender = sliding(1)
    sender.second(change=1.0)
    sender.seconds(3, change=0.0)
    assert history(began(sender)) == ["<0.0 seconds ~ 2.0 seconds> Nothing was said. Little changed."]


def test_what_was_told_already_is_not_told_twice() -> None:
    """A summary of the first turns exists when the pictures have to go."""
    sender = Sender(writes=True, context_tokens=8000)
    draft = sender.until(Write).draft
    sender.writes("A quiet hall.")
    sender.context.limit_pictures(PictureLimit(1, 1))
    sender.seconds(3)
    end = draft.turns[-1].user.frame.t
    first, second = history(began(sender))
    assert first == f"<0.0 seconds ~ {end:.1f} seconds> A quiet hall."
    assert second == f"<{end + 1:.1f} seconds ~ {sender.t - 1:.1f} seconds> Nothing was said. Little changed."


def test_the_words_stay_short_and_the_oldest_become_one_account() -> None:
    sender = sliding(1, context_tokens=12_000)
    draft = None
    for number in range(400):
        if number % 5 == 0:
            speaks(sender, f"Visitor {number} comes in with a large parcel under the arm.")
        sender.second()
        for effect in sender.effects:
            if isinstance(effect, Write):
                draft = effect.draft
                assert draft.chunk is None  # words alone: no picture is read for it
                sender.writes("Visitors came one after the other.", draft.id)
        assert len("\n".join(history(began(sender)))) < 2400
    assert draft is not None
    assert any("Visitors came" in line for line in history(began(sender)))


def test_without_an_engine_that_writes_the_oldest_are_cut() -> None:
    sender = sliding(1, writes=False, context_tokens=12_000)
    for number in range(600):
        if number % 5 == 0:
            speaks(sender, f"Visitor {number} comes in with a large parcel under the arm.")
        sender.second()
    assert len("\n".join(history(began(sender)))) < 2400
    assert "Visitor 595" in history(began(sender))[-1]


def test_no_words_where_there_is_no_room_for_a_memory() -> None:
    sender = sliding(1, memory_tokens=0)
    sender.seconds(10)
    assert history(began(sender)) == []


def test_nothing_is_prepared_and_no_picture_is_summed_up() -> None:
    sender = Sender(prepares=True, writes=True, context_tokens=8000)
    sender.until(PrepareChunk)
    sender.context.limit_pictures(PictureLimit(2, 2))
    assert sender.context.prepared is None
    effects = sender.seconds(60)
    assert not [e for e in effects if isinstance(e, PrepareChunk | Write)]


def test_time_that_jumps_back_takes_the_words_along() -> None:
    sender = sliding(1)
    sender.seconds(5)
    sender.second(change=0.9)
    sender.seconds(20)
    sender.second(t=2.0)
    (line,) = history(began(sender))
    assert line == "<1 minute before> Nothing was said. The picture changed at <1 minute before>."


def test_a_query_and_watches_stand_in_each_chunk() -> None:
    sender = sliding(1)
    sender.second()
    sender.composer.watches_changed(watch_set([FALL]))
    sender.composer.ask("q", "Who is there?", 1.0)
    _, message = sender.second()
    assert message.turn.query == "Who is there?"
    chunk, message = sender.second()
    assert chunk is not None
    assert message.turn.query is None
    assert FALL.text in chunk.prefix
    assert "Who is there?" in chunk.prefix


def test_how_many_pictures_are_new_to_the_engine() -> None:
    sender = sliding(3)

    def asked() -> tuple[int, int]:
        _, message = sender.composer.compose(int(sender.t), make_frame(sender.t + 1), Look.FULL)
        sender.context.append(message.turn)
        try:
            return sender.context.pictures
        finally:
            sender.context.settle(SILENCE)
            sender.t += 1

    sender.t = 0.0
    assert [asked() for _ in range(5)] == [(1, 0), (1, 1), (1, 2), (3, 0), (3, 0)]


def test_after_a_warmed_switch_only_the_newest_is_new() -> None:
    sender = Sender(prepares=True, context_tokens=8000)
    sender.until(PrepareChunk)
    while len(sender.context.prepared.turns) < sender.config.lead_turns:
        sender.second()
    sender.warms()
    effects, message = sender.composer.compose(999, make_frame(sender.t + 1), Look.FULL)
    assert any(isinstance(effect, BeginChunk) for effect in effects)
    sender.context.append(message.turn)
    assert sender.context.pictures[0] == 1
    with pytest.raises(AssertionError):
        Sender().context.pictures  # noqa: B018  # nothing is under way


def test_the_machine_takes_the_limit_as_an_input_and_a_log_keeps_it() -> None:
    shell = Shell()
    shell.silent(0.0)
    limit = PictureLimitChanged(0.5, 1, None)
    assert shell.observer.handle(limit) == []
    assert decode_input(encode_input(limit)) == limit
    effects = shell.tick(1.0)
    assert kinds(effects)[:2] == ["BeginChunk", "Append"]
    assert only(effects, Append).turn.change is not None
