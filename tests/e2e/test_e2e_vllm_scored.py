"""Engine `openai` on the scored path against the real vLLM: what is computed anew, and what the scores are."""

import asyncio
import json
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vllm_server import BLOCK, VllmServer
from vllm_sessions import HEIGHT, TICKS, WIDTH, comes_to, footage, probed

from fakes.media.sniffing import Sent, Sniffer
from fakes.turns import chunk, turn
from joyvl_server.core.errors import EngineError
from joyvl_server.core.frame import Frame
from joyvl_server.core.prompt.turns import SILENCE, Chunk, Draft, SettledTurn, UserTurn
from joyvl_server.core.prompt.wire_format import RESPONSE, image_tokens, system_prompt
from joyvl_server.engines.base import EngineSpec
from joyvl_server.engines.openai.engine import OpenAIEngine, OpenAISession
from joyvl_server.kit.jpeg import encode

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

CHUNK = 40
LEAD = 8
SAID = {"structured_outputs": {"regex": " [a-z]{3,20}"}}
"""What follows `</response>`; the model is random, its grammar makes words of it."""
HISTORY = "[Video History]\n" + "\n".join(
    f"<{t}.0 seconds ~ {t + 10}.0 seconds> a person entered from the left, walked to the table and took the cup away"
    for t in range(0, 300, 10)
)


@dataclass
class Day:
    """What happened in 120 ticks: requests by kind, in order."""

    ticks: list[Sent] = field(default_factory=list)
    says: list[Sent] = field(default_factory=list)
    others: list[Sent] = field(default_factory=list)
    first_of_chunk: list[int] = field(default_factory=list)


async def warm_all(session: OpenAISession) -> int:
    """All slices that are due; how many turns of the lead are warm."""
    for _ in range(50):
        if (warmth := await session.warm(400)).done:
            return warmth.turns
    raise AssertionError("it never gets warm")


async def live(session: OpenAISession, sniffer: Sniffer, frames: list[Frame]) -> Day:
    """120 ticks with answers, choices and a summary among them; chunks of 40 turns, each prepared beside the last."""
    day = Day()
    now = Chunk(0, system_prompt(), HISTORY)
    coming, settled = now, list[SettledTurn]()
    await session.begin(now)
    for step, frame in enumerate(frames):
        if step and step % CHUNK == 0:
            lead = (coming.leading(old) for old in settled[-LEAD:])
            now = replace(coming, lead=tuple(lead))
            await session.begin(now)
            day.first_of_chunk.append(step)
            settled = []
        this = UserTurn(step, frame.t - now.origin, frame)
        await session.append(this)
        seen = len(sniffer.sent)
        score = await session.score()
        assert 0.0 < score.value < 1.0
        day.ticks += sniffer.sent[seen:]
        answer = SILENCE
        if step % 10 == 3:
            assert math.isclose(sum(await session.choose("Which is it about? A: one. B: none.", ("A", "B"))), 1.0)
        if step % 10 == 7:
            seen = len(sniffer.sent)
            text = "".join([delta async for delta in session.say()])
            assert text.strip().isalpha()
            answer = f"{RESPONSE}{text}"
            day.says += sniffer.sent[seen:]
        await session.settle(answer)
        settled.append(SettledTurn(this, answer))
        seen = len(sniffer.sent)
        if step % CHUNK == CHUNK // 2:
            await session.write(Draft("d", "Sum up what happened.", 24, now, tuple(settled)), "", 24)
        if step % CHUNK == CHUNK - LEAD - 1 and step < TICKS - CHUNK:
            coming = Chunk(now.number + 1, system_prompt(), f"{HISTORY}\nand so on, {step}", origin=step + 1.0)
            await session.prepare(coming)
            assert await warm_all(session) == 0
        elif step % CHUNK >= CHUNK - LEAD and step < TICKS - CHUNK:
            assert await warm_all(session) == step % CHUNK - (CHUNK - LEAD) + 1
        day.others += sniffer.sent[seen:]
    return day


@pytest.mark.clips
async def test_of_a_prompt_that_only_grows_only_the_tail_is_computed(vllm: VllmServer, clips: Path) -> None:
    frames = footage(clips)
    async with probed(vllm, extra_body=SAID, max_tokens=16) as (engine, sniffer):
        session = await engine.open(EngineSpec("s1"))
        usage = replace(engine.usage)
        day = await live(session, sniffer, frames)
        assert (len(day.ticks), len(day.says), day.first_of_chunk) == (TICKS, TICKS // 10, [40, 80])

        # Its turn: what came since the prompt before, the answer to that too.
        grown = [b.tokens[0] - a.tokens[0] for a, b in zip(day.ticks, day.ticks[1:], strict=False)]
        turn_of = {step + 1: tokens for step, tokens in enumerate(grown)}
        for step in day.first_of_chunk:
            turn_of[step] = turn_of[step + 1]
        assert max(turn_of.values()) < image_tokens(WIDTH, HEIGHT) + 60
        over = {step: day.ticks[step].fresh - new - BLOCK for step, new in turn_of.items()}
        late = {step: tokens for step, tokens in over.items() if tokens > 0}
        assert late == {}
        assert max(say.fresh for say in day.says) <= BLOCK + 1
        prompt, cached = (sum(sent.tokens[n] for sent in [*day.ticks, *day.says]) for n in (0, 1))
        assert cached >= 0.95 * prompt

        # Each picture's bytes crossed once, whatever was asked about it.
        crossed = [name for sent in sniffer.sent for name in sent.images]
        assert len(crossed) == len(set(crossed))
        assert {frame.image.name for frame in frames} <= set(crossed)  # those of leads cross as glances too
        assert engine.usage.images - usage.images == len(crossed)
        assert engine.usage.forgotten == 0
        # Nothing that was only asked stays: each tick's messages are the earlier ones and a tail.
        for step, (a, b) in enumerate(zip(day.ticks, day.ticks[1:], strict=False), 1):
            if step not in day.first_of_chunk:
                assert [m["role"] for m in b.messages[len(a.messages) :]] == ["assistant", "user"]
        most = max(sent.fresh for sent in day.ticks[1:]), max(say.fresh for say in day.says)
        print(f"cached {cached / prompt:.4f}; most fresh tokens of a tick {most[0]}, of a say {most[1]}")


async def test_the_score_is_what_transformers_computes(vllm: VllmServer, tmp_path: Path) -> None:
    async with probed(vllm) as (engine, sniffer):
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk(system=system_prompt(), prefix=HISTORY))
        scores = []
        for step in range(6):
            await session.append(turn(3 * step, query="who is it?" if step == 2 else None))
            scores.append((await session.score()).value)
            await session.settle(f"{RESPONSE} a person" if step == 3 else SILENCE)
        prompts = [sent.messages for sent in sniffer.sent]
        urls = {turn(step).frame.image.name: turn(step).frame.image.jpeg for step in range(16)}
    for messages in prompts:
        for part in [p for m in messages if isinstance(m["content"], list) for p in m["content"]]:
            if part["type"] == "image_url":
                data = b64encode(urls[part["uuid"]]).decode()
                part["image_url"] = {"url": f"data:image/jpeg;base64,{data}"}
    (tmp_path / "prompts.json").write_text(json.dumps(prompts))
    found = json.loads(
        await asyncio.to_thread(vllm.run, "reference_scores.py", vllm.folder / "model", tmp_path / "prompts.json")
    )
    ids = [vllm.tokens(marker)[0] for marker in (SILENCE, RESPONSE)]
    for sent, score, want in zip(sniffer.sent, scores, found, strict=True):
        assert sent.tokens[0] == want["tokens"]
        assert sent.answer is not None
        listed = sent.answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        got = {entry["token"]: entry["logprob"] for entry in listed}
        for marker, token in zip((SILENCE, RESPONSE), ids, strict=True):
            assert got[f"token_id:{token}"] == pytest.approx(want[marker], abs=1e-2)
        assert score == pytest.approx(1 / (1 + math.exp(want[SILENCE] - want[RESPONSE])), abs=1e-2)


async def test_pictures_that_the_server_forgot_are_sent_again(vllm: VllmServer) -> None:
    rng = np.random.default_rng(1)
    noise = np.repeat(np.repeat(rng.integers(0, 255, (90, 160, 3), dtype=np.uint8), 8, axis=0), 8, axis=1)
    async with probed(vllm) as (engine, _):
        session, other = await engine.open(EngineSpec("s1")), await engine.open(EngineSpec("s2"))
        await session.begin(chunk())
        for step in (0, 10, 11):
            await session.append(turn(step))
            await session.score()
            await session.settle(SILENCE)
        for step in range(14):  # 22 MB each, prepared: they push the others out
            await other.begin(chunk(step))
            image = encode(np.roll(noise, 8 * step, axis=0))
            await other.append(UserTurn(step, 0.0, Frame(0.0, 0.0, image, np.zeros((1, 1), np.uint8))))
            await other.score()
        before = engine.usage.images
        await session.append(turn(12))
        assert 0.0 < (await session.score()).value < 1.0
        assert engine.usage.forgotten == 1
        assert engine.usage.images - before == 1 + 4
        await session.settle(SILENCE)
        await session.append(turn(12))
        await session.score()
        assert engine.usage.forgotten == 1
        assert engine.usage.images - before == 1 + 4


TALKS = {"structured_outputs": {"regex": "( [a-z]+)+"}, "min_tokens": 3000}


@pytest.mark.parametrize("end", ["aclose", "aclose from elsewhere", "leave"])
async def test_a_session_that_ends_while_it_speaks_is_aborted_on_the_server(vllm: VllmServer, end: str) -> None:
    async with probed(vllm, extra_body=TALKS, max_tokens=4000) as (engine, _):
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk())
        await session.append(turn(0))
        await session.score()
        async with aclosing(session.say()) as deltas:
            assert await anext(deltas)
            assert await comes_to(1, vllm.running)
            if end == "aclose":
                await session.aclose()
            elif end == "aclose from elsewhere":
                await asyncio.create_task(session.aclose())
        assert await comes_to(0, vllm.running)
        if end == "leave":
            await session.settle(f"{RESPONSE} enough")
            await session.append(turn(1))
            assert 0.0 < (await session.score()).value < 1.0


class Slow(Sniffer):
    """Every whole answer is 3000 tokens long."""

    async def ask(
        self, messages: Sequence[bytes], fields: Mapping[str, Any], *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        return await super().ask(messages, {**fields, "max_tokens": 3000, "min_tokens": 3000}, timeout_s=timeout_s)


@pytest.mark.parametrize("call", ["score", "choose", "warm", "write"])
async def test_a_cancelled_call_is_aborted_and_the_session_goes_on(vllm: VllmServer, call: str) -> None:
    async with probed(vllm) as (engine, _):
        abilities = engine._server.abilities
    engine = OpenAIEngine({"base_url": vllm.base_url, "timeout_s": 60}, chat=Slow(vllm.base_url), abilities=abilities)
    session = await engine.open(EngineSpec("s1"))
    await session.begin(chunk())
    await session.append(turn(0))
    await session.prepare(Chunk(1, "You watch."))
    calls = {
        "score": session.score,
        "choose": lambda: session.choose("A or B?", ("A", "B")),
        "warm": lambda: session.warm(100),
        "write": lambda: session.write(Draft("d", "Sum up.", 3000, chunk()), "", 3000),
    }
    task = asyncio.ensure_future(calls[call]())
    assert await comes_to(1, vllm.running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await comes_to(0, vllm.running)
    await session.settle(SILENCE)
    await session.append(turn(1))
    leaving = asyncio.ensure_future(session.score())
    assert await comes_to(1, vllm.running)
    await engine.aclose()
    with pytest.raises(EngineError, match="closed"):
        await leaving
    assert await comes_to(0, vllm.running)


async def test_what_the_probe_finds(vllm: VllmServer) -> None:
    async with probed(vllm, priority=True) as (engine, _):
        found = engine.capabilities
        assert (found.mode, found.scores, found.chooses, found.prepares) == ("scored", True, True, True)
        assert (found.prefills, found.uuids, found.priority, found.writes) == (True, True, True, True)
        assert (found.context_tokens, found.note) == (8192, "")
        assert found.cache_tokens is not None
        assert found.cache_tokens > 8192


async def test_any_model_works_when_told_in_plain_words(vllm: VllmServer) -> None:
    async with probed(vllm, protocol="instruct", max_tokens=400) as (engine, sniffer):
        assert engine.capabilities.mode == "instruct"
        assert not engine.capabilities.scores
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk(system=system_prompt()))
        for step in range(4):
            await session.append(turn(step))
            score = await session.score()
            assert score.value in (0.0, 1.0)
            assert score.garbage is None
            text = "".join([delta async for delta in session.say()])
            await session.settle(f"{RESPONSE} {text}" if score.value else SILENCE)
        answers = [m["content"] for m in sniffer.sent[-1].messages if m["role"] == "assistant"]
        assert [json.loads(answer)["decision"] in ("silent", "speak", "delegate") for answer in answers] == [True] * 3
