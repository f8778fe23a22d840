"""Requests and answers between main and a worker, when all is well and when it is not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from fakes.patience import PATIENCE_S, until
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.channel import MAX_LINE, MAX_UNREAD, Channel, Message
from joyvl_server.ingest.connection import WorkerConnection


class Pair:
    """A connection and, in place of a worker, the other end of its channel. It receives the events."""

    def __init__(self) -> None:
        self.events: list[Message] = []
        self.fails_at: int | None = None
        self.connection = WorkerConnection(self)
        self.worker: Channel

    def receive(self, event: Message) -> None:
        if event["n"] == self.fails_at:
            raise KeyError("a listener's fault")
        self.events.append(event)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    pair = Pair()
    await pair.connection.connect(ours)
    pair.worker = await Channel.over(theirs)
    yield pair
    pair.connection.close()
    pair.worker.close()


async def next_message(channel: Channel) -> Message:
    return await asyncio.wait_for(anext(channel.messages()), PATIENCE_S)


async def test_a_request_gets_its_own_answer(pair: Pair) -> None:
    first, second = pair.connection.ask("look", source="a"), pair.connection.ask("look", source="b")
    asked = [await next_message(pair.worker), await next_message(pair.worker)]
    assert [message["source"] for message in asked] == ["a", "b"]
    for message in reversed(asked):
        pair.worker.send({"id": message["id"], "ok": {"for": message["source"]}})
    assert (await first)["for"] == "a"
    assert (await second)["for"] == "b"


async def test_an_error_keeps_its_code_and_words(pair: Pair) -> None:
    answer = pair.connection.ask("answer")
    pair.worker.send({"id": (await next_message(pair.worker))["id"], "error": {"code": "bad_sdp", "message": "No."}})
    with pytest.raises(SourceError, match=r"^No\.$") as caught:
        await answer
    assert caught.value.code == "bad_sdp"


async def test_events_come_in_order_and_a_bad_listener_harms_nobody(pair: Pair) -> None:
    pair.fails_at = 1
    with capture_logs() as logs:
        for number in range(3):
            pair.worker.send({"event": "state", "n": number})
        await until(lambda: len(pair.events) == 2)
    assert [event["n"] for event in pair.events] == [0, 2]
    assert len(logs) == 1


async def test_no_answer_is_a_timeout_and_a_late_one_is_no_harm(pair: Pair) -> None:
    with pytest.raises(SourceError) as caught:
        await pair.connection.request("look", 0.05)
    assert caught.value.code == "timeout"
    pair.worker.send({"id": (await next_message(pair.worker))["id"], "ok": {}})
    answer = pair.connection.ask("ping")
    pair.worker.send({"id": (await next_message(pair.worker))["id"], "ok": {"n": 1}})
    assert (await answer)["n"] == 1


async def test_closing_fails_what_is_open(pair: Pair) -> None:
    answer = pair.connection.ask("look")
    pair.connection.close()
    for failed in (answer, pair.connection.ask("look")):
        with pytest.raises(SourceError) as caught:
            await failed
        assert caught.value.code == "worker_died"


async def test_the_other_side_sees_the_end(pair: Pair) -> None:
    pair.connection.close()
    with pytest.raises(StopAsyncIteration):
        await next_message(pair.worker)


async def test_an_endless_line_ends_the_connection(pair: Pair) -> None:
    pair.worker._writer.write(b"x" * (MAX_LINE * 2))
    await until(lambda: pair.connection._reader is not None and pair.connection._reader.done())


async def test_a_side_that_never_reads_is_given_up(pair: Pair) -> None:
    pair.connection._reader.cancel()
    big = "x" * 400_000
    for _ in range(MAX_UNREAD // 400_000):
        pair.worker.send({"event": big})
    with pytest.raises(ConnectionError):
        [pair.worker.send({"event": big}) for _ in range(20)]
