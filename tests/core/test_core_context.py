"""The context: append-only within a chunk, under its budget, no failed turn left."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.frames import make_frame
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.context import ANSWER_RESERVE, Context, Standing
from joyvl_server.core.errors import ConfigError
from joyvl_server.core.history import Entry, History
from joyvl_server.core.protocol import SILENCE, answer, user_parts
from joyvl_server.core.tokens import MESSAGE, answer_tokens, text_tokens, user_turn_tokens
from joyvl_server.core.turns import Look, UserTurn

NOTHING = Standing()


class Driver:
    """Feeds a context one turn after the other, as the observer does, and keeps the history."""

    def __init__(self, **config) -> None:
        self.config = ObserverConfig(**config)
        self.context = Context(self.config)
        self.history = History()
        self.step = 0

    def send(self, t: float, standing: Standing = NOTHING, **fields) -> UserTurn:
        self.step += 1
        frame = fields.pop("frame", None) or make_frame(t)

        def turn() -> UserTurn:
            return UserTurn(self.step, self.context.model_time(frame), frame, **fields)

        if not self.context.fits(turn()):
            self.context.begin(turn(), standing, self.history)
        sent = turn()
        self.context.append(sent)
        return sent

    def second(self, t: float, said: str = SILENCE, **more) -> UserTurn:
        sent = self.send(t, **more)
        self.context.settle(said)
        return sent


def times(context: Context) -> list[float]:
    return [settled.user.frame.t for settled in context.turns]


def test_the_first_turn_begins_the_first_chunk_at_model_time_0() -> None:
    driver = Driver()
    sent = driver.second(57.3, standing=Standing(watches=["Tell me when someone falls"]))
    chunk = driver.context.chunk
    assert sent.t == 0.0
    assert (chunk.number, chunk.lead) == (1, ())
    assert "Tell me when someone falls" in chunk.prefix
    assert chunk.prefix.startswith("[Clock] <0.0 seconds> is 2026-01-01 00:00:57 UTC+00:00")
    assert "three actions" in chunk.system
    assert driver.second(58.3).t == pytest.approx(1.0)


def test_the_system_prompt_can_be_ones_own_or_without_delegation() -> None:
    own, alone = Driver(system="Be quiet."), Driver(delegation=False)
    own.second(0)
    alone.second(0)
    assert own.context.chunk.system == "Be quiet."
    assert "two actions" in alone.context.chunk.system


def test_a_failed_turn_leaves_no_trace() -> None:
    driver = Driver()
    driver.second(0)
    before = (driver.context.turns, driver.context.tokens)
    driver.send(1)
    assert driver.context.tokens > before[1]
    driver.context.rollback()
    assert (driver.context.turns, driver.context.tokens) == before
    driver.second(2)
    assert times(driver.context) == [0, 2]


def test_a_chunk_whose_first_turn_failed_begins_again() -> None:
    driver = Driver()
    driver.send(0)
    driver.context.rollback()
    driver.second(1)
    assert driver.context.chunk.number == 2
    assert times(driver.context) == [1]


def test_a_chunk_ends_by_age_and_the_last_turns_lead_the_next() -> None:
    driver = Driver(chunk_s=10.0, lead_turns=3)
    for t in range(12):
        driver.second(t)
    chunk = driver.context.chunk
    assert chunk.number == 2
    assert [settled.user.frame.t for settled in chunk.lead] == [8, 9, 10]
    assert times(driver.context) == [8, 9, 10, 11]
    assert driver.context.turns[-1].user.t == 11.0  # model time goes on


def test_no_lead_where_none_is_wanted() -> None:
    driver = Driver(chunk_s=10.0, lead_turns=0)
    for t in range(12):
        driver.second(t)
    assert driver.context.chunk.lead == ()
    assert driver.context.turns[-1].user.t == 0.0


def test_a_chunk_ends_by_budget() -> None:
    driver = Driver(context_tokens=4096, chunk_s=1e9)
    for t in range(60):
        driver.second(t)
    assert driver.context.chunk.number > 2
    assert driver.context.tokens <= 4096


def test_model_time_restarts_at_the_first_switch_after_two_hours() -> None:
    driver = Driver(chunk_s=10.0, lead_turns=2, model_time_s=20.0)
    sent = [driver.second(t) for t in range(40)]
    restarts = [turn.frame.t for before, turn in zip(sent, sent[1:], strict=False) if turn.t < before.t]
    assert restarts == [22.0]  # chunks begin at 0, 11, 22, 33; its two lead turns stand at 0 and 1
    assert sent[22].t == 2.0
    assert [settled.user.t for settled in driver.context.turns][:2] == [11.0, 12.0]


def test_time_that_jumps_back_begins_afresh() -> None:
    driver = Driver()
    driver.second(100)
    driver.second(101)
    sent = driver.second(3)
    assert sent.t == 0.0
    assert times(driver.context) == [3]


def test_history_in_the_prefix_ends_where_the_lead_begins() -> None:
    driver = Driver(chunk_s=10.0, lead_turns=3)
    for t in range(12):
        driver.second(t)
        driver.history.add(Entry.RESPONSE, t, f"remark {t}")
    prefix = driver.context.chunk.prefix
    assert "[Response@7.0 seconds] remark 7" in prefix
    assert "remark 8" not in prefix


def test_an_open_query_stands_in_the_prefix_unless_the_lead_shows_it() -> None:
    driver = Driver(chunk_s=10.0, lead_turns=3)
    standing = Standing(queries=["Why?", "Who?"])
    for t in range(12):
        driver.second(t, standing=standing, query={2: "Who?", 9: "Why?"}.get(t))
    assert "Who?" in driver.context.chunk.prefix
    assert "Why?" not in driver.context.chunk.prefix


def test_a_budget_too_small_for_the_system_prompt_is_refused_with_a_number() -> None:
    with pytest.raises(ConfigError, match=r"context budget of 2048 tokens is too small .* raise it to \d+") as refused:
        Context(ObserverConfig(context_tokens=2048, system="word " * 1000))
    least = int(str(refused.value).split("raise it to ")[1].split()[0])
    Context(ObserverConfig(context_tokens=least, system="word " * 1000))
    Context(ObserverConfig(context_tokens=2048))


def test_wrong_order_is_a_mistake_of_the_caller() -> None:
    context = Context(ObserverConfig())
    turn = UserTurn(1, 0.0, make_frame(0))
    with pytest.raises(RuntimeError, match="before the first chunk"):
        context.append(turn)
    with pytest.raises(RuntimeError, match="no turn to settle"):
        context.settle(SILENCE)
    with pytest.raises(RuntimeError, match="no turn to roll back"):
        context.rollback()
    context.begin(turn, NOTHING, History())
    context.append(turn)
    with pytest.raises(RuntimeError, match="append a turn: the turn before"):
        context.append(turn)
    with pytest.raises(RuntimeError, match="begin a chunk: the turn before"):
        context.begin(turn, NOTHING, History())


# ------------------------------------------------------------------------------------------------------- properties

WORDS = st.text("ab 1有", max_size=600)
SECONDS = st.tuples(
    st.floats(0.1, 40),
    st.sampled_from([SILENCE, SILENCE, SILENCE, answer("A man came in."), answer("word " * 380), None]),
    st.none() | WORDS,
    st.lists(WORDS, max_size=2),
    st.sampled_from([Look.FULL, Look.GLANCE]),
)
CONFIGS = st.builds(
    dict,
    context_tokens=st.integers(2048, 9000),
    chunk_s=st.floats(10, 200),
    lead_turns=st.integers(0, 12),
    model_time_s=st.floats(10, 1000),
    separator=st.sampled_from(["", "\n"]),
)


def rendered(driver: Driver) -> list[object]:
    """All that the engine holds: system prompt, then user and assistant messages."""
    context = driver.context
    out: list[object] = [context.chunk.system]
    prefix = context.chunk.prefix
    for settled in context.turns:
        out += [user_parts(settled.user, prefix=prefix, separator=driver.config.separator), settled.answer]
        prefix = ""
    return out


def cost(messages: list[object]) -> int:
    system, *rest = messages
    return (
        MESSAGE
        + text_tokens(system)
        + sum(answer_tokens(m) if isinstance(m, str) else user_turn_tokens(m) for m in rest)
    )


@settings(max_examples=150)
@given(CONFIGS, st.lists(SECONDS, min_size=1, max_size=60), st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=3))
def test_append_only_under_budget_and_no_failed_turn_left(config, seconds, watches, queries) -> None:
    from joyvl_server.core.prefix import shorten

    driver = Driver(**config)
    context, t, settled = driver.context, 0.0, []
    held: list[object] = []
    for gap, said, query, news, look in seconds:
        t += gap
        before = context.chunk
        sent = driver.send(
            t,
            Standing(watches, queries),
            frame=make_frame(t, width=672, height=384, glance=True),
            look=look,
            query=None if query is None else shorten(query, context.query_room),
            news=tuple(shorten(line, context.news_room // 2 - 1) for line in news),
        )
        assert context.tokens <= config["context_tokens"] - ANSWER_RESERVE
        now = rendered(driver)
        if context.chunk is before:
            assert now == held
        assert context.tokens - user_turn_tokens(
            user_parts(sent, prefix="" if context.turns else context.chunk.prefix, separator=config["separator"])
        ) == cost(now)
        if said is None:
            context.rollback()
        else:
            context.settle(said)
            settled.append(t)
            driver.history.add(Entry.RESPONSE, t, said)
        after = rendered(driver)
        assert after[: len(now)] == now
        held = after
        assert times(context) == settled[len(settled) - len(context.turns) :]
        assert all(a.user.t <= b.user.t for a, b in zip(context.turns, context.turns[1:], strict=False))
        assert all(turn.user.t >= 0 for turn in context.turns)
