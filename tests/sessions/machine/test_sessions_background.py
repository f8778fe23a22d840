"""Executor and background work of one session over an engine that a test plays, with the real scheduler between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fakes.clock import ManualClock
from fakes.media.frames import make_frame
from fakes.patience import PATIENCE_S
from joyvl_server.core.decisions import Score
from joyvl_server.core.effects import Append, AskChoice, AskScore, BeginChunk, PrepareChunk, Say, Settle
from joyvl_server.core.errors import EngineError, EngineTimeout, EngineUnavailable
from joyvl_server.core.prompt.turns import Chunk, Draft, Look, UserTurn
from joyvl_server.engines.base import Capabilities, EngineSpec, Piece, Warmth
from joyvl_server.sessions.engines.breaker import Breaker
from joyvl_server.sessions.machine.background import (
    MOST_CUTS,
    MOST_DRAFTS,
    WRITE_S,
    BackgroundWork,
)
from joyvl_server.sessions.machine.executor import EngineExecutor
from joyvl_server.sessions.machine.writer import WriterExecutor
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling.leases import Priority
from joyvl_server.sessions.scheduling.scheduler import EngineScheduler


class Engine:
    """One engine session; `inside` is the call that runs: two at once are an error of the executor."""

    name = "played"
    capabilities = Capabilities(prepares=True, writes=True, chooses=True)

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.calls: list[str] = []
        self.inside: str | None = None
        self.slice_s = 0.2
        self.says: list[str] = ["Yes."]
        self.warm_left = 0
        self.words = ["one ", "two ", "three"]
        self.fails: dict[str, EngineError] = {}
        self.closed = 0

    async def _call(self, name: str, seconds: float = 0.0) -> None:
        assert self.inside is None, f"{name} beside {self.inside}"
        self.inside = name
        self.calls.append(name)
        try:
            if seconds:
                await self.clock.sleep(seconds)
            if name in self.fails:
                raise self.fails[name]
        finally:
            self.inside = None

    async def open(self, spec: EngineSpec) -> Engine:
        await self._call("open")
        return self

    async def begin(self, chunk: Chunk) -> None:
        await self._call(f"begin {chunk.number}")

    async def append(self, turn: UserTurn) -> None:
        await self._call(f"append {turn.step}")

    async def score(self) -> Score:
        await self._call("score", 0.1)
        return Score(1.0)

    async def choose(self, question: str, options: tuple[str, ...]) -> tuple[float, ...]:
        await self._call("choose", 0.05)
        return (0.8, 0.2)

    async def say(self) -> AsyncIterator[str]:
        for word in self.says:
            await self._call("say", 0.5)
            yield word

    async def prepare(self, chunk: Chunk) -> None:
        await self._call(f"prepare {chunk.number}")

    async def warm(self, tokens: int) -> Warmth:
        await self._call("warm", self.slice_s)
        fresh = min(tokens, self.warm_left)
        self.warm_left -= fresh
        return Warmth(turns=2 if self.warm_left == 0 else 1, fresh=fresh, done=self.warm_left == 0)

    async def write(self, draft: Draft, so_far: str, tokens: int) -> Piece:
        await self._call("write", self.slice_s)
        done = len(so_far.split())
        return Piece(self.words[done], done=done == len(self.words) - 1)

    async def settle(self, answer: str) -> None:
        await self._call("settle")

    async def rollback(self) -> None:
        await self._call("rollback")

    async def aclose(self) -> None:
        self.closed += 1


REPORTS = ("asked", "scored", "chosen", "text", "said", "failed", "trouble", "warmed", "written", "write_failed")


class Played:
    """`told` lists what executor and background work report, in order."""

    def __init__(self, clock: ManualClock, *, other_writer: bool = False) -> None:
        self.clock, self.engine, self.told = clock, Engine(clock), []
        self.of = EngineScheduler(clock, "played", Capabilities(parallel=1), Breaker(), Metrics())
        self.client = self.of.join("one", 1.0)

        self.executor = EngineExecutor(self.engine, EngineSpec("one"), 20.0, self)
        self.writer = Engine(clock)
        writer = WriterExecutor(self.writer, EngineSpec("one"), 20.0) if other_writer else self.executor
        other = EngineScheduler(clock, "writer", Capabilities(parallel=1), Breaker(), Metrics())
        writer_client = other.join("one", None) if other_writer else self.client
        self.slices = BackgroundWork(clock, self.client, self.executor, writer_client, writer, self)
        self.tasks = [asyncio.create_task(self.executor.run()), asyncio.create_task(self.slices.run())]

    def __getattr__(self, name: str):
        if name not in REPORTS:
            raise AttributeError(name)
        return lambda *values: self.told.append((name, *values))

    def prepared(self, number: int) -> None:
        self.slices.prepared(number)

    async def step(self, number: int, *effects: object) -> None:
        """A turn at the engine for these effects."""
        now = self.clock.monotonic()
        lease = await self.client.lease(Priority.CAMERA, now, now + 1)
        assert lease is not None
        self.executor.hold(lease)
        self.executor.put(Append(number, UserTurn(number, 0.0, make_frame(0.0), Look.FULL)))
        for effect in effects:
            self.executor.put(effect)

    def told_of(self, name: str) -> list[tuple]:
        return [values for told, *values in self.told if told == name]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def played(clock: ManualClock):
    made: list[Played] = []

    def make(**options: bool) -> Played:
        made.append(Played(clock, **options))
        return made[-1]

    yield make
    for one in made:
        for task in one.tasks:
            task.cancel()
        await asyncio.gather(*one.tasks, return_exceptions=True)


def draft(id: str = "d1") -> Draft:
    return Draft(id, "Say what happened.", 100)


async def test_a_step_gives_its_place_back_when_nothing_is_left(played, clock):
    one = played()
    await one.step(1, AskScore(1))
    other = one.of.join("two", 1.0)
    waiting = asyncio.create_task(other.lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1))
    await clock.advance(0.05)
    assert not waiting.done()
    await clock.advance(0.06)
    assert waiting.result() is not None


async def test_a_step_that_speaks_gives_its_place_back_at_the_score(played, clock):
    one = played()
    await one.step(1, AskScore(1), Say(1))
    await clock.advance(0.11)
    assert one.executor.replying
    now = clock.monotonic()
    assert await one.of.join("two", 1.0).lease(Priority.CAMERA, now, now + 1) is not None
    await clock.advance(0.6)
    assert not one.executor.replying
    assert one.told_of("said") == [[1]]


async def test_a_choice_that_fails_is_a_choice_of_nothing(played, clock):
    one = played()
    one.engine.fails["choose"] = EngineTimeout("Too slow.")
    await one.step(1, AskChoice(1, "Which?", ("A", "B")), AskScore(1))
    await clock.advance(1.0)
    assert one.told_of("chosen") == [[1, ()]]
    assert one.told_of("failed") == []
    assert one.told_of("trouble") == [["engine_timeout"]]
    assert len(one.told_of("scored")) == 1


async def test_a_choice_that_works(played, clock):
    one = played()
    await one.step(1, AskChoice(1, "Which?", ("A", "B")))
    await clock.advance(1.0)
    assert one.told_of("chosen") == [[1, (0.8, 0.2)]]


async def test_the_next_chunk_is_prepared_and_warmed_between_ticks(played, clock):
    one = played()
    one.engine.warm_left = 500
    one.executor.put(BeginChunk(Chunk(1, "")))
    await one.step(1, AskScore(1), Settle(1, "</silence>"))
    one.executor.put(PrepareChunk(Chunk(2, "")))
    await clock.advance(2.0)
    assert one.engine.calls[:3] == ["open", "begin 1", "append 1"]
    assert one.engine.calls.count("prepare 2") == 1
    assert one.told_of("warmed") == [[2, 1], [2, 2]]
    warmed = one.engine.calls.count("warm")
    await clock.advance(5.0)
    assert one.engine.calls.count("warm") == warmed  # all is warm
    one.engine.warm_left = 10
    one.slices.settled()
    await clock.advance(1.0)
    assert one.engine.calls.count("warm") == warmed + 1


async def test_a_chunk_prepared_before_the_first_turn_waits_for_it(played, clock):
    one = played()
    one.executor.put(BeginChunk(Chunk(1, "")))
    one.executor.put(PrepareChunk(Chunk(2, "")))
    await clock.advance(1.0)
    assert one.engine.calls == []
    await one.step(1, AskScore(1))
    await clock.advance(1.0)
    assert one.engine.calls[:4] == ["open", "begin 1", "prepare 2", "append 1"]


async def test_nothing_is_warmed_for_a_chunk_that_has_begun(played, clock):
    one = played()
    one.engine.warm_left = 10_000
    one.slices.prepared(2)
    await clock.advance(1.0)
    one.slices.begun()
    await clock.advance(0.5)
    before = len(one.told_of("warmed"))
    calls = one.engine.calls.count("warm")
    await clock.advance(3.0)
    assert len(one.told_of("warmed")) == before
    assert one.engine.calls.count("warm") == calls


async def test_calls_of_one_engine_session_never_overlap(played, clock):
    """Ticks come at any moment of slices; the engine here fails the test if two calls meet."""
    one = played()
    one.engine.warm_left = 10**6
    one.slices.prepared(2)
    one.slices.write(draft())
    for number in range(1, 60):
        await clock.advance(0.05 + (number % 7) * 0.03)
        if not one.executor.busy:
            await asyncio.wait_for(
                asyncio.ensure_future(_advancing(clock, one.step(number, AskScore(number)))), PATIENCE_S
            )
        assert all(not task.done() for task in one.tasks)
    assert one.engine.calls.count("score") > 20
    assert one.engine.calls.count("warm") > 2
    assert one.told_of("written") == [["d1", "one two three"]]


async def _advancing(clock: ManualClock, doing) -> None:
    task = asyncio.ensure_future(doing)
    await clock.settle()
    while not task.done():
        await clock.advance(0.01)
    await task


async def test_a_tick_waits_for_a_short_slice_and_cuts_off_a_long_one(played, clock):
    one = played()
    one.engine.warm_left, one.engine.slice_s = 10_000, 5.0
    one.slices.prepared(2)
    await clock.advance(0.1)
    assert one.engine.inside == "warm"
    before = clock.monotonic()
    await _advancing(clock, one.step(1, AskScore(1)))
    assert clock.monotonic() - before < 0.5
    await clock.advance(0.2)
    assert len(one.told_of("scored")) == 1


async def test_a_text_is_written_in_pieces(played, clock):
    one = played()
    one.slices.write(draft())
    await clock.advance(3.0)
    assert one.engine.calls == ["open", "write", "write", "write"]
    assert one.told_of("written") == [["d1", "one two three"]]


async def test_a_text_that_fails_is_tried_again_and_then_given_up(played, clock):
    one = played()
    one.engine.fails["write"] = EngineUnavailable("Nobody there.", code="engine_cut")
    one.slices.write(draft())
    await clock.advance(20.0)
    assert one.engine.calls.count("write") == 3
    assert one.told_of("write_failed") == [["d1", "engine_cut", "Nobody there."]]


async def test_an_engine_that_cannot_write_is_asked_once(played, clock):
    one = played()
    one.engine.fails["write"] = EngineError("It writes no texts.", code="engine_cannot")
    one.slices.write(draft())
    await clock.advance(20.0)
    assert one.engine.calls.count("write") == 1
    assert [values[1] for values in one.told_of("write_failed")] == ["engine_cannot"]


async def test_a_text_that_never_comes_is_given_up_in_time(played, clock):
    one = played()
    now = clock.monotonic()
    held = await one.of.join("other", 1.0).lease(Priority.CALL, now, now + 1)  # and never lets go
    for _ in range(5):
        one.of.breaker.failed("engine_unavailable", now)  # away: no slice is given out at all
    one.slices.write(draft())
    await clock.advance(WRITE_S - 1)
    assert one.told_of("write_failed") == []
    await clock.advance(2.0)
    assert [values[1] for values in one.told_of("write_failed")] == ["engine_timeout"]
    held.release()


async def test_only_so_many_texts_wait(played, clock):
    one = played()
    for number in range(MOST_DRAFTS + 1):
        one.slices.write(draft(f"d{number}"))
    assert [values[:2] for values in one.told_of("write_failed")] == [[f"d{MOST_DRAFTS}", "too_many"]]
    one.slices.stop("d1")
    await clock.advance(20.0)
    assert [id for id, _ in one.told_of("written")] == ["d0", "d2", "d3"]


async def test_another_engine_writes_where_it_is_set(played, clock):
    one = played(other_writer=True)
    now = clock.monotonic()
    await one.client.lease(Priority.CAMERA, now, now + 1)  # the own engine is busy all the time
    one.slices.write(draft())
    await clock.advance(3.0)
    assert one.writer.calls == ["open", "write", "write", "write"]
    assert "write" not in one.engine.calls
    assert one.told_of("written") == [["d1", "one two three"]]


async def test_the_end_of_the_executor_ends_its_slice(played, clock):
    one = played()
    one.engine.warm_left, one.engine.slice_s = 10_000, 50.0
    one.slices.prepared(2)
    await clock.advance(0.1)
    assert one.engine.inside == "warm"
    for task in one.tasks:
        task.cancel()
    await asyncio.gather(*one.tasks, return_exceptions=True)
    assert one.engine.inside is None
    assert one.engine.closed == 1
    assert one.of._slices.current is None


async def ticks(one: Played, count: int, first: int = 1) -> None:
    """So many seconds, each with its tick."""
    for number in range(first, first + count):
        begun = one.clock.monotonic()
        await _advancing(one.clock, one.step(number, AskScore(number)))
        one.slices.settled()
        await one.clock.advance(max(0.0, begun + 1.0 - one.clock.monotonic()))


@pytest.mark.parametrize("kind", ["write", "warm"])
async def test_a_slice_that_hangs_is_asked_for_less_and_less_often(played, clock, kind):
    one = played()
    one.engine.warm_left, one.engine.slice_s = 10**6, 10_000.0
    asked: list[float] = []
    call = one.engine._call

    async def noted(name: str, seconds: float = 0.0) -> None:
        if name == kind:
            asked.append(clock.monotonic())
        await call(name, seconds)

    one.engine._call = noted
    if kind == "write":
        one.slices.write(draft())
    else:
        one.slices.prepared(2)
    await ticks(one, 30)
    assert 4 <= len(asked) <= 7
    gaps = [b - a for a, b in zip(asked, asked[1:], strict=False)]
    assert gaps[-1] >= 7
    assert all(later >= earlier - 1.0 for earlier, later in zip(gaps, gaps[1:], strict=False))
    assert len(one.told_of("scored")) == 30  # no tick was lost for it
    # It works again: the next one that hangs is asked for again soon.
    one.engine.slice_s, one.engine.warm_left = 0.1, 100
    await ticks(one, 35, first=100)
    one.engine.slice_s, one.engine.warm_left = 10_000.0, 10**6
    before = len(asked)
    if kind == "write":
        assert len(one.told_of("written")) == 1
        one.slices.write(draft("d2"))
    else:
        one.slices.settled()
    await ticks(one, 10, first=200)
    assert len(asked) - before >= 3


async def test_a_text_that_hangs_is_given_up_in_the_end(played, clock):
    one = played()
    one.engine.slice_s = 10_000.0
    one.slices.write(draft())
    await ticks(one, 200)
    assert [values[1] for values in one.told_of("write_failed")] == ["engine_timeout"]
    assert one.engine.calls.count("write") == MOST_CUTS
