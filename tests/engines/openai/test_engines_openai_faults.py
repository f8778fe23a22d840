"""Engine `openai` on the server's bad days: each ends in an `EngineError` with a sentence, and the next tick works."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from fakes.engines.openai_server import (
    FakeOpenAI,
    Reply,
    cut,
    dripping,
    endless,
    mute,
    raw,
    refuses,
    says,
    silence,
    slow,
    whole,
)
from fakes.patience import PATIENCE_S
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError, EngineTimeout, EngineUnavailable
from joyvl_server.core.prompt.answer_parser import MAX_ANSWER
from joyvl_server.engines.base import EngineSpec
from joyvl_server.engines.openai.engine import OpenAIEngine, OpenAISession

KEY = "sk-hush-0123456789abcdef"


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as server:
        yield server


Begin = Callable[..., Awaitable[OpenAISession]]


@pytest.fixture
async def begin(server: FakeOpenAI) -> AsyncIterator[Begin]:
    """Opens sessions, each of an engine of its own and with a turn appended; closes them all at the end."""
    async with AsyncExitStack() as stack:

        async def begin(**options: object) -> OpenAISession:
            engine = OpenAIEngine({"base_url": server.base_url, "api_key": KEY, "timeout_s": 5, **options})
            stack.push_async_callback(engine.aclose)
            session = await engine.open(EngineSpec("s1"))
            await session.begin(chunk())
            await session.append(turn(0))
            return session

        yield begin


async def step(session: OpenAISession) -> str:
    await session.score()
    return "".join([delta async for delta in session.say()])


def huge_event() -> Reply:
    return raw(json.dumps({"choices": [{"delta": {"content": "x" * 400_000}}]}))


FAULTS = [
    pytest.param(
        refuses(401, f"Incorrect API key provided: {KEY}"), EngineError, "wants a different API key", id="401"
    ),
    pytest.param(refuses(404, "The model `fake` does not exist."), EngineError, "has no model 'fake'", id="model gone"),
    pytest.param(whole(b'{"detail":"Not Found"}', "application/json", 404), EngineError, "no such address", id="404"),
    pytest.param(refuses(429, "slow down"), EngineUnavailable, "overloaded", id="429"),
    pytest.param(refuses(500, "boom"), EngineUnavailable, "had an internal error (500)", id="500"),
    pytest.param(whole(b"<html>Bad Gateway</html>", "text/html", 502), EngineUnavailable, "(502)", id="502"),
    pytest.param(
        refuses(400, "maximum context length is 9"), EngineError, "Lower sessions.context_tokens", id="too long"
    ),
    pytest.param(
        Reply(status=307, body=b"", headers=(("location", "http://x/"),)), EngineError, "redirects (307)", id="307"
    ),
    pytest.param(whole(b"<html>hello</html>", "text/html"), EngineError, "did not stream", id="a web page"),
    pytest.param(
        whole(b'{"error":{"message":"no GPU"}}', "application/json"), EngineError, "says: no GPU", id="200 error"
    ),
    pytest.param(raw("not json"), EngineError, "is not JSON", id="not JSON"),
    pytest.param(raw("[" * 100_000), EngineError, "is not JSON", id="deep JSON"),
    pytest.param(raw("[1]"), EngineError, "no part of an answer", id="odd JSON"),
    pytest.param(raw('{"error":{"message":"out of blocks"}}'), EngineError, "says: out of blocks", id="error event"),
    pytest.param(huge_event(), EngineError, "too large", id="huge event"),
    pytest.param(cut(), EngineUnavailable, "broke before the answer was complete", id="cut at once"),
    pytest.param(cut("</response> half a"), EngineUnavailable, "broke before the answer was complete", id="cut"),
    pytest.param(
        Reply(("</response> half a",), end="no_done"), EngineError, "broke off in an answer", id="no end mark"
    ),
    pytest.param(Reply((), end="no_done"), EngineError, "broke off in an answer", id="nothing at all"),
]


@pytest.mark.parametrize(("fault", "kind", "words"), FAULTS)
async def test_a_fault_is_an_engine_error_and_the_next_tick_works(
    server: FakeOpenAI, begin: Begin, fault: Reply, kind: type[EngineError], words: str
) -> None:
    server.script(fault, says("</response> back"))
    session = await begin(model="fake")
    with pytest.raises(kind, match=re.escape(words)) as caught:
        await step(session)
    assert KEY not in str(caught.value)
    assert "base64" not in str(caught.value)
    await session.rollback()
    await session.append(turn(1))
    assert await step(session) == " back"


async def test_no_server(server: FakeOpenAI, begin: Begin) -> None:
    session = await begin()
    await server.stop()
    with pytest.raises(EngineUnavailable, match=r"No server answers at http://127\.0\.0\.1:\d+/v1\. Is it running\?"):
        await session.score()
    await server.start()
    assert await session.score() == Score(0.0)


async def test_a_server_that_restarts_between_ticks_costs_no_tick(server: FakeOpenAI, begin: Begin) -> None:
    session = await begin()
    await session.score()
    await session.settle("</silence>")
    await server.stop()
    await server.start()
    await session.append(turn(1))
    assert await session.score() == Score(0.0)


async def test_a_port_that_speaks_something_else() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n")
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    engine = OpenAIEngine({"base_url": f"http://127.0.0.1:{port}/v1"})
    with pytest.raises(EngineUnavailable, match="broke before"):
        await engine.check()
    tls = OpenAIEngine({"base_url": f"https://127.0.0.1:{port}/v1"})
    with pytest.raises(EngineUnavailable, match="no secure connection"):
        await tls.check()
    await engine.aclose()
    await tls.aclose()
    other.close()
    await other.wait_closed()


async def test_a_name_without_an_address() -> None:
    engine = OpenAIEngine({"base_url": "http://no-such-host.invalid/v1"})
    with pytest.raises(EngineUnavailable, match=r"The name in http://no-such-host\.invalid/v1 has no address"):
        await engine.check()
    await engine.aclose()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(slow(silence(), 60), "took too long|decided nothing", id="no headers"),
        pytest.param(mute(), "took too long|decided nothing", id="silence after the headers"),
        pytest.param(mute("</respon"), "took too long|decided nothing", id="silence in the marker"),
        pytest.param(endless(""), "decided nothing within 0.5 s", id="endless nothing"),
        pytest.param(dripping("</response> so slow", 0.2), "decided nothing within 0.5 s", id="slow drip"),
    ],
)
async def test_a_decision_that_never_comes_is_given_up(
    server: FakeOpenAI, begin: Begin, fault: Reply, words: str
) -> None:
    server.script(fault)
    session = await begin(model="fake", timeout_s=0.5)
    with pytest.raises(EngineTimeout, match=words):
        await session.score()
    async with asyncio.timeout(PATIENCE_S):
        await server.completions[0].aborted.wait()


async def test_an_answer_that_stops_coming_is_given_up(server: FakeOpenAI, begin: Begin) -> None:
    server.script(mute("</response> well, ", "you see"))
    session = await begin(timeout_s=1)
    await session.score()
    deltas = session.say()
    assert [await anext(deltas), await anext(deltas)] == [" well, ", "you see"]
    with pytest.raises(EngineTimeout, match="took too long"):
        await anext(deltas)
    async with asyncio.timeout(PATIENCE_S):
        await server.completions[0].aborted.wait()


async def test_an_answer_that_drips_for_ever_is_given_up(server: FakeOpenAI, begin: Begin) -> None:
    server.script(Reply(("</response> a", "b"), end="endless", gap_s=0.02))
    session = await begin(answer_timeout_s=0.2)
    with pytest.raises(EngineTimeout, match=r"still had not ended its answer after 0\.2 s"):
        await step(session)
    async with asyncio.timeout(PATIENCE_S):
        await server.completions[0].aborted.wait()


async def test_endless_tokens_are_cut_at_the_longest_answer(server: FakeOpenAI, begin: Begin) -> None:
    server.script(endless("</response>", " bla bla bla bla bla bla bla"))
    session = await begin()
    assert len(await step(session)) == MAX_ANSWER
    await session.settle("</response> bla")
    async with asyncio.timeout(PATIENCE_S):
        await server.completions[0].aborted.wait()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (refuses(500, "boom"), "had an internal error (500)"),
        (refuses(401, "no"), "wants a different API key"),
        (whole(b"<html>hello</html>", "text/html"), "returns no list of models"),
        (whole(b'{"data": 7}', "application/json"), "returns no list of models"),
        (whole(b'{"data": [{"name": "x"}]}', "application/json"), "returns no list of models"),
        (whole(b"[" * 9000, "application/json"), "returns no list of models"),
        (Reply(body=b"{", end="cut"), "broke before the answer was complete"),
        (mute(), "did not list its models in time|took too long"),
    ],
)
async def test_a_model_list_that_cannot_be_read(server: FakeOpenAI, reply: Reply, words: str) -> None:
    server.models_reply = reply
    engine = OpenAIEngine({"base_url": server.base_url, "timeout_s": 1})
    with pytest.raises(EngineError, match=words.replace("(", r"\(").replace(")", r"\)")):
        await engine.check()
    session = await engine.open(EngineSpec("s1"))
    await session.begin(chunk())
    await session.append(turn(0))
    with pytest.raises(EngineError):
        await session.score()
    await engine.aclose()


async def test_a_model_list_that_is_none(server: FakeOpenAI, begin: Begin) -> None:
    server.models = []
    session = await begin()
    with pytest.raises(EngineError, match="lists no model"):
        await session.score()


async def test_one_bad_session_does_not_hurt_another(server: FakeOpenAI) -> None:
    engine = OpenAIEngine({"base_url": server.base_url, "model": "fake", "timeout_s": 5})
    sessions = [await engine.open(EngineSpec(f"s{n}")) for n in range(8)]
    for session in sessions:
        await session.begin(chunk())
        await session.append(turn(0))
    server.script(mute())
    stuck = asyncio.ensure_future(sessions[0].score())
    await server.asked.wait()
    scores = await asyncio.gather(*(session.score() for session in sessions[1:]))
    assert scores == [Score(0.0)] * 7
    assert not stuck.done()
    await engine.aclose()
    with pytest.raises(EngineError, match="closed"):
        await stuck
