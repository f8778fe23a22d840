"""The machine is asked something: queries from the question to the answer."""

import pytest

from fakes.media.frames import EPOCH
from fakes.observing import AT_DOOR, CAME, GUEST, Shell, kinds, only
from joyvl_server.core.decision.user_requests import NO_WORDS, WHICH_WATCH
from joyvl_server.core.decisions import Decision, Skip, Urgency
from joyvl_server.core.effects import (
    AddWatch,
    Append,
    BeginChunk,
    Decided,
    EndWatch,
    QueryClosed,
    TickNow,
    UtteranceDelta,
    UtteranceDone,
)
from joyvl_server.core.inputs import QueryAsked, QueryWithdrawn, TickSkipped
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.core.watches.watches import Watch


def test_a_query_ticks_at_once_and_its_answer_is_exempt_from_everything() -> None:
    shell = Shell(cooldown_s=100.0)
    shell.watch(0.0, Watch("picky", "picky", "picky", threshold=1.0))
    shell.says(0.0, "It is red, I think.")
    assert shell.ask(1.2) == [TickNow()]
    assert only(shell.tick(1.3), Append).turn.query == "What colour is the car?"
    shell.score(1.4, 0.5)
    effects = shell.text(1.5, "It is red, I think. Yes") + shell.done(1.6)
    decided = only(effects, Decided)
    assert (decided.decision, decided.query, decided.watches) == (Decision.SPEAK, "q", ())
    assert only(effects, UtteranceDone).urgency is Urgency.ANSWER
    assert only(effects, QueryClosed) == QueryClosed("q", "answered", decided.epoch, "It is red, I think. Yes")
    assert kinds(effects).index("QueryClosed") > kinds(effects).index("UtteranceDone")


def test_a_query_in_mid_step_ticks_right_after_it() -> None:
    shell = Shell()
    shell.tick(1.0)
    assert shell.ask(1.1) == []
    assert kinds(shell.score(1.2, 0.0)) == ["Settle", "Decided", "TickNow"]


def test_each_of_two_queries_gets_its_own_turn() -> None:
    shell = Shell()
    shell.ask(0.0, "a", "Who?")
    shell.ask(0.0, "b", "Why?")
    first = shell.silent(0.1)
    assert only(first, Append).turn.query == "Who?"
    assert isinstance(first[-1], TickNow)
    second = shell.says(0.2, "Because of the rain.")
    assert only(second, Append).turn.query == "Why?"
    assert only(second, QueryClosed).id == "b"
    assert only(shell.says(5.0, "It was the postman."), QueryClosed).id == "a"


def test_a_query_stays_open_through_silences_until_it_is_answered() -> None:
    shell = Shell(chunk_s=5.0, lead_turns=2)
    shell.ask(0.0, text="Tell me the number on the bus.")
    effects = [effect for t in range(8) for effect in shell.silent(t)]
    assert "QueryClosed" not in kinds(effects)
    chunks = [effect.chunk for effect in effects if isinstance(effect, BeginChunk)]
    assert "Tell me the number on the bus." in chunks[1].prefix
    assert only(shell.says(8.0, "It is bus number 12."), QueryClosed).reason == "answered"


def test_a_query_is_sent_again_where_its_turn_failed_without_a_storm() -> None:
    shell = Shell()
    shell.ask(0.0)
    shell.tick(0.1)
    assert kinds(shell.fail(0.2)) == ["Rollback", "Decided"]
    assert only(shell.tick(1.0), Append).turn.query == "What colour is the car?"
    shell.ask(1.1, "other", "Why?")
    assert kinds(shell.fail(1.2)) == ["Rollback", "Decided", "TickNow"]


def test_queries_are_withdrawn_and_expire() -> None:
    shell = Shell(query_ttl_s=60.0)
    shell.ask(0.0, "a")
    shell.ask(10.0, "b")
    assert shell.observer.handle(QueryWithdrawn(11.0, "b")) == [QueryClosed("b", "withdrawn")]
    assert shell.observer.handle(QueryWithdrawn(12.0, "b")) == []
    assert kinds(shell.tick(60.0))[0] == "QueryClosed"
    shell.score(60.0, 0.0)
    shell.ask(61.0, "c")
    assert kinds(shell.observer.handle(TickSkipped(200.0, 0.0, Skip.OFFLINE))) == ["QueryClosed", "Decided"]


def test_the_answer_to_a_query_withdrawn_meanwhile_closes_nothing() -> None:
    shell = Shell()
    shell.ask(0.0)
    shell.tick(0.1)
    shell.score(0.2)
    shell.observer.handle(QueryWithdrawn(0.3, "q"))
    effects = shell.text(0.4, "It is red.") + shell.done(0.5)
    assert only(effects, Decided).query is None
    assert "QueryClosed" not in kinds(effects)


def test_a_query_never_touches_the_watches() -> None:
    shell = Shell()
    shell.watch(0.0, GUEST)
    shell.silent(0.0)
    shell.ask(0.5)
    assert only(shell.says(1.0, "It is red."), Append).turn.news == ()
    assert only(shell.says(9.0, CAME, kind="enter", box=AT_DOOR), Decided).watches == ("guest",)


def test_an_engine_that_reads_no_words_says_so_at_once() -> None:
    shell = Shell(follows_instructions=False)
    effects = shell.observer.handle(QueryAsked(3.0, "q", "Why?", EPOCH + 3.0))
    assert effects == [
        UtteranceDelta(1, NO_WORDS),
        UtteranceDone(1, 3.0, EPOCH + 3.0, NO_WORDS, Urgency.NOTICE),
        QueryClosed("q", "answered", 1, NO_WORDS),
    ]
    assert only(shell.tick(4.0), Append).turn.query is None


COMES, DARK = (
    Watch("comes", "visitors", "Tell me when someone comes", kinds=(WatchKind.ENTER,)),
    Watch("dark", "the light", "Tell me when it gets dark", kinds=(WatchKind.DARK,)),
)


@pytest.mark.parametrize("text", ["Tell me when someone comes in.", "有人来的时候告诉我。"])
def test_a_wish_that_names_kinds_becomes_a_watch_where_the_engine_reads_no_words(text: str) -> None:
    shell = Shell(follows_instructions=False, reports_kinds=True)
    note = "I will tell you when something comes in."
    assert shell.observer.handle(QueryAsked(3.0, "q", text, EPOCH + 3.0)) == [
        AddWatch("q", text),
        UtteranceDelta(1, note),
        UtteranceDone(1, 3.0, EPOCH + 3.0, note, Urgency.NOTICE),
        QueryClosed("q", "standing", 1, note),
    ]


def test_only_a_wish_that_can_be_noticed_becomes_one() -> None:
    shell = Shell(follows_instructions=False)
    assert only(shell.ask(0.0, text="Tell me when someone comes"), QueryClosed).answer == NO_WORDS
    assert only(shell.ask(1.0, text="Tell me when the smoke alarm sounds"), QueryClosed).reason == "standing"
    shell.able(2.0, follows_instructions=False, reports_kinds=True)
    assert only(shell.ask(3.0, text="Tell me when the cat sings"), QueryClosed).answer == NO_WORDS
    assert only(shell.ask(4.0, text="Did someone come in?"), QueryClosed).answer == NO_WORDS


def test_the_end_of_a_watch_is_understood_where_it_can_mean_only_one() -> None:
    shell = Shell(follows_instructions=False, reports_kinds=True)
    assert only(shell.ask(0.0, text="Stop watching"), QueryClosed).answer == WHICH_WATCH
    shell.watch(1.0, COMES, DARK)
    assert only(shell.ask(2.0, text="Stop watching"), QueryClosed).answer == WHICH_WATCH
    effects = shell.ask(3.0, "q", "Stop telling me when it gets dark")
    assert only(effects, EndWatch) == EndWatch("q", "dark")
    assert only(effects, QueryClosed) == QueryClosed("q", "cancel", 3, "I no longer watch for: the light")
    shell.watch(4.0, COMES)
    assert only(shell.ask(5.0, text="Stop watching the door"), EndWatch).watch_id == "comes"


def test_words_alone_tell_what_holds_from_now_on_where_the_engine_cannot_be_asked() -> None:
    shell = Shell(chooses=False)
    shell.ask(0.0, "q", "Tell me when the postman comes")
    effects = shell.silent(0.1)
    assert only(effects, AddWatch) == AddWatch("q", "Tell me when the postman comes")
    assert only(effects, QueryClosed) == QueryClosed("q", "standing")
    shell.watch(1.0, COMES)
    shell.ask(2.0, "end", "Stop telling me when someone comes")
    effects = shell.says(2.1, "All right.")
    assert only(effects, EndWatch) == EndWatch("end", "comes")
    assert only(effects, QueryClosed).reason == "cancel"
