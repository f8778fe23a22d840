from joyvl_server.core.decision.utterances import MAX_UTTERANCES, Utterances


def test_what_was_heard_is_what_playback_acknowledged() -> None:
    utterances = Utterances()
    epoch = utterances.begin()
    utterances.write(epoch, "A man came in.")
    assert utterances.heard(epoch) == ""
    utterances.hear(epoch, 5)
    utterances.hear(epoch, 3)  # an acknowledgement that came late takes nothing back
    assert utterances.heard(epoch) == "A man"
    utterances.hear(epoch, 500)
    assert utterances.heard(epoch) == utterances.text(epoch) == "A man came in."


def test_unknown_epochs_are_nothing() -> None:
    utterances = Utterances()
    utterances.hear(7, 3)
    utterances.write(7, "never begun")
    assert utterances.text(7) is None
    assert utterances.heard(7) == ""


def test_the_oldest_utterance_is_forgotten_and_epochs_only_grow() -> None:
    utterances = Utterances()
    epochs = [utterances.begin() for _ in range(MAX_UTTERANCES + 1)]
    assert epochs == list(range(1, MAX_UTTERANCES + 2))
    assert utterances.text(1) is None
    assert utterances.text(2) == ""


def test_epochs_go_on_from_the_first_one_given():
    utterances = Utterances(first=700)
    assert [utterances.begin(), utterances.begin()] == [700, 701]
