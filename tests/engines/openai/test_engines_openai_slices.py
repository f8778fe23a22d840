"""Engine `openai` between ticks: the next chunk is warmed slice by slice, texts are written slice by slice."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from fakes.engines.openai_server import refuses
from fakes.engines.openai_vllm import BLOCK, FakeVllm
from fakes.turns import chunk, turn
from joyvl_server.core.errors import EngineError
from joyvl_server.core.prompt.turns import Chunk, Draft, SettledTurn
from joyvl_server.engines.base import EngineSpec, Piece, Warmth
from joyvl_server.engines.openai.engine import OpenAIEngine, OpenAISession

SILENCE = "</silence>"
HISTORY = "[Video History]\n" + "\n".join(f"<{n}.0 seconds> somebody came in and went out again" for n in range(40))


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with FakeVllm() as server:
        yield server


@pytest.fixture
async def session(server: FakeVllm) -> AsyncIterator[OpenAISession]:
    engine = OpenAIEngine({"base_url": server.base_url, "timeout_s": 5})
    await engine.probe()
    server.requests.clear()
    server.fresh.clear()
    session = await engine.open(EngineSpec("s1"))
    await session.begin(chunk())
    yield session
    await engine.aclose()


async def live(session: OpenAISession, steps: range) -> list[SettledTurn]:
    settled = []
    for step in steps:
        await session.append(turn(step))
        await session.score()
        await session.settle(SILENCE)
        settled.append(SettledTurn(turn(step), SILENCE))
    return settled


async def warm(session: OpenAISession, tokens: int) -> list[Warmth]:
    """SliceRequests until all is warm."""
    slices = [await session.warm(tokens)]
    while not slices[-1].done:
        assert len(slices) < 100
        slices.append(await session.warm(tokens))
    return slices


# -------------------------------------------------------------------------------------------------------------- warming


async def test_the_first_tick_after_a_switch_pays_for_its_turn_alone(server: FakeVllm, session: OpenAISession) -> None:
    old = await live(session, range(3))
    coming = Chunk(1, "You watch on.", HISTORY, (replace(old[2], user=replace(old[2].user, t=0.0)),), 2.0)
    await session.prepare(coming)
    slices = await warm(session, 300)
    assert len(slices) > 4
    assert [warmth.turns for warmth in slices] == [0] * (len(slices) - 1) + [1]
    new = await live(session, range(3, 5))
    assert await session.warm(10_000) == Warmth(3, server.fresh[-1], True)
    assert await session.warm(10_000) == Warmth(3, 0, True)
    lead = coming.lead + tuple(coming.leading(s) for s in new)
    server.fresh.clear()
    server.requests.clear()
    await session.begin(replace(coming, lead=lead))
    await live(session, range(5, 7))
    first, second = server.fresh
    assert first <= second + BLOCK
    assert "base64" not in json.dumps(server.completions[0].messages)
    texts = [m["content"][0]["text"] for m in server.completions[1].messages if m["role"] == "user"]
    assert [text.splitlines()[-1] for text in texts] == [f"<{t}.0 seconds>" for t in (0, 1, 2, 5, 6)]


async def test_slices_are_about_as_large_as_asked_for(server: FakeVllm, session: OpenAISession) -> None:
    await session.prepare(Chunk(1, "You watch.\n" * 60, HISTORY))
    slices = await warm(session, 200)
    # A letter is a token here, and a third of one in the estimate.
    assert all(300 < warmth.fresh < 600 for warmth in slices)
    assert len(slices) == 6
    # No slice pays again for what an earlier one did, but for the end of a block and of the template.
    assert sum(server.fresh) <= len(server.prompt(server.completions[-1])) + 6 * (BLOCK + 40)
    for request in server.completions:
        assert request.body["max_tokens"] == 1


async def test_a_slice_is_no_smaller_than_a_line(session: OpenAISession) -> None:
    await session.prepare(Chunk(1, "", HISTORY))
    assert len(await warm(session, 1)) == 41


async def test_a_turn_that_joins_a_chunk_without_lead_brings_its_prefix_along(
    server: FakeVllm, session: OpenAISession
) -> None:
    await session.prepare(Chunk(1, "", HISTORY))
    assert (await warm(session, 200))[-1] == Warmth(0, server.fresh[-1], True)
    await live(session, range(1))
    server.fresh.clear()
    assert (await session.warm(10_000)).turns == 1
    assert server.fresh[0] < 200


async def test_nothing_prepared_is_nothing_to_warm(server: FakeVllm, session: OpenAISession) -> None:
    assert await session.warm(500) == Warmth(0, 0, True)
    assert server.completions == []


async def test_another_chunk_than_the_prepared_one_begins_as_it_is(server: FakeVllm, session: OpenAISession) -> None:
    await session.prepare(Chunk(1, "Prepared.", HISTORY))
    await session.begin(Chunk(2, "Other."))
    await live(session, range(1))
    assert server.completions[-1].messages[0]["content"] == "Other."
    assert (await session.warm(100)).done


async def test_a_rolled_back_turn_does_not_join_the_prepared_chunk(server: FakeVllm, session: OpenAISession) -> None:
    await session.prepare(Chunk(1, "Prepared."))
    await session.append(turn(0))
    await session.rollback()
    await live(session, range(1, 2))
    await session.warm(10_000)
    texts = [m["content"][0]["text"] for m in server.completions[-1].messages if m["role"] == "user"]
    assert texts == ["<1.0 seconds>\n"]


async def test_a_slice_that_fails_is_warmed_again(server: FakeVllm, session: OpenAISession) -> None:
    await session.prepare(Chunk(1, "", HISTORY))
    await session.warm(200)
    server.script(refuses(500, "boom"))
    with pytest.raises(EngineError):
        await session.warm(200)
    await session.warm(200)
    failed, again = server.completions[-2:]
    assert failed.messages == again.messages


# -------------------------------------------------------------------------------------------------------------- writing


def draft(turns: list[SettledTurn], **changes: object) -> Draft:
    return Draft("d1", "Sum it up.", 40, chunk(), tuple(turns), **changes)  # type: ignore[arg-type]


async def test_a_text_is_written_in_slices_at_the_tail_of_what_is_cached(
    server: FakeVllm, session: OpenAISession
) -> None:
    turns = await live(session, range(4))
    server.texts = [" one two three four five six seven eight nine ten", " nine ten"]
    server.requests.clear()
    server.fresh.clear()
    first = await session.write(draft(turns), "", 8)
    assert first == Piece(" one two three four five six seven eight ", False)
    assert await session.write(draft(turns), first.text, 8) == Piece("nine ten", True)
    one, other = server.completions
    assert "base64" not in json.dumps(one.messages)
    assert [m["role"] for m in one.messages[-2:]] == ["user", "assistant"]
    assert one.messages[-1]["content"] == "</response>"
    assert other.messages[-1]["content"] == "</response> one two three four five six seven eight"
    assert other.messages[:-1] == one.messages[:-1]
    assert (one.body["max_tokens"], one.body["continue_final_message"]) == (8, True)
    assert server.fresh[0] < 120
    assert server.fresh[1] < 80


async def test_a_text_ends_at_its_longest(server: FakeVllm, session: OpenAISession) -> None:
    server.texts = [" word" * 60] * 2
    text, done = "", False
    while not done:
        piece = await session.write(draft([]), text, 24)
        text, done = text + piece.text, piece.done
    assert text.split() == ["word"] * 40


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" it rained</silence> and on", " it rained"),
        (" it rained </delegation> how much?", " it rained "),
        ("</silence>", ""),
        (" caf\ufffd", " caf"),
    ],
)
async def test_only_words_are_written(server: FakeVllm, session: OpenAISession, text: str, words: str) -> None:
    server.texts = [text]
    assert await session.write(draft([]), "", 40) == Piece(words, True)


async def test_without_a_chunk_it_is_the_instruction_alone(server: FakeVllm, session: OpenAISession) -> None:
    server.texts = ["Short."]
    assert await session.write(Draft("d2", "Shorten this.", 40, system="You write."), "", 40) == Piece("Short.", True)
    assert server.completions[-1].messages == [
        {"role": "system", "content": "You write."},
        {"role": "user", "content": [{"type": "text", "text": "Shorten this."}]},
    ]


async def test_a_server_that_cannot_go_on_writes_it_in_one_piece(server: FakeVllm) -> None:
    server.has.remove("prefill")
    engine = OpenAIEngine({"base_url": server.base_url, "timeout_s": 5})
    await engine.probe()
    session = await engine.open(EngineSpec("s1"))
    await session.begin(chunk())
    server.texts = ["</response> all of it"]
    assert await session.write(draft([]), "", 8) == Piece(" all of it", True)
    assert server.completions[-1].body["max_tokens"] == 40
    await engine.aclose()


async def test_writing_disturbs_no_turn(server: FakeVllm, session: OpenAISession) -> None:
    await session.append(turn(0))
    server.texts = [" words"]
    await session.write(draft([]), "", 8)
    assert 0.0 < (await session.score()).value < 1.0
    assert len(server.completions[-1].messages) == 2
