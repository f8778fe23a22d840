"""What every engine must do, whatever decides inside it. A new engine joins by a line in `MAKERS`."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.engines.openai_server import FakeOpenAI, Reply, Request, says
from fakes.engines.openai_vllm import FakeVllm
from fakes.engines.reference_server import FakeReference
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import ConfigError, EngineError
from joyvl_server.core.prompt.turns import Draft, SettledTurn
from joyvl_server.engines.base import Engine, EngineSession, EngineSpec
from joyvl_server.kit import plugins

TURNS = 24
"""enough for the drawn block to come, go and come again"""


def echo(request: Request) -> Reply:
    """Speaks at every third turn, and what it says depends on every byte it was sent."""
    seen = hashlib.sha256(json.dumps(request.messages).encode()).hexdigest()[:12]
    return says("</resp", f"onse> saw {seen}") if len(request.messages) // 2 % 3 == 0 else says("</silence>")


def remembering(server: FakeReference) -> Callable[[Request], Reply]:
    """A server that keeps its sessions' conversations, as the reference does."""
    kept: dict[str, list[Any]] = {}

    def answer(request: Request) -> Reply:
        session = request.headers["x-streaming-session"]
        for name in server.resets:
            kept.pop(name, None)
        server.resets.clear()
        seen = kept.setdefault(session, [])
        seen.append(request.messages)
        saw = hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:12]
        return says(f"</response> saw {saw}") if len(seen) % 3 == 0 else says("</silence>")

    return answer


async def make_motion(_: AsyncExitStack) -> Engine:
    return plugins.load("joyvl.engines", "motion")({})  # type: ignore[operator]


async def make_openai(stack: AsyncExitStack) -> Engine:
    server = await stack.enter_async_context(FakeOpenAI())
    server.otherwise = echo
    return plugins.load("joyvl.engines", "openai")({"base_url": server.base_url, "timeout_s": 5})  # type: ignore[operator]


async def make_scored(stack: AsyncExitStack) -> Engine:
    return await make_probed(stack, FakeVllm())


async def make_instructed(stack: AsyncExitStack) -> Engine:
    return await make_probed(stack, FakeVllm(lacks={"markers"}))


async def make_remote(stack: AsyncExitStack) -> Engine:
    """Speaks at every third picture of a session; what it says depends on every picture and word since its reset."""
    server = await stack.enter_async_context(FakeReference())
    server.otherwise = remembering(server)
    return plugins.load("joyvl.engines", "remote")({"base_url": server.base_url, "timeout_s": 5})  # type: ignore[operator]


async def make_probed(stack: AsyncExitStack, server: FakeVllm) -> Engine:
    """Speaks at every third turn; what it says depends on its whole prompt."""

    def speaks(request: Request) -> float:
        return 0.9 if sum(message["role"] == "user" for message in request.messages) % 3 == 0 else 0.1

    def words(request: Request) -> tuple[str, ...]:
        seen = hashlib.sha256(repr(server.prompt(request)).encode()).hexdigest()[:12]
        return (" saw", f" {seen}")

    server.wish, server.says = speaks, words
    await stack.enter_async_context(server)
    engine: Engine = plugins.load("joyvl.engines", "openai")({"base_url": server.base_url, "timeout_s": 5})  # type: ignore[operator]
    await engine.probe()
    return engine


PLUGINS = ("motion", "openai", "remote")
MAKERS = {
    "motion": make_motion,
    "openai": make_openai,
    "scored": make_scored,
    "instruct": make_instructed,
    "remote": make_remote,
}


@pytest.fixture(params=MAKERS)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    async with AsyncExitStack() as stack:
        engine = await MAKERS[request.param](stack)
        yield engine
        await engine.aclose()


async def begun(engine: Engine, name: str = "s1") -> EngineSession:
    session = await engine.open(EngineSpec(name))
    await session.begin(chunk(prefix="[Video History]\nnothing yet"))
    return session


async def decide(session: EngineSession, step: int) -> tuple[Score, str]:
    """One whole turn but for its end."""
    await session.append(turn(step))
    score = await session.score()
    async with aclosing(session.say()) as deltas:  # type: ignore[type-var]
        text = "".join([delta async for delta in deltas]) if score.value >= 0.5 else ""
    return score, text


async def live(session: EngineSession, steps: range) -> list[tuple[float, str | None, str]]:
    """Whole turns, settled; what is comparable between two sessions."""
    seen = []
    for step in steps:
        score, text = await decide(session, step)
        await session.settle(f"</response>{text}" if text else "</silence>")
        seen.append((score.value, score.kind, text))
    return seen


async def test_it_is_an_engine_and_ready(engine: Engine) -> None:
    assert isinstance(engine, Engine)
    assert engine.name in PLUGINS
    assert engine.capabilities == engine.capabilities
    assert await engine.check()
    assert isinstance(await begun(engine), EngineSession)


@pytest.mark.parametrize("name", PLUGINS)
def test_an_unknown_option_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match="wings"):
        plugins.load("joyvl.engines", name)({"wings": 2})  # type: ignore[operator]


async def test_a_stream_of_turns_is_decided(engine: Engine) -> None:
    session = await begun(engine)
    seen = await live(session, range(TURNS))
    assert all(0.0 <= value <= 1.0 for value, _, _ in seen)
    assert any(value >= 0.5 and text for value, _, text in seen)
    assert any(value < 0.5 and not text for value, _, text in seen)


async def test_kinds_and_boxes_come_with_the_capability_only(engine: Engine) -> None:
    session = await begun(engine)
    for step in range(TURNS):
        score, _ = await decide(session, step)
        await session.settle("</silence>")
        if not engine.capabilities.reports_kinds:
            assert score.kind is None
            assert score.box is None
        elif score.value >= 0.5:
            assert score.kind
        if score.box is not None:
            assert 0.0 <= score.box.x0 <= score.box.x1 <= 1.0
            assert 0.0 <= score.box.y0 <= score.box.y1 <= 1.0


async def test_what_is_said_is_no_marker_of_a_decision(engine: Engine) -> None:
    for _, _, text in await live(await begun(engine), range(TURNS)):
        assert "</response>" not in text
        assert "</silence>" not in text


@pytest.mark.parametrize("scored", [False, True])
async def test_a_rolled_back_turn_leaves_no_trace(engine: Engine, scored: bool) -> None:
    plain, disturbed = await begun(engine, "plain"), await begun(engine, "disturbed")
    await live(plain, range(9))
    await live(disturbed, range(9))
    await disturbed.append(turn(18))
    if scored:
        await disturbed.score()
    await disturbed.rollback()
    seen, expected = await live(disturbed, range(9, TURNS)), await live(plain, range(9, TURNS))
    if engine.capabilities.takes_back or not scored:
        assert seen == expected
    else:
        assert seen != expected  # it says so, and it is so
        assert any(value >= 0.5 and text for value, _, text in seen)


async def test_sessions_do_not_see_each_other(engine: Engine) -> None:
    alone = await live(await begun(engine, "alone"), range(TURNS))
    one, other = await begun(engine, "one"), await begun(engine, "other")
    together = []
    for step in range(TURNS):
        await live(other, range(100 - step, 101 - step))
        together += await live(one, range(step, step + 1))
    assert together == alone


async def test_sessions_may_be_asked_at_the_same_time(engine: Engine) -> None:
    sessions = [await begun(engine, f"s{n}") for n in range(4)]
    results = await asyncio.gather(*(live(session, range(12)) for session in sessions))
    assert all(result == results[0] for result in results)


async def test_a_new_chunk_may_begin_at_any_time(engine: Engine) -> None:
    session = await begun(engine)
    await live(session, range(5))
    await session.append(turn(5))
    await session.score()
    await session.begin(chunk(1))
    assert len(await live(session, range(6, 12))) == 6


async def test_what_is_said_may_be_left_in_the_middle(engine: Engine) -> None:
    session = await begun(engine)
    left = 0
    for step in range(TURNS):
        await session.append(turn(step))
        if (await session.score()).value >= 0.5:
            async with aclosing(session.say()) as deltas:  # type: ignore[type-var]
                left += len(await anext(deltas)) > 0
        await session.settle("</silence>")
    assert left


async def test_a_turn_may_settle_unscored(engine: Engine) -> None:
    session = await begun(engine)
    for step in range(6):
        await session.append(turn(step))
        await session.settle("</silence>")
    assert await live(session, range(6, 8))


@pytest.mark.parametrize("passes", [0, 1, 2, 3, 5, 8])
async def test_a_cancelled_score_can_be_rolled_back(engine: Engine, passes: int) -> None:
    session = await begun(engine)
    await live(session, range(3))
    await session.append(turn(3))
    scoring = asyncio.ensure_future(session.score())
    for _ in range(passes):
        await asyncio.sleep(0)
    scoring.cancel()
    await asyncio.gather(scoring, return_exceptions=True)
    await session.rollback()
    assert len(await live(session, range(4, 8))) == 4


DRAFT = Draft("d1", "Sum it up.", 16, chunk(), (SettledTurn(turn(0), "</silence>"),))
CALLS: dict[str, Callable[[EngineSession], Awaitable[object]]] = {
    "begin": lambda session: session.begin(chunk()),
    "append": lambda session: session.append(turn(0)),
    "score": lambda session: session.score(),
    "say": lambda session: anext(session.say(), None),  # type: ignore[call-overload, no-any-return]
    "settle": lambda session: session.settle("</silence>"),
    "rollback": lambda session: session.rollback(),
    "choose": lambda session: session.choose("Which?", ("A", "B")),
    "prepare": lambda session: session.prepare(chunk(1)),
    "warm": lambda session: session.warm(100),
    "write": lambda session: session.write(DRAFT, "", 16),
}


@pytest.mark.parametrize("first", CALLS)
@pytest.mark.parametrize("second", CALLS)
async def test_calls_out_of_order_raise_engine_errors_and_nothing_else(engine: Engine, first: str, second: str) -> None:
    session = await engine.open(EngineSpec("s1"))
    for call in (first, second):
        with suppress(EngineError):
            await CALLS[call](session)
    await session.begin(chunk())
    assert len(await live(session, range(4))) == 4


async def test_a_rollback_without_a_turn_is_nothing(engine: Engine) -> None:
    session = await begun(engine)
    await session.rollback()
    await live(session, range(2))
    await session.rollback()
    assert len(await live(session, range(2, 4))) == 2


@pytest.mark.parametrize("call", CALLS)
async def test_a_closed_session_raises_engine_errors(engine: Engine, call: str) -> None:
    session = await begun(engine)
    await session.append(turn(0))
    await session.score()
    await session.aclose()
    if call in ("choose", "prepare", "warm") and not engine.capabilities.chooses:
        return  # nothing is asked of it
    with pytest.raises(EngineError):
        await CALLS[call](session)


@pytest.mark.parametrize("reach", ["open", "begin", "append", "score", "say", "settle"])
async def test_closing_is_fine_at_any_point_and_more_than_once(engine: Engine, reach: str) -> None:
    session = await engine.open(EngineSpec("s1"))
    for call in list(CALLS)[: ["open", *CALLS].index(reach)]:
        await CALLS[call](session)
    await session.aclose()
    await asyncio.gather(session.aclose(), session.aclose())


async def test_closing_in_the_middle_of_saying(engine: Engine) -> None:
    session = await begun(engine)
    for step in range(TURNS):
        await session.append(turn(step))
        if (await session.score()).value >= 0.5:
            break
        await session.settle("</silence>")
    async with aclosing(session.say()) as deltas:  # type: ignore[type-var]
        assert await anext(deltas)
        await session.aclose()
        with suppress(EngineError):
            await anext(deltas, None)
    with pytest.raises(EngineError):
        await session.append(turn(30))


async def test_closing_the_engine_closes_its_sessions(engine: Engine) -> None:
    session = await begun(engine)
    await live(session, range(3))
    await engine.aclose()
    await engine.aclose()
    with pytest.raises(EngineError):
        await decide(session, 3)
    await session.aclose()


async def test_a_choice_has_a_share_for_each_option_or_none(engine: Engine) -> None:
    plain, asked = await begun(engine, "plain"), await begun(engine, "asked")
    for step in range(6):
        await asked.append(turn(step))
        await asked.score()
        shares = await asked.choose("Which letter?", ("A", "B"))
        assert shares == () or (len(shares) == 2 and sum(shares) == pytest.approx(1.0))
        assert bool(shares) == engine.capabilities.chooses
        await asked.settle("</silence>")
        await live_silently(plain, step)
    assert await live(asked, range(6, TURNS)) == await live(plain, range(6, TURNS))


async def live_silently(session: EngineSession, step: int) -> None:
    await session.append(turn(step))
    await session.score()
    await session.settle("</silence>")


async def test_slices_come_to_an_end_and_leave_no_trace(engine: Engine) -> None:
    plain, sliced = await begun(engine, "plain"), await begun(engine, "sliced")
    await live_silently(plain, 0)
    await live_silently(sliced, 0)
    await sliced.prepare(chunk(1, prefix="[Video History]\n" + "much happened\n" * 50))
    for _ in range(40):
        if (warmth := await sliced.warm(100)).done:
            break
    assert warmth.done
    if engine.capabilities.writes:
        text = ""
        for _ in range(10):
            piece = await sliced.write(DRAFT, text, 8)
            text += piece.text
            if piece.done:
                break
        assert piece.done
        assert "</" not in text
    else:
        with pytest.raises(EngineError):
            await sliced.write(DRAFT, "", 8)
    assert await live(sliced, range(1, TURNS)) == await live(plain, range(1, TURNS))


async def test_a_prepared_chunk_is_gone_over_to(engine: Engine) -> None:
    """As if it had begun cold, with the turns that settled meanwhile as its lead."""
    cold, warm = await begun(engine, "cold"), await begun(engine, "warm")
    coming = chunk(1, prefix="what was")
    await warm.prepare(coming)
    lead = []
    for step in range(3):
        await live_silently(cold, step)
        await live_silently(warm, step)
        lead.append(coming.leading(SettledTurn(turn(step), "</silence>")))
    while not (await warm.warm(200)).done:
        pass
    for session in (cold, warm):
        await session.begin(replace(coming, lead=tuple(lead)))
    assert await live(warm, range(3, TURNS)) == await live(cold, range(3, TURNS))


async def test_the_engine_in_the_docs_works() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "engines.md").read_text()
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1], names)
    engine = names["MyEngine"]({})
    assert isinstance(engine, Engine)
    assert 0.0 < (await live(await begun(engine), range(3)))[0][0] < 1.0
    with pytest.raises(ConfigError, match="wings"):
        names["MyEngine"]({"wings": 2})
