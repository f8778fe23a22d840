from joyvl_server.core.prompt.notices import MAX_NOTES, Notices
from joyvl_server.core.prompt.wire_format import QUERY_HEADER, text_tokens
from joyvl_server.core.watches.watches import Watch, WatchSet, watch_set

FALL, GUEST = Watch("w1", "fall", "Tell me when someone falls"), Watch("w2", "guest", "Tell me when someone comes")


def test_changed_watches_are_news_until_they_are_told() -> None:
    news = Notices()
    assert not news.waiting(WatchSet())
    assert news.watch_changes(WatchSet(), 500) == ()
    now = watch_set([FALL])
    assert news.waiting(now)
    assert news.watch_changes(now, 500) == (f"{QUERY_HEADER}\nTell me when someone falls",)
    assert news.watch_changes(now, 500) == news.watch_changes(now, 500)
    news.told(now, ())
    assert not news.waiting(now)
    assert news.watch_changes(watch_set([GUEST]), 500) == (
        "[Instruction ended] Tell me when someone falls",
        f"{QUERY_HEADER}\nTell me when someone comes",
    )


def test_many_changes_share_the_room() -> None:
    long = [Watch(f"w{number}", "w", "word " * 100) for number in range(4)]
    lines = Notices().watch_changes(watch_set(long), 200)
    assert len(lines) == 4
    assert all(text_tokens(line.split("\n")[1]) <= 50 for line in lines)


def test_notes_stay_until_the_turn_that_carried_them_has_settled() -> None:
    news = Notices()
    news.add("one")
    carried = news.notes(500)
    news.add("two")
    assert news.notes_waiting
    assert [note.text for note in news.notes(500)] == ["one", "two"]
    news.told(WatchSet(), carried)
    assert [note.text for note in news.notes(500)] == ["two"]
    news.told(WatchSet(), news.notes(500))
    assert not news.notes_waiting
    assert news.notes(500) == ()


def test_notes_take_what_fits_and_the_first_is_shortened() -> None:
    news = Notices()
    news.add("word " * 200)
    news.add("next")
    (only,) = news.notes(20)
    assert only.text.endswith("…")
    assert text_tokens(only.text) <= 19
    news.told(WatchSet(), (only,))
    assert [note.text for note in news.notes(20)] == ["next"]


def test_too_many_notes_drop_the_oldest_and_never_a_newer_one_in_its_place() -> None:
    news = Notices()
    news.add("carried")
    carried = news.notes(500)
    for number in range(MAX_NOTES):
        news.add(f"note {number}")
    news.told(WatchSet(), carried)
    assert [note.text for note in news.notes(5000)] == [f"note {number}" for number in range(MAX_NOTES)]


def test_a_sentence_the_model_has_read_is_no_news_as_a_watch() -> None:
    news = Notices()
    news.heard(5.0, FALL.text, WatchSet())
    news.heard(6.0, GUEST.text, WatchSet())
    news.forget_heard(6.0)
    news.note_watches(watch_set([FALL, GUEST]))
    assert news.known.watches == (GUEST,)
    assert news.watch_changes(watch_set([FALL, GUEST]), 500) == (f"{QUERY_HEADER}\nTell me when someone falls",)
    assert news.watch_changes(watch_set([FALL, GUEST]), 500, FALL.text) == ()


def test_a_sentence_is_met_once_also_where_its_watch_was_there_first() -> None:
    news = Notices()
    old = Watch("w1", "fall", "Something else")
    news.told(watch_set([old]))
    news.heard(5.0, FALL.text, watch_set([FALL]))
    assert news.known.watches == (FALL,)
    news.told(watch_set([GUEST]))  # of a turn that was made before
    assert news.known.watches == (GUEST, FALL)
    news.composing()
    news.told(watch_set([]))
    assert news.waiting(watch_set([FALL]))
    news.note_watches(watch_set([FALL]))
    assert news.waiting(watch_set([FALL]))
