"""Engine `openai` on the scored path: what it asks a vLLM for, and that nothing is sent or computed twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest

from fakes.engines.openai_server import FakeOpenAI, Reply, cut, endless, mute, raw, refuses, says, slow, whole
from fakes.engines.openai_session import said
from fakes.engines.openai_vllm import BLOCK, PICTURE, RESPONSE_ID, SILENCE_ID, FakeVllm
from fakes.patience import PATIENCE_S
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError, EngineTimeout, EngineUnavailable
from joyvl_server.core.prompt.turns import Chunk, SettledTurn, UserTurn
from joyvl_server.engines.base import EngineSpec
from joyvl_server.engines.openai import server_state
from joyvl_server.engines.openai.engine import OpenAIEngine, OpenAISession

SILENCE = "</silence>"


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with FakeVllm() as server:
        yield server


class Scored:
    """A probed engine on the server, and its sessions. Requests of the probe are not counted."""

    def __init__(self, server: FakeVllm, **options: object) -> None:
        self.engine = OpenAIEngine({"base_url": server.base_url, "timeout_s": 5, **options})
        self.server = server

    async def __aenter__(self) -> "Scored":
        while not self.engine.capabilities.scores:
            with suppress(EngineTimeout, EngineUnavailable):  # a busy machine, with a timeout that a test wants short
                await self.engine.probe()
        assert self.engine.capabilities.scores
        self.server.requests.clear()
        self.server.fresh.clear()
        self.server.asked.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.aclose()

    async def begin(self, first: Chunk | None = None, name: str = "s1") -> OpenAISession:
        session = await self.engine.open(EngineSpec(name))
        await session.begin(first or chunk())
        return session


def drawn(step: int) -> UserTurn:
    """Turns whose pictures all differ."""
    plain = turn(step)
    image = replace(plain.frame.image, jpeg=plain.frame.image.jpeg + bytes([step]), sha256=f"{step:064x}")
    return replace(plain, frame=replace(plain.frame, image=image))


async def silent(session: OpenAISession, step: int) -> float:
    await session.append(drawn(step))
    score = await session.score()
    await session.settle(SILENCE)
    return score.value


def bytes_of(server: FakeVllm) -> list[int]:
    """How many pictures each completion sent by their bytes."""
    return [json.dumps(request.messages).count("base64") for request in server.completions]


# ------------------------------------------------------------------------------------------------------------- a turn


async def test_a_score_is_one_token_and_nothing_that_shapes_answers_acts_on_it(server: FakeVllm) -> None:
    extra = {"presence_penalty": 0.4, "top_k": 5, "mm_processor_kwargs": {"x": 1}}
    async with Scored(server, temperature=0.8, top_p=0.9, extra_body=extra) as scored:
        session = await scored.begin()
        server.wish = 0.7
        assert await silent(session, 0) == pytest.approx(0.7)
        body = dict(server.completions[0].body)
        del body["messages"]
        assert body == {
            "model": "fake",
            "max_tokens": 1,
            "temperature": 0.0,
            "repetition_penalty": 1.0,
            "skip_special_tokens": False,
            "logprobs": True,
            "return_tokens_as_token_ids": True,
            "logprob_token_ids": [SILENCE_ID, RESPONSE_ID],
            "mm_processor_kwargs": {"x": 1},
        }


async def test_what_is_said_goes_on_after_a_response_begun_for_it(server: FakeVllm) -> None:
    async with Scored(server, temperature=0.8, extra_body={"presence_penalty": 0.4}) as scored:
        session = await scored.begin()
        await session.append(drawn(0))
        await session.score()
        server.says = (" a man ", "</dele", "gation> who is it?")
        assert "".join(await said(session)) == " a man </delegation> who is it?"
        score, say = server.completions
        assert say.messages == [
            *score.messages[:1],
            *say.messages[1:2],
            {"role": "assistant", "content": "</response>"},
        ]
        assert (say.body["continue_final_message"], say.body["add_generation_prompt"]) == (True, False)
        assert (say.body["temperature"], say.body["presence_penalty"], say.body["repetition_penalty"]) == (
            0.8,
            0.4,
            1.0,
        )
        assert server.fresh[1] <= BLOCK + 1
        await session.settle("</response> a man </delegation> who is it?")
        assert await said_nothing_more(session)


async def said_nothing_more(session: OpenAISession) -> bool:
    with pytest.raises(EngineError, match="after append"):
        await said(session)
    return True


async def test_an_answer_that_ends_itself_or_begins_anew_is_cut_there(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        session = await scored.begin()
        await session.append(drawn(0))
        await session.score()
        server.says = (" yes", "</silence> and more")
        assert "".join(await said(session)) == " yes"


async def test_a_choice_is_scored_at_the_tail_and_leaves_no_trace(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        plain, asking = await scored.begin(), await scored.begin(name="s2")
        server.letter = "B"
        for session in (plain, asking):
            await session.append(drawn(0))
            await session.score()
        shares = await asking.choose("Which letter?", ("A", "B", "C"))
        assert shares == pytest.approx((0.1 / 0.8, 0.6 / 0.8, 0.1 / 0.8))
        assert server.completions[-1].body["logprob_token_ids"] == [65, 66, 67]
        assert server.completions[-1].messages[-1] == {
            "role": "user",
            "content": [{"type": "text", "text": "Which letter?"}],
        }
        for session in (plain, asking):
            await session.settle(SILENCE)
            await session.append(drawn(1))
            await session.score()
        one, other = server.completions[-2:]
        assert [m for m in one.messages if m["role"] != "user"] == [m for m in other.messages if m["role"] != "user"]
        assert [len(m["content"]) for m in one.messages] == [len(m["content"]) for m in other.messages]


@pytest.mark.parametrize("options", [(), ("A", "Z"), ("A", "yes"), ("AB",)])
async def test_what_is_no_letter_is_not_asked(server: FakeVllm, options: tuple[str, ...]) -> None:
    async with Scored(server) as scored:
        session = await scored.begin()
        await session.append(drawn(0))
        assert await session.choose("Which?", options) == ()
        assert server.completions == []


# ------------------------------------------------------------------------------------------- nothing twice: pictures


async def test_each_pictures_bytes_cross_once(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        before = scored.engine.usage.images
        session = await scored.begin()
        for step in range(6):
            await silent(session, step)
        assert bytes_of(server) == [1] * 6
        assert all(fresh <= PICTURE + 80 + BLOCK for fresh in server.fresh[1:])
        assert scored.engine.usage.images - before == 6
        await session.begin(Chunk(1, "Anew.", "", tuple(SettledTurn(drawn(step), SILENCE) for step in range(6))))
        await silent(session, 6)
        assert bytes_of(server)[-1] == 1


async def test_sessions_share_what_the_server_has(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        one, other = await scored.begin(), await scored.begin(name="s2")
        await silent(one, 0)
        await silent(other, 0)
        assert bytes_of(server) == [1, 0]


async def test_when_the_server_forgot_all_are_sent_again_at_once(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        session = await scored.begin()
        for step in range(3):
            await silent(session, step)
        server.pictures.clear()
        assert await silent(session, 3) == pytest.approx(0.25)
        assert await silent(session, 4) == pytest.approx(0.25)
        assert bytes_of(server) == [1, 1, 1, 1, 4, 1]
        assert scored.engine.usage.forgotten == 1


async def test_a_server_that_forgets_and_forgets_gets_the_bytes_each_time(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        session = await scored.begin()
        for step in range(server_state.MANY_MISSES // server_state.MISS_COSTS * 2):
            await silent(session, step)
            server.pictures.clear()
        assert scored.engine.usage.forgotten < 15
        assert not scored.engine.capabilities.uuids
        assert "--mm-processor-cache-gb" in scored.engine.capabilities.note
        assert await silent(session, 40) == pytest.approx(0.25)


async def test_names_are_bounded(server: FakeVllm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_state, "MAX_PICTURES", 4)
    async with Scored(server) as scored:
        session = await scored.begin()
        for step in range(4):
            await silent(session, step)
        await session.begin(chunk(1))
        await silent(session, 4)
        await session.begin(chunk(2))
        await silent(session, 0)
        assert bytes_of(server) == [1] * 6


async def test_usage_is_counted(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        session = await scored.begin()
        usage = replace(scored.engine.usage)
        await session.append(drawn(0))
        await session.score()
        await said(session)
        await session.settle("</response> a man comes in")
        now = scored.engine.usage
        assert now.requests - usage.requests == 2
        assert now.fresh - usage.fresh == sum(server.fresh)
        assert now.cached > usage.cached
        assert now.bytes - usage.bytes > len(drawn(0).frame.image.jpeg)


# -------------------------------------------------------------------------------------------------------------- faults

FAULTS = [
    pytest.param(refuses(429, "slow down"), EngineUnavailable, "overloaded", id="429"),
    pytest.param(refuses(500, "boom"), EngineUnavailable, "had an internal error", id="500"),
    pytest.param(refuses(404, "The model `fake` does not exist."), EngineError, "has no model", id="wrong model"),
    pytest.param(refuses(400, "maximum context length is 9"), EngineError, "too long", id="too long"),
    pytest.param(whole(b"<html>hello</html>", "text/html"), EngineError, "cannot be read", id="a web page"),
    pytest.param(whole(b'{"choices": 7}', "application/json"), EngineError, "cannot be read", id="odd JSON"),
    pytest.param(whole(b"[" * 9000, "application/json"), EngineError, "cannot be read", id="deep JSON"),
    pytest.param(raw("not asked for"), EngineError, "cannot be read", id="a stream"),
    pytest.param(endless("x" * 60_000), EngineError, "cannot be read", id="endless"),
    pytest.param(cut(), EngineUnavailable, "broke before", id="cut"),
    pytest.param(Reply(body=b"{", end="cut"), EngineUnavailable, "broke before", id="half a body"),
    pytest.param(mute(), EngineTimeout, "took too long|nothing within", id="silence after the headers"),
    pytest.param(slow(says(), 60), EngineTimeout, "took too long|nothing within", id="no headers"),
    pytest.param(refuses(400, "Cache miss for image at index 0"), None, "", id="forgot once"),
]


@pytest.mark.parametrize(("fault", "kind", "words"), FAULTS)
@pytest.mark.parametrize("call", ["score", "say", "choose"])
async def test_a_fault_is_an_engine_error_and_the_next_tick_works(
    server: FakeVllm, fault: Reply, kind: type[EngineError] | None, words: str, call: str
) -> None:
    timeout_s = 2.0 if kind is EngineTimeout else PATIENCE_S
    async with Scored(server, timeout_s=timeout_s, model="fake", answer_timeout_s=timeout_s) as scored:
        session = await scored.begin()
        await silent(session, 0)
        await session.append(drawn(1))
        if call == "say":
            await session.score()
        calls = {
            "score": session.score,
            "say": lambda: said(session),
            "choose": lambda: session.choose("?", ("A", "B")),
        }
        server.script(fault)
        if kind is None or (call == "say" and fault.end == "endless"):
            await calls[call]()
        else:
            with pytest.raises(EngineError) as caught:
                await calls[call]()
            if call != "say":
                assert isinstance(caught.value, kind)
                assert any(word in str(caught.value) for word in words.split("|"))
        await session.rollback()
        other_model = words == "has no model"  # nothing is known of it: until it is probed, its text decides
        assert await silent(session, 2) == pytest.approx(0.0 if other_model else 0.25)
        texts = [m["content"][0]["text"] for m in server.completions[-1].messages if m["role"] == "user"]
        assert texts == ["<0.0 seconds>\n", "<2.0 seconds>\n"]


LISTS: list[object] = [
    None,
    {},
    {"content": None},
    {"content": []},
    {"content": [7]},
    {"content": [{"token": "x", "logprob": 0.0}]},
    {
        "content": [
            {"token": "x", "logprob": -1.0, "top_logprobs": [{"token": f"token_id:{SILENCE_ID}", "logprob": -1}]}
        ]
    },
    {"content": [{"top_logprobs": [{"token": f"token_id:{i}", "logprob": None} for i in (SILENCE_ID, RESPONSE_ID)]}]},
    {"content": [{"top_logprobs": [{"token": f"token_id:{i}", "logprob": "-1"} for i in (SILENCE_ID, RESPONSE_ID)]}]},
]


@pytest.mark.parametrize("logprobs", LISTS, ids=str)
@pytest.mark.parametrize(("content", "score"), [("</response>", Score(1.0)), ("hm", Score(0.0, garbage="hm"))])
async def test_without_the_markers_log_probabilities_the_text_decides(
    server: FakeVllm, logprobs: object, content: str, score: Score
) -> None:
    async with Scored(server) as scored:
        session = await scored.begin()
        await session.append(drawn(0))
        answer = {"choices": [{"message": {"content": content}, "logprobs": logprobs}]}
        server.script(whole(json.dumps(answer).encode(), "application/json"))
        assert await session.score() == score


async def test_a_cancelled_call_is_aborted_and_can_be_made_again(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        session = await scored.begin()
        await session.append(drawn(0))
        await session.prepare(Chunk(1, "Anew.", "much\n" * 50))
        calls = [session.score, lambda: session.choose("?", ("A", "B")), lambda: session.warm(50)]
        for call in calls:
            server.requests.clear()
            server.asked.clear()
            server.script(mute())
            task = asyncio.ensure_future(call())
            await server.asked.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(PATIENCE_S):
                await server.completions[0].aborted.wait()
            await call()


async def test_closing_a_session_aborts_whatever_it_asked_for(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        session = await scored.begin()
        await session.append(drawn(0))
        server.script(mute())
        scoring = asyncio.ensure_future(session.score())
        await server.asked.wait()
        await session.aclose()
        with pytest.raises(EngineError, match="closed"):
            await scoring
        async with asyncio.timeout(PATIENCE_S):
            await server.completions[0].aborted.wait()


async def test_a_model_that_changes_is_spoken_to_otherwise_in_mid_chunk(server: FakeVllm) -> None:
    async with Scored(server) as scored:
        session = await scored.begin()
        await silent(session, 0)
        await session.prepare(Chunk(1, "Anew."))
        await silent(session, 1)
        server.models, server.has = ["other"], server.has - {"markers", "ids", "allowed", "top"}
        with pytest.raises(EngineError, match="has no model 'fake'"):
            await silent(session, 2)
        await session.rollback()
        await silent(session, 3)
        assert (await scored.engine.probe()).mode == "instruct"
        server.wish = 1.0
        await session.append(drawn(4))
        assert await session.score() == Score(1.0)
        assert "".join(await said(session)) == " a man comes in"
        messages = server.completions[-1].messages
        assert "JSON" in messages[0]["content"]
        assert [json.loads(m["content"])["decision"] for m in messages if m["role"] == "assistant"] == ["silent"] * 3


def test_the_fake_is_the_plain_one_where_it_must_be() -> None:
    assert issubclass(FakeVllm, FakeOpenAI)
