from joyvl_server.core.prompt.notices import MAX_NOTES, Notices
from joyvl_server.core.prompt.wire_format import QUERY_HEADER, text_tokens
from joyvl_server.core.watches.watches import Watch, WatchSet, watch_set

FALL, GUEST = Watch("w1", "fall", "Tell me when someone falls"), Watch("w2", "guest", "Tell me when someone comes")


def test_changed_watches_wait_until_they_are_told() -> None:
    notices = Notices()
    assert not notices.waiting(WatchSet())
    assert notices.watch_changes(WatchSet(), 500) == ()
    now = watch_set([FALL])
    assert notices.waiting(now)
    assert notices.watch_changes(now, 500) == (f"{QUERY_HEADER}\nTell me when someone falls",)
    assert notices.watch_changes(now, 500) == notices.watch_changes(now, 500)
    notices.told(now, ())
    assert not notices.waiting(now)
    assert notices.watch_changes(watch_set([GUEST]), 500) == (
        "[Instruction ended] Tell me when someone falls",
        f"{QUERY_HEADER}\nTell me when someone comes",
    )


def test_many_changes_share_the_room() -> None:
    long = [Watch(f"w{number}", "w", "word " * 100) for number in range(4)]
    lines = Notices().watch_changes(watch_set(long), 200)
    assert len(lines) == 4
    assert all(text_tokens(line.split("\n")[1]) <= 50 for line in lines)


def test_notes_stay_until_the_turn_that_carried_them_has_settled() -> None:
    notices = Notices()
    notices.add("one")
    carried = notices.notes(500)
    notices.add("two")
    assert notices.notes_waiting
    assert [note.text for note in notices.notes(500)] == ["one", "two"]
    notices.told(WatchSet(), carried)
    assert [note.text for note in notices.notes(500)] == ["two"]
    notices.told(WatchSet(), notices.notes(500))
    assert not notices.notes_waiting
    assert notices.notes(500) == ()


def test_notes_take_what_fits_and_the_first_is_shortened() -> None:
    notices = Notices()
    notices.add("word " * 200)
    notices.add("next")
    (only,) = notices.notes(20)
    assert only.text.endswith("…")
    assert text_tokens(only.text) <= 19
    notices.told(WatchSet(), (only,))
    assert [note.text for note in notices.notes(20)] == ["next"]


def test_too_many_notes_drop_the_oldest_and_never_a_newer_one_in_its_place() -> None:
    notices = Notices()
    notices.add("carried")
    carried = notices.notes(500)
    for number in range(MAX_NOTES):
        notices.add(f"note {number}")
    notices.told(WatchSet(), carried)
    assert [note.text for note in notices.notes(5000)] == [f"note {number}" for number in range(MAX_NOTES)]


def test_a_request_the_model_has_read_is_not_told_as_a_watch() -> None:
    notices = Notices()
    notices.heard(5.0, FALL.text, WatchSet())
    notices.heard(6.0, GUEST.text, WatchSet())
    notices.forget_heard(6.0)
    notices.note_watches(watch_set([FALL, GUEST]))
    assert notices.known.watches == (GUEST,)
    assert notices.watch_changes(watch_set([FALL, GUEST]), 500) == (f"{QUERY_HEADER}\nTell me when someone falls",)
    assert notices.watch_changes(watch_set([FALL, GUEST]), 500, FALL.text) == ()


def test_a_request_is_matched_once_also_where_its_watch_was_there_first() -> None:
    notices = Notices()
    old = Watch("w1", "fall", "Something else")
    notices.told(watch_set([old]))
    notices.heard(5.0, FALL.text, watch_set([FALL]))
    assert notices.known.watches == (FALL,)
    notices.told(watch_set([GUEST]))  # of a turn that was made before
    assert notices.known.watches == (GUEST, FALL)
    notices.composing()
    notices.told(watch_set([]))
    assert notices.waiting(watch_set([FALL]))
    notices.note_watches(watch_set([FALL]))
    assert notices.waiting(watch_set([FALL]))
