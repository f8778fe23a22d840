"""The relay alone: signs of life, how each end is noticed, and that nothing is left."""

from __future__ import annotations

import asyncio

import pytest
from starlette.websockets import WebSocketDisconnect

from fakes.clock import ManualClock
from fakes.patience import PATIENCE_S
from joyvl_server.api.http import relay
from joyvl_server.api.http.relay import HEARTBEAT_S, StreamEnd, UpdateRelay
from joyvl_server.sessions.sinks.updates import SlowReader, Update


class Feed:
    """Updates by hand."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue = asyncio.Queue()
        self.waiting = 0

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> Update:
        self.waiting += 1
        try:
            item = await self.queue.get()
        finally:
            self.waiting -= 1
        if isinstance(item, BaseException):
            raise item
        return item


class Client:
    def __init__(self) -> None:
        self.got: list[int] = []
        self.beats = 0
        self.left = asyncio.Event()
        self.fails: Exception | None = None

    async def deliver(self, update: Update) -> None:
        if self.fails is not None:
            raise self.fails
        self.got.append(update.seq)

    async def beat(self) -> None:
        if self.fails is not None:
            raise self.fails
        self.beats += 1

    async def gone(self) -> StreamEnd:
        await self.left.wait()
        return StreamEnd.GONE


class Scene:
    def __init__(self) -> None:
        self.clock, self.feed, self.client, self.stopping = ManualClock(), Feed(), Client(), asyncio.Event()
        self.relay = UpdateRelay(self.clock, self.feed, self.client, self.stopping)
        self.running = asyncio.ensure_future(self.relay.run())

    def put(self, seq: int) -> None:
        self.feed.queue.put_nowait(Update(f"log-{seq}", seq, "error", 0.0, "ses", {}))


@pytest.fixture
async def scene():
    made = Scene()
    await made.clock.settle()
    yield made
    made.running.cancel()
    await asyncio.gather(made.running, return_exceptions=True)


async def test_a_sign_of_life_after_silence_only(scene: Scene):
    await scene.clock.advance(HEARTBEAT_S - 1)
    scene.put(1)
    await scene.clock.advance(HEARTBEAT_S - 1)
    assert (scene.client.beats, scene.client.got) == (0, [1])
    await scene.clock.advance(2)
    assert scene.client.beats == 1
    await scene.clock.advance(HEARTBEAT_S * 3)
    assert scene.client.beats == 4


@pytest.mark.parametrize(
    ("make", "end"),
    [
        (lambda s: s.feed.queue.put_nowait(StopAsyncIteration()), StreamEnd.OVER),
        (lambda s: s.feed.queue.put_nowait(SlowReader("3 updates were dropped")), StreamEnd.SLOW),
        (lambda s: s.client.left.set(), StreamEnd.GONE),
        (lambda s: s.stopping.set(), StreamEnd.STOPPING),
    ],
    ids=["over", "slow", "gone", "stopping"],
)
async def test_every_end_lets_the_subscription_and_all_tasks_go(scene: Scene, make, end: StreamEnd):
    assert scene.feed.waiting == 1
    make(scene)
    assert await asyncio.wait_for(scene.running, PATIENCE_S) is end
    assert scene.feed.waiting == 0
    assert scene.clock.sleepers == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("error", [ConnectionResetError(), WebSocketDisconnect(1006)])
async def test_a_broken_line_is_a_client_that_went_away(scene: Scene, error: Exception):
    scene.client.fails = error
    scene.put(1)
    assert await asyncio.wait_for(scene.running, PATIENCE_S) is StreamEnd.GONE


async def test_a_broken_line_is_also_noticed_by_the_sign_of_life(scene: Scene):
    scene.client.fails = ConnectionResetError()
    await scene.clock.advance(HEARTBEAT_S + 1)
    assert await asyncio.wait_for(scene.running, PATIENCE_S) is StreamEnd.GONE


async def test_a_long_backlog_lets_others_run(scene: Scene):
    turns = 0

    async def other() -> None:
        nonlocal turns
        while len(scene.client.got) < 500:
            turns += 1
            await asyncio.sleep(0)

    for seq in range(500):
        scene.put(seq)
    await asyncio.wait_for(other(), PATIENCE_S)
    assert turns > 100


async def test_an_error_of_our_own_is_not_hidden(scene: Scene):
    scene.client.fails = ValueError("a bug")
    scene.put(1)
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(scene.running, PATIENCE_S)
    assert [type(e) for e in raised.value.exceptions] == [ValueError]


async def test_a_sign_of_life_that_nobody_reads_ends_the_stream(scene: Scene, monkeypatch):
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(relay, "SEND_TIMEOUT_S", 0.01)
    scene.client.beat = never
    await scene.clock.advance(HEARTBEAT_S + 1)
    assert await asyncio.wait_for(scene.running, PATIENCE_S) is StreamEnd.SLOW
