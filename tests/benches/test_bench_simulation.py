"""The simulated engine: its cache, its steps, and the answers it gives to what the engine `openai` sends."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from contextlib import suppress

import pytest
from bench.simulation.batcher import ContinuousBatcher, Job
from bench.simulation.card import CARD, Card
from bench.simulation.prefix_cache import PrefixCache
from bench.simulation.prompt import Piece, Reader, prompt_of, tokens_of
from bench.simulation.replies import RESPONSE_ID, SILENCE_ID
from bench.simulation.scripted_model import ScriptedModel, question, words
from bench.simulation.server import SimulatedServer
from bench.simulation.sources import SimulatedSource, View, drawn, jpeg, moment_of, name_of, size_of
from bench.simulation.virtual_time import VirtualClock, run_virtual

from joyvl_server.core.errors import EngineError


def pieces(*names: str, tokens: int = 100) -> tuple[Piece, ...]:
    return tuple(Piece(name, tokens) for name in names)


def hold(cache: PrefixCache, *names: str) -> None:
    node, found, count = cache.match(pieces(*names))
    assert cache.reserve(100 * len(names) - found)
    cache.insert(node, pieces(*names)[count:])


def test_the_cache_shares_beginnings_and_evicts_the_oldest_tail_first():
    cache = PrefixCache(500)
    hold(cache, "system", "a1", "a2")
    hold(cache, "system", "b1")
    assert cache.used == 400  # the system prompt counts once
    hold(cache, "system", "b1", "b2", "b3")
    assert cache.used == 500
    assert cache.match(pieces("system", "a1", "a2"))[1] == 200  # only the tail of the oldest went
    assert cache.match(pieces("system", "b1", "b2", "b3"))[1] == 400


def test_what_is_in_use_is_never_evicted():
    cache = PrefixCache(300)
    hold(cache, "a1", "a2", "a3")
    node, _, _ = cache.match(pieces("a1", "a2", "a3"))
    cache.pin(node)
    assert not cache.reserve(100)
    cache.unpin(node)
    assert cache.reserve(100)
    assert cache.match(pieces("a1", "a2", "a3"))[1] == 200


def steps(card: Card, *jobs: tuple[float, Job]) -> None:
    """Run the jobs, each added at its time."""

    async def main() -> None:
        clock = VirtualClock()
        batcher = ContinuousBatcher(card, clock)
        running = asyncio.ensure_future(batcher.run())
        for at, job in jobs:
            if at > clock.monotonic():
                await clock.sleep(at - clock.monotonic())
            batcher.add(job)
        while any(not job.finished for _, job in jobs):
            await clock.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    run_virtual(main())


def job(*names: str, tokens: int = 1000, produce: int = 1) -> Job:
    return Job(pieces(*names, tokens=tokens), produce, lambda count: None)


def test_a_step_costs_what_is_fresh_in_it_and_the_budget_bounds_it():
    first = job("a", "b", "c", tokens=1000)
    steps(CARD, (0.0, first))
    whole = CARD.request_s + CARD.prefill(2048, 0, 0) + CARD.prefill(952, 2048, 0) + CARD.decode(3000)
    assert first.finished == pytest.approx(whole, abs=1e-6)
    assert (first.fresh, first.cached) == (3000, 0)


def test_what_was_sent_before_is_found_again_in_whole_blocks():
    first, second = job("a", "b", tokens=500), job("a", "b", "c", tokens=500)
    steps(CARD, (0.0, first), (5.0, second))
    assert second.cached == 992  # 1000 rounded down to blocks of 16
    assert second.finished - 5.0 < first.finished
    again = job("x", tokens=32)
    steps(CARD, (0.0, job("x", tokens=32)), (1.0, again))
    assert again.cached == 16  # the last token is always computed


def test_running_goes_before_waiting():
    long, short = job("long", tokens=6000), job("short", tokens=100)
    steps(CARD, (0.0, long), (0.1, short))
    assert short.finished >= long.finished
    small = Card(budget=6100)
    long, short = job("long", tokens=6000), job("short", tokens=100)
    steps(small, (0.0, long), (0.0, short))
    assert short.finished == pytest.approx(long.finished)  # both fit one step


def test_where_there_is_no_room_it_waits():
    first, second = job("a", tokens=900, produce=50), job("b", tokens=900)
    steps(Card(cache_tokens=1000), (0.0, first), (0.1, second))
    assert second.finished > first.finished


def message(role: str, *parts: object) -> bytes:
    content = parts[0] if isinstance(parts[0], str) else list(parts)
    return json.dumps({"role": role, "content": content}).encode()


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def picture(t: float, *, named: bool = False) -> dict[str, object]:
    name = name_of(0, t, False)
    url = {"url": "data:image/jpeg;base64," + b64encode(jpeg(672, 384, 600)).decode()}
    return {"type": "image_url", "image_url": None if named else url, "uuid": name}


def test_a_message_costs_the_same_by_bytes_and_by_name():
    reader = Reader(size_of)
    whole = reader.read(message("user", text("<1.0 seconds>\n"), picture(1.0)))
    named = reader.read(message("user", text("<1.0 seconds>\n"), picture(1.0, named=True)))
    assert prompt_of([whole], prefilled=False) == prompt_of([named], prefilled=False)
    assert sum(piece.image for piece in whole.pieces) == 254
    reader.forget()
    assert reader.read(message("user", text("<1.0 seconds>\n"), picture(1.0, named=True))).missing


def test_words_have_as_many_tokens_as_asked_for():
    assert len(tokens_of(words(25, " the 7"))) == 25
    assert tokens_of("</silence>") == ("</silence>",)
    assert moment_of(name_of(3, 12.345, True)) == (3, 12.345)


def ask(server: SimulatedServer, *messages: bytes, **fields: object) -> dict:
    async def main() -> dict:
        running = asyncio.ensure_future(server.run())
        try:
            return await server.ask(list(messages), {"model": "simulated", "max_tokens": 1, **fields})
        finally:
            running.cancel()

    return run_virtual(main())


MARKERS = {"logprobs": True, "logprob_token_ids": [SILENCE_ID, RESPONSE_ID]}


@pytest.mark.parametrize(("said", "best"), [("<1.0 seconds>", "</silence>"), (question(1), "</response>")])
def test_it_is_silent_until_it_is_asked(said: str, best: str):
    server = SimulatedServer(ScriptedModel(), VirtualClock())
    answer = ask(server, message("system", "You watch."), message("user", text(said), picture(1.0)), **MARKERS)
    assert answer["choices"][0]["message"]["content"] == best
    (request,) = server.requests
    assert (request.kind, request.tokens, request.fresh) == ("score", answer["usage"]["prompt_tokens"], request.tokens)
    assert request.images == 254


def test_a_picture_that_was_never_sent_is_refused():
    server = SimulatedServer(ScriptedModel(), VirtualClock())
    with pytest.raises(EngineError) as caught:
        ask(server, message("user", text("x"), picture(1.0, named=True)), **MARKERS)
    assert caught.value.code == "engine_forgot"


def test_a_summary_comes_in_slices_and_what_was_written_is_in_the_cache():
    script, so_far, fresh = ScriptedModel(summary_tokens=100), "", []

    async def main() -> str:
        nonlocal so_far
        server = SimulatedServer(script, VirtualClock())
        running = asyncio.ensure_future(server.run())
        for _ in range(10):
            messages = [message("user", text("Sum up what happened. " * 40))]
            begun = {"continue_final_message": True} if so_far else {}
            if so_far:
                messages.append(message("assistant", so_far))
            answer = await server.ask(messages, {"model": "m", "max_tokens": 32, **begun})
            fresh.append(server.requests[-1].fresh)
            so_far += answer["choices"][0]["message"]["content"]
            if answer["choices"][0]["finish_reason"] == "stop":
                break
        running.cancel()
        return so_far

    assert run_virtual(main()) == script.summary
    assert len(fresh) == 4
    assert max(fresh[1:]) <= 2 * CARD.block


def test_an_aborted_answer_takes_no_more_time():
    async def main() -> tuple[float, int]:
        clock = VirtualClock()
        server = SimulatedServer(ScriptedModel(reply_tokens=400), clock)
        running = asyncio.ensure_future(server.run())
        stream = await server.stream([message("user", text(question(1)), picture(1.0))], {"model": "m"})
        await stream.read()
        await stream.aclose()
        await clock.sleep(0.1)
        began = clock.monotonic()
        await server.ask([message("user", text("x"))], {"model": "m", "max_tokens": 1})
        running.cancel()
        return clock.monotonic() - began, server.totals.aborted

    took, aborted = run_virtual(main())
    assert took < 0.1
    assert aborted == 1


def test_the_drawn_scene_moves_and_its_source_shows_it():
    async def main() -> list[float]:
        clock = VirtualClock()
        source = SimulatedSource(0, clock, View(), drawn())
        shown = []
        for _ in range(40):
            frame = await source.look(glance=True)
            assert frame.glance is not None
            shown.append(float(frame.grey.mean()))
            await clock.sleep(1.0)
        return shown

    shown = run_virtual(main())
    assert max(shown) - min(shown) > 2.0
