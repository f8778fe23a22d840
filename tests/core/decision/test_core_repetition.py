import pytest

from joyvl_server.core.decision.repetition import MAX_KINDS, MAX_REMARKS, RecentRemarks, first_sentence, normal


def test_the_cooldown_runs_per_kind_and_from_the_remark() -> None:
    memory = RecentRemarks(cooldown_s=2.0, duplicate_window_s=30.0)
    assert not memory.cooling("enter", 0.0)
    memory.spoke("enter", 10.0)
    assert memory.cooling("enter", 10.0)
    assert memory.cooling("enter", 11.9)
    assert not memory.cooling("enter", 12.0)
    assert not memory.cooling("leave", 10.5)
    assert not memory.cooling(None, 10.5)
    assert not memory.cooling("enter", 9.0)  # time that jumped back is another time


def test_the_same_words_about_the_same_happening_are_known_for_a_while() -> None:
    memory = RecentRemarks(2.0, 30.0)
    memory.remember(None, "A man, at the door!", 10.0)
    assert memory.repeated(None, "a man at the door.", 39.9)
    assert not memory.repeated(None, "A man at the door", 40.0)
    assert not memory.repeated(None, "A woman at the door", 11.0)
    assert not memory.repeated("entry-2", "A man at the door", 11.0)
    assert not memory.repeated(None, "A man at the door", 9.0)


def test_what_nobody_heard_whole_may_be_said_again() -> None:
    memory = RecentRemarks(2.0, 30.0)
    memory.remember("a", "Fire!", 1.0)
    memory.remember("b", "Fire!", 1.0)
    memory.forget("a", "fire")
    assert not memory.repeated("a", "Fire!", 2.0)
    assert memory.repeated("b", "Fire!", 2.0)


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    memory = RecentRemarks(1e9, 1e9)
    for number in range(MAX_REMARKS + 1):
        memory.remember(None, f"remark {number}", 0.0)
    assert not memory.repeated(None, "remark 0", 0.0)
    assert memory.repeated(None, "remark 1", 0.0)
    for number in range(MAX_KINDS):
        memory.spoke(f"kind {number}", 0.0)
    memory.spoke("kind 0", 0.0)
    memory.spoke("one more", 0.0)
    assert memory.cooling("kind 0", 0.0)
    assert not memory.cooling("kind 1", 0.0)
    assert memory.cooling("one more", 0.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [("It's RED — red!", "it s red red"), ("有人摔倒。", "有人摔倒"), ("…", "…"), ("snake_case", "snake case")],
)
def test_words_are_what_counts(text, words) -> None:
    assert normal(text) == words


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("A man came in through the door. He", "A man came in through the door."),
        ("A man came in through the door.", ""),
        ("It measures about 3.5 metres", ""),
        ("Attention! Somebody has fallen. Help", "Attention! Somebody has fallen."),
        ('"Is anybody there?" he asks', '"Is anybody there?"'),
        ("A line without an end\nanother", "A line without an end"),
        ("有人在门口摔倒了需要帮助请快来看看吧。", "有人在门口摔倒了需要帮助请快来看看吧。"),
        ("word " * 60, ("word " * 60)[:160]),
        ("w" * 161, "w" * 160),
        ("w" * 160, ""),
        ("", ""),
    ],
)
def test_the_first_sentence_is_complete_only_where_more_follows(text, first) -> None:
    assert first_sentence(text, whole=False) == first
    assert first_sentence(text, whole=True) == (first or text)
