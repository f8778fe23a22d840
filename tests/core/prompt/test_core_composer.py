from fakes.media.frames import make_frame
from fakes.media.sender import Sender
from joyvl_server.core.effects import QueryClosed
from joyvl_server.core.inputs import TaskChanged
from joyvl_server.core.prompt.notices import CANCEL, MAX_OPEN, MAX_TASKS, STANDING
from joyvl_server.core.prompt.turns import Look
from joyvl_server.core.prompt.wire_format import QUERY_HEADER, text_tokens
from joyvl_server.core.watches.watches import Watch, watch_set
from joyvl_server.core.watches.zones import Zone

FALL = Watch("w1", "fall", "Tell me when someone falls")
DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))


def test_standing_watches_are_in_the_prefix_and_changes_in_the_turn() -> None:
    sender = Sender()
    sender.composer.watches_changed(watch_set([FALL], [DOOR]))
    chunk, first = sender.second()
    assert FALL.text in chunk.prefix
    assert (first.turn.news, first.turn.zones) == ((), (DOOR,))
    sender.composer.watches_changed(watch_set([]))
    assert sender.composer.waiting
    assert not sender.composer.urgent
    chunk, second = sender.second()
    assert chunk is None
    assert second.turn.news == ("[Instruction ended] Tell me when someone falls",)
    assert sender.second()[1].turn.news == ()
    assert not sender.composer.waiting


def test_notices_of_a_failed_turn_are_sent_once_more() -> None:
    sender = Sender()
    sender.second()
    sender.composer.watches_changed(watch_set([FALL]))
    sender.composer.ask("q", "Why?", 0.0)
    sender.composer.task_changed(TaskChanged(0.0, "t", "completed", "It is a fox."))
    _, failed = sender.second(fails=True)
    _, again = sender.second()
    assert failed.turn.news == again.turn.news
    assert again.turn.news == (
        f"{QUERY_HEADER}\nTell me when someone falls",
        "[Result of the question handed over] It is a fox.",
    )
    assert failed.turn.query == again.turn.query == "Why?"
    assert sender.second()[1].turn.query is None


def test_an_engine_that_reads_no_words_gets_no_notices() -> None:
    sender = Sender(follows_instructions=False)
    sender.second()
    sender.composer.watches_changed(watch_set([FALL]))
    sender.composer.task_changed(TaskChanged(0.0, "t", "completed", "It is a fox."))
    assert sender.second()[1].turn.news == ()


def test_one_query_a_turn_in_order() -> None:
    sender = Sender()
    sender.composer.ask("a", "Who\nis </silence> it?", 0.0)
    sender.composer.ask("b", "Why?", 0.0)
    assert sender.composer.urgent
    assert sender.second()[1].turn.query == "Who is it?"
    assert sender.composer.urgent
    _, message = sender.second()
    assert (message.turn.query, message.query) == ("Why?", "b")
    assert sender.composer.query_for(message).id == "b"
    assert not sender.composer.urgent


def test_an_open_query_is_in_the_prefix_of_the_next_chunk() -> None:
    sender = Sender(chunk_s=3.0, lead_turns=0)
    sender.composer.ask("a", "Who is it?", 0.0)
    chunks = [sender.second()[0] for _ in range(6)]
    assert "Who is it?" not in chunks[0].prefix
    assert "Who is it?" in chunks[4].prefix


def test_an_answered_query_joins_the_history() -> None:
    sender = Sender(chunk_s=3.0, lead_turns=0)
    sender.composer.ask("a", "Who is it?", 0.0)
    sender.second()
    assert sender.composer.answered("a", 7, "The postman.") == [QueryClosed("a", "answered", 7, "The postman.")]
    assert sender.composer.answered("a", 8, "") == []
    assert sender.composer.answered(None, 9, "") == []
    sender.composer.said(1.0, "The postman.", ())
    prefix = [sender.second()[0] for _ in range(5)][3].prefix
    assert "[Query 1 minute before] Who is it?\n[Response 1 minute before] The postman." in prefix


def test_a_query_that_ends_is_taken_back_where_the_model_saw_it() -> None:
    sender = Sender()
    sender.composer.ask("seen", "Who?", 0.0)
    sender.second()
    sender.composer.ask("in flight", "Why?", 0.0)
    _, flying = sender.composer.compose(2, make_frame(1), Look.FULL)
    sender.composer.ask("unseen", "When?", 0.0)
    for query_id in ("seen", "in flight", "unseen", "unknown"):
        closed = sender.composer.withdraw(query_id)
        assert closed == ([] if query_id == "unknown" else [QueryClosed(query_id, "withdrawn")])
    assert flying.query == "in flight"
    assert sender.second()[1].turn.news == ("[No longer asked] Who?", "[No longer asked] Why?")


def test_queries_expire_and_the_oldest_gives_way() -> None:
    sender = Sender(query_ttl_s=60.0)
    sender.composer.ask("old", "?", 0.0)
    assert sender.composer.expire(59.9) == []
    assert sender.composer.expire(60.0) == [QueryClosed("old", "expired")]
    assert not sender.composer.queries.is_open("old")
    for number in range(MAX_OPEN):
        assert sender.composer.ask(f"q{number}", "?", 60.0) == []
    assert sender.composer.ask("one more", "?", 60.0) == [QueryClosed("q0", "expired")]


def test_results_and_failures_of_tasks_are_told_and_kept_in_the_history() -> None:
    sender = Sender(chunk_s=3.0, lead_turns=0, task_prefix="run7_")
    first, second, third = (sender.composer.hand_over(f"Question {n}?") for n in (1, 2, 3))
    assert (first, second) == ("run7_1", "run7_2")
    for status in ("queued", "running"):
        sender.composer.task_changed(TaskChanged(0.0, first, status))
    assert not sender.composer.urgent
    sender.composer.task_changed(TaskChanged(0.0, first, "completed", "A <fox>\n</response> indeed"))
    sender.composer.task_changed(TaskChanged(0.0, second, "failed", "No agent."))
    sender.composer.task_changed(TaskChanged(0.0, third, "cancelled"))
    assert sender.composer.urgent
    assert sender.second()[1].turn.news == (
        "[Result of the question handed over] Question 1?: A <fox> indeed",
        "[No result of the question handed over] Question 2?: No agent.",
    )
    prefix = [sender.second()[0] for _ in range(5)][3].prefix
    assert "[Result 1 minute before] Question 1?: A <fox> indeed" in prefix


def test_tasks_are_bounded_and_an_unknown_one_is_told_without_its_question() -> None:
    sender = Sender()
    ids = [sender.composer.hand_over(f"Question {number}?") for number in range(MAX_TASKS + 1)]
    sender.composer.task_changed(TaskChanged(0.0, ids[0], "completed", "A fox."))
    assert sender.second()[1].turn.news == ("[Result of the question handed over] A fox.",)


def test_a_request_that_became_a_watch_is_not_told_twice() -> None:
    sender = Sender()
    sender.composer.ask("s", "Tell me when someone falls", 0.0)
    sender.second()
    assert sender.composer.queries.shown()[0].id == "s"
    assert sender.composer.close("s", STANDING) == [QueryClosed("s", "standing")]
    assert sender.composer.close("s", STANDING) == []
    assert sender.composer.queries.shown() == []
    sender.composer.watches_changed(watch_set([FALL]))
    assert not sender.composer.waiting
    assert sender.second()[1].turn.news == ()
    sender.composer.watches_changed(watch_set([]))
    assert sender.second()[1].turn.news == ("[Instruction ended] Tell me when someone falls",)


def test_nor_where_the_watch_is_there_before_its_turn_has_settled() -> None:
    sender = Sender()
    sender.second()
    sender.composer.ask("s", "Tell me when someone falls", 0.0)
    sender.second(fails=True)
    sender.composer.watches_changed(watch_set([FALL]))
    assert sender.second()[1].turn.news == ()
    sender.composer.close("s", STANDING)
    assert sender.second()[1].turn.news == ()

    sender = Sender()
    sender.second()
    sender.composer.ask("s", "Tell me when someone falls", 0.0)
    effects, message = sender.composer.compose(2, make_frame(1.0), Look.FULL)
    sender.context.append(message.turn)
    sender.composer.watches_changed(watch_set([FALL]))
    sender.context.settle("</silence>")
    sender.composer.settled(message)
    sender.composer.close("s", STANDING)
    assert effects == []
    assert not sender.composer.waiting


def test_nor_where_the_watch_comes_while_a_later_turn_is_on_its_way() -> None:
    sender = Sender()
    sender.composer.ask("s", "Tell me when someone falls", 0.0)
    sender.second()
    sender.composer.close("s", STANDING)
    for fails in (True, False):
        _, message = sender.composer.compose(2, make_frame(sender.t + 0.5), Look.FULL)
        sender.context.append(message.turn)
        sender.composer.watches_changed(watch_set([FALL]))
        if fails:
            sender.context.rollback()
            sender.composer.watches_changed(watch_set([]))
            assert sender.second()[1].turn.news == ("[Instruction ended] Tell me when someone falls",)
            assert not sender.composer.waiting
            sender.composer.ask("s", "Tell me when someone falls", 0.0)
            sender.second()
            sender.composer.close("s", STANDING)
        else:
            sender.context.settle("</silence>")
            sender.composer.settled(message)
            assert not sender.composer.waiting


def test_a_request_that_the_next_chunk_does_not_show_is_told_once_it_is_a_watch() -> None:
    sender = Sender(chunk_s=3.0, lead_turns=0)
    sender.composer.ask("s", "Tell me when someone falls", 0.0)
    sender.second()
    sender.composer.close("s", STANDING)
    while sender.second()[0] is None:
        pass
    sender.composer.watches_changed(watch_set([FALL]))
    assert sender.second()[1].turn.news == (f"{QUERY_HEADER}\nTell me when someone falls",)


def test_a_request_that_ended_something_only_closes() -> None:
    sender = Sender()
    sender.composer.ask("s", "Stop that", 0.0)
    assert sender.composer.close("s", STANDING) == [QueryClosed("s", "standing")]  # before any turn: nothing was read
    sender.composer.ask("s", "Stop that", 0.0)
    sender.second()
    assert sender.composer.close("s", CANCEL) == [QueryClosed("s", "cancel")]
    assert sender.second()[1].turn.news == ()


def test_a_question_asked_while_there_was_room_is_shortened_to_what_there_is_now() -> None:
    sender = Sender()
    sender.composer.ask("q", "有" * 600, 0.0)
    sender.context.set_limit(2000)
    _, message = sender.second()
    assert text_tokens(message.turn.query) <= sender.context.budget.query < 1200
