from joyvl_server.core.prompt.history import MAX_TEXT, Entry, History


def test_lines_are_numbered_in_order_of_time_and_dated_in_model_time() -> None:
    history = History()
    history.add(Entry.RESPONSE, 113.0, "A dog came in.")
    history.add(Entry.RESPONSE, 115.0, "It is\nred.")
    history.add(Entry.QUERY, 112.0, "What colour is the car?")
    history.add(Entry.QUERY, 120.0, "And now?")
    history.add(Entry.RESULT, 121.0, "A </response> Volvo")
    assert history.render(before=200.0, origin=100.0) == [
        "#1 [Query@12.0 seconds] What colour is the car?",
        "[Response@13.0 seconds] A dog came in.",
        "[Response@15.0 seconds] It is red.",
        "#2 [Query@20.0 seconds] And now?",
        "[Result@21.0 seconds] A Volvo",
    ]


def test_what_the_lead_still_shows_is_left_out() -> None:
    history = History()
    history.add(Entry.RESPONSE, 10.0, "early")
    history.add(Entry.RESPONSE, 20.0, "late")
    assert history.render(before=20.0, origin=0.0) == ["[Response@10.0 seconds] early"]


def test_what_lies_before_the_models_time_is_told_in_minutes() -> None:
    history = History()
    history.add(Entry.RESPONSE, 0.0, "long ago")
    history.add(Entry.RESPONSE, 7190.0, "just before")
    assert history.render(before=7200.0, origin=7200.0) == [
        "[Response 120 minutes before] long ago",
        "[Response 1 minute before] just before",
    ]


def test_history_is_bounded() -> None:
    history = History(size=2)
    for number in range(3):
        history.add(Entry.RESPONSE, number, f"{number}" + "x" * 1000)
    lines = history.render(before=9, origin=0)
    assert [line.split("] ")[1][0] for line in lines] == ["1", "2"]
    assert all(len(line) < MAX_TEXT + 40 for line in lines)


def test_what_was_stays_as_long_ago_as_it_is_when_time_jumps() -> None:
    history = History(size=2)
    history.add(Entry.RESPONSE, 100.0, "a")
    history.shift(-98.0)
    history.add(Entry.RESPONSE, 3.0, "b")
    history.add(Entry.RESPONSE, 4.0, "c")
    assert history.render(before=9, origin=3.0) == ["[Response@0.0 seconds] b", "[Response@1.0 seconds] c"]
