from joyvl_server.core.prompt.notices import MAX_OPEN, OpenQueries, Query


def asked(*ids: str) -> OpenQueries:
    queries = OpenQueries()
    for number, query_id in enumerate(ids):
        queries.ask(Query(query_id, f"{query_id}?", float(number)))
    return queries


def test_queries_wait_in_order_until_they_are_shown() -> None:
    queries = asked("a", "b")
    assert queries.waiting() == Query("a", "a?", 0.0)
    queries.show("a")
    assert queries.waiting() == Query("b", "b?", 1.0)
    assert queries.shown() == [Query("a", "a?", 0.0, shown=True)]
    queries.show("b")
    queries.show("unknown")
    queries.show(None)
    assert queries.waiting() is None


def test_an_answer_belongs_to_the_query_of_its_turn_or_to_the_oldest_shown() -> None:
    queries = asked("a", "b", "c")
    assert queries.query_for(None) is None
    queries.show("a")
    queries.show("b")
    assert queries.query_for("b").id == "b"
    assert queries.query_for(None).id == "a"
    assert queries.query_for("withdrawn meanwhile") is None


def test_a_query_ends_once() -> None:
    queries = asked("a")
    assert queries.is_open("a")
    assert queries.close("a") == Query("a", "a?", 0.0)
    assert queries.close("a") is None
    assert not queries.is_open("a")
    assert not queries.is_open(None)


def test_queries_expire_by_age() -> None:
    queries = asked("a", "b", "c")
    assert [query.id for query in queries.expire(601.0, 600.0)] == ["a", "b"]
    assert queries.is_open("c")


def test_too_many_queries_close_the_oldest() -> None:
    queries = OpenQueries()
    dropped = [queries.ask(Query(f"q{number}", "?", 0.0)) for number in range(MAX_OPEN + 1)]
    assert dropped[:-1] == [None] * MAX_OPEN
    assert dropped[-1] == Query("q0", "?", 0.0)
