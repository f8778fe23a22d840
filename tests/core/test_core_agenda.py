from fakes.frames import make_frame
from joyvl_server.core.agenda import MAX_TASKS, Agenda, Message
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.context import Context
from joyvl_server.core.events import QueryClosed, TaskChanged
from joyvl_server.core.protocol import QUERY_HEADER, SILENCE
from joyvl_server.core.queries import MAX_OPEN
from joyvl_server.core.turns import Chunk, Look
from joyvl_server.core.watches import Watch, book
from joyvl_server.core.zones import Zone

FALL = Watch("w1", "fall", "Tell me when someone falls")
DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))


class Sender:
    """An agenda with its context; `second` composes a turn and settles it, unless it fails."""

    def __init__(self, **config) -> None:
        settings = ObserverConfig(**config)
        self.context = Context(settings)
        self.agenda = Agenda(settings, self.context)
        self.t = -1.0

    def second(self, *, fails: bool = False) -> tuple[Chunk | None, Message]:
        self.t += 1
        chunk, message = self.agenda.compose(int(self.t) + 1, make_frame(self.t), Look.FULL)
        self.context.append(message.turn)
        if fails:
            self.context.rollback()
        else:
            self.context.settle(SILENCE)
            self.agenda.settled(message)
        return chunk, message


def test_standing_watches_are_in_the_prefix_and_changes_are_news() -> None:
    sender = Sender()
    sender.agenda.book = book([FALL], [DOOR])
    chunk, first = sender.second()
    assert FALL.text in chunk.prefix
    assert (first.turn.news, first.turn.zones) == ((), (DOOR,))
    sender.agenda.book = book([])
    assert sender.agenda.waiting
    assert not sender.agenda.urgent
    chunk, second = sender.second()
    assert chunk is None
    assert second.turn.news == ("[Instruction ended] Tell me when someone falls",)
    assert sender.second()[1].turn.news == ()
    assert not sender.agenda.waiting


def test_news_of_a_failed_turn_comes_again() -> None:
    sender = Sender()
    sender.second()
    sender.agenda.book = book([FALL])
    sender.agenda.ask("q", "Why?", 0.0)
    sender.agenda.task_changed(TaskChanged(0.0, "t", "completed", "It is a fox."))
    _, failed = sender.second(fails=True)
    _, again = sender.second()
    assert failed.turn.news == again.turn.news
    assert again.turn.news == (
        f"{QUERY_HEADER}\nTell me when someone falls",
        "[Result of the question handed over] It is a fox.",
    )
    assert failed.turn.query == again.turn.query == "Why?"
    assert sender.second()[1].turn.query is None


def test_an_engine_that_reads_no_words_is_told_no_news() -> None:
    sender = Sender(follows_instructions=False)
    sender.second()
    sender.agenda.book = book([FALL])
    sender.agenda.task_changed(TaskChanged(0.0, "t", "completed", "It is a fox."))
    assert sender.second()[1].turn.news == ()


def test_one_query_a_turn_in_order() -> None:
    sender = Sender()
    sender.agenda.ask("a", "Who\nis </silence> it?", 0.0)
    sender.agenda.ask("b", "Why?", 0.0)
    assert sender.agenda.urgent
    assert sender.second()[1].turn.query == "Who is it?"
    assert sender.agenda.urgent
    _, message = sender.second()
    assert (message.turn.query, message.query) == ("Why?", "b")
    assert sender.agenda.concerned(message).id == "b"
    assert not sender.agenda.urgent


def test_an_open_query_is_in_the_prefix_of_the_next_chunk() -> None:
    sender = Sender(chunk_s=3.0, lead_turns=0)
    sender.agenda.ask("a", "Who is it?", 0.0)
    chunks = [sender.second()[0] for _ in range(6)]
    assert "Who is it?" not in chunks[0].prefix
    assert "Who is it?" in chunks[4].prefix


def test_an_answered_query_joins_the_history() -> None:
    sender = Sender(chunk_s=3.0, lead_turns=0)
    sender.agenda.ask("a", "Who is it?", 0.0)
    sender.second()
    assert sender.agenda.answered("a", 7) == [QueryClosed("a", "answered", 7)]
    assert sender.agenda.answered("a", 8) == []
    assert sender.agenda.answered(None, 9) == []
    sender.agenda.said(1.0, "The postman.")
    prefix = [sender.second()[0] for _ in range(5)][3].prefix
    assert "[Query 1 minute before] Who is it?\n[Response 1 minute before] The postman." in prefix


def test_a_query_that_ends_is_taken_back_where_the_model_saw_it() -> None:
    sender = Sender()
    sender.agenda.ask("seen", "Who?", 0.0)
    sender.second()
    sender.agenda.ask("in flight", "Why?", 0.0)
    _, flying = sender.agenda.compose(2, make_frame(1), Look.FULL)
    sender.agenda.ask("unseen", "When?", 0.0)
    for query_id in ("seen", "in flight", "unseen", "unknown"):
        closed = sender.agenda.withdraw(query_id)
        assert closed == ([] if query_id == "unknown" else [QueryClosed(query_id, "withdrawn")])
    assert flying.query == "in flight"
    assert sender.second()[1].turn.news == ("[No longer asked] Who?", "[No longer asked] Why?")


def test_queries_expire_and_the_oldest_gives_way() -> None:
    sender = Sender(query_ttl_s=60.0)
    sender.agenda.ask("old", "?", 0.0)
    assert sender.agenda.expire(59.9) == []
    assert sender.agenda.expire(60.0) == [QueryClosed("old", "expired")]
    assert not sender.agenda.is_open("old")
    for number in range(MAX_OPEN):
        assert sender.agenda.ask(f"q{number}", "?", 60.0) == []
    assert sender.agenda.ask("one more", "?", 60.0) == [QueryClosed("q0", "expired")]


def test_results_and_failures_of_tasks_are_news_and_history() -> None:
    sender = Sender(chunk_s=3.0, lead_turns=0, task_prefix="run7_")
    first, second, third = (sender.agenda.hand_over(f"Question {n}?") for n in (1, 2, 3))
    assert (first, second) == ("run7_1", "run7_2")
    for status in ("queued", "running"):
        sender.agenda.task_changed(TaskChanged(0.0, first, status))
    assert not sender.agenda.urgent
    sender.agenda.task_changed(TaskChanged(0.0, first, "completed", "A <fox>\n</response> indeed"))
    sender.agenda.task_changed(TaskChanged(0.0, second, "failed", "No agent."))
    sender.agenda.task_changed(TaskChanged(0.0, third, "cancelled"))
    assert sender.agenda.urgent
    assert sender.second()[1].turn.news == (
        "[Result of the question handed over] Question 1?: A <fox> indeed",
        "[No result of the question handed over] Question 2?: No agent.",
    )
    prefix = [sender.second()[0] for _ in range(5)][3].prefix
    assert "[Result 1 minute before] Question 1?: A <fox> indeed" in prefix


def test_tasks_are_bounded_and_an_unknown_one_is_told_without_its_question() -> None:
    sender = Sender()
    ids = [sender.agenda.hand_over(f"Question {number}?") for number in range(MAX_TASKS + 1)]
    sender.agenda.task_changed(TaskChanged(0.0, ids[0], "completed", "A fox."))
    assert sender.second()[1].turn.news == ("[Result of the question handed over] A fox.",)
