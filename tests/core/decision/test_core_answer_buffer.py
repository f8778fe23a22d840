from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.answer_buffer import AnswerBuffer
from joyvl_server.core.decision.repetition import RecentRemarks
from joyvl_server.core.decisions import Score, Suppressed

WORDS = "A man came in through the door."


def memory() -> RecentRemarks:
    return RecentRemarks(cooldown_s=2.0, duplicate_window_s=30.0)


def remark(
    said: RecentRemarks, t: float = 0.0, *, key: str | None = None, asked: bool = False, **config
) -> AnswerBuffer:
    return AnswerBuffer(ObserverConfig(**config), said, Score(1.0, "enter", key=key), t, asked=asked)


def whole(said: RecentRemarks, text: str, t: float = 0.0, **about) -> AnswerBuffer:
    it = remark(said, t, **about)
    it.hear(text)
    it.finish()
    return it


def test_text_is_held_until_the_first_sentence_is_whole() -> None:
    it = remark(memory())
    assert [it.hear(delta) for delta in [" A man came in", " through the door.", " ", "He", " smiles."]] == [
        "",
        "",
        "",
        f"{WORDS} He",
        " smiles.",
    ]
    assert it.finish() == ""
    assert it.suppressed is None
    assert it.written == f"</response> {WORDS} He smiles."


def test_a_short_remark_is_shown_at_its_end() -> None:
    said = memory()
    it = remark(said, 5.0)
    assert it.hear(" Hello") == ""
    assert it.finish() == "Hello"
    assert said.cooling("enter", 6.0)
    assert said.repeated(None, "hello", 6.0)


def test_a_repetition_is_never_shown() -> None:
    said = memory()
    whole(said, WORDS)
    again = remark(said, 10.0)
    assert again.hear(f" {WORDS} Once more") == ""
    assert again.suppressed is Suppressed.DUPLICATE
    short = remark(said, 10.0)
    assert short.hear(WORDS) + short.finish() == ""
    assert short.suppressed is Suppressed.DUPLICATE
    assert whole(said, WORDS, 30.0).suppressed is None


def test_another_happening_or_a_question_may_be_told_in_the_same_words() -> None:
    said = memory()
    whole(said, WORDS, key="a")
    assert whole(said, WORDS, key="b").suppressed is None
    assert whole(said, WORDS, key="b").suppressed is Suppressed.DUPLICATE
    assert whole(said, WORDS, key="b", asked=True).suppressed is None


def test_nothing_after_the_marker_is_empty() -> None:
    for text in ("", "  ", " </silence>", " </delegation> "):
        assert whole(memory(), text).suppressed is Suppressed.EMPTY


def test_the_note_is_shown_while_the_question_comes() -> None:
    it = remark(memory())
    assert it.hear(" One moment. </delegation> Who") == "One moment."
    assert it.hear(" is it?") == ""
    assert it.finish() == ""
    assert (it.note, it.question) == ("One moment.", "Who is it?")
    assert it.written == "</response> One moment. </delegation> Who is it?"


def test_the_same_note_before_another_question_is_no_repetition() -> None:
    said = memory()
    whole(said, "One moment. </delegation> Who is it?")
    other = remark(said)
    assert other.hear("One moment. </delegation> What is it?") == ""
    assert other.suppressed is None
    assert other.finish() == "One moment."
    assert other.question == "What is it?"


def test_a_question_is_handed_over_once() -> None:
    said = memory()
    whole(said, "One moment. </delegation> Who is it?")
    assert whole(said, "One moment. </delegation> Who is it?").suppressed is Suppressed.DUPLICATE
    assert whole(said, "</delegation> Who is it?").suppressed is Suppressed.DUPLICATE
    told = whole(said, "Let me have a look. </delegation> Who is it?")
    assert (told.suppressed, told.note, told.question) == (None, "Let me have a look.", "")
    assert told.written == "</response> Let me have a look. </delegation> Who is it?"


def test_a_question_needs_no_note() -> None:
    it = whole(memory(), "</delegation> Who is it?")
    assert (it.suppressed, it.note, it.question) == (None, "", "Who is it?")


def test_without_delegation_the_remark_ends_at_the_marker() -> None:
    it = remark(memory(), delegation=False)
    assert it.hear("One moment. </delegation> Who") == "One moment."
    assert it.over
    it.finish()
    assert (it.question, it.written) == ("", "</response> One moment.")
    assert whole(memory(), "</delegation> Who?", delegation=False).suppressed is Suppressed.EMPTY


def test_a_repetition_that_is_over_is_a_repetition_also_where_it_delegates() -> None:
    said = memory()
    whole(said, "One moment please.")
    it = remark(said, delegation=False)
    assert it.hear("One moment please. </delegation>") == ""
    assert it.suppressed is Suppressed.DUPLICATE


def test_an_endless_remark_is_over_at_its_limit() -> None:
    it = remark(memory(), max_answer_chars=50)
    it.hear("word " * 100)
    assert it.over
    assert len(it.note) <= 50


def test_a_remark_that_was_broken_off_may_be_made_again() -> None:
    said = memory()
    it = remark(said)
    it.hear(f"{WORDS} He")
    it.break_off()
    assert whole(said, WORDS, 1.0).suppressed is None
