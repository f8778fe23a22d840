"""The searches of `joyvl bench memory search` find what they are about, in a store filled as the bench fills it."""

from bench.memory import search


def test_each_search_finds_what_it_is_about(monkeypatch):
    monkeypatch.setattr(search, "QUICK_EVENTS", 6000)
    result = search.bench_search(quick=True)
    assert result["search_p95_ms"] > 0
    found = {row["what"]: row["found"] for row in result["rows"]}
    nothing = {
        "words that occur nowhere",
        "two words that hardly meet",
        "a character that occurs nowhere",
        "both languages",
    }
    assert {what for what, count in found.items() if not count and what in nothing} == nothing
    for what in (
        "a word",
        "a frequent word",
        "one character",
        "one frequent character",
        "one character of a longer word",
    ):
        assert found[what] == search.PAGE, what
    for what in (
        "two words",
        "words that begin so",
        "two characters",
        "three characters",
        "two pieces",
        "a word of a rare type",
    ):
        assert found[what] > 0, what
    assert set(result["rows"][0]) == {key for key, _ in search.COLUMNS}
