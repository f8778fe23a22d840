from __future__ import annotations

import asyncio

import pytest

from fakes.clock import ManualClock
from fakes.patience import PATIENCE_S
from joyvl_server.sessions.sinks.updates import SlowReader, Update, UpdateLog


class Shown:
    def describe(self) -> dict[str, str]:
        return {"id": "ses_1"}


def make_log(backlog: int = 8) -> UpdateLog:
    return UpdateLog("ses_1", "log_a", backlog, ManualClock(), Shown())


async def take(subscription, count: int) -> list[Update]:
    return [await asyncio.wait_for(anext(subscription), PATIENCE_S) for _ in range(count)]


async def test_a_new_reader_gets_a_snapshot_and_then_what_comes():
    log = make_log()
    log.publish("response.listen", tick=1)
    reader = log.since(None)
    log.publish("response.listen", tick=2)
    first, second = await take(reader, 2)
    assert (first.type, first.data["session"]) == ("session.created", {"id": "ses_1"})
    assert (second.type, second.data["tick"], second.seq) == ("response.listen", 2, first.seq + 1)


async def test_a_reader_resumes_exactly_after_the_last_id():
    log = make_log()
    seen = [log.publish("response.listen", tick=n) for n in range(5)]
    missed = await take(log.since(seen[1].id), 3)
    assert [u.data["tick"] for u in missed] == [2, 3, 4]
    assert [u.seq for u in missed] == [3, 4, 5]


async def test_the_id_of_a_snapshot_resumes_too():
    log = make_log()
    (snapshot,) = await take(log.since(None), 1)
    log.publish("response.listen", tick=1)
    (update,) = await take(log.since(snapshot.id), 1)
    assert update.data["tick"] == 1


@pytest.mark.parametrize("last_id", ["log_b-1", "log_a-99", "log_a-x", "nonsense", ""])
async def test_an_unknown_id_gets_a_snapshot(last_id: str):
    log = make_log()
    log.publish("response.listen", tick=1)
    (update,) = await take(log.since(last_id), 1)
    assert update.type == "session.created"


async def test_an_id_that_fell_out_of_the_backlog_gets_a_snapshot():
    log = make_log(backlog=4)
    first = log.publish("response.listen", tick=0)
    for n in range(1, 6):
        log.publish("response.listen", tick=n)
    (update,) = await take(log.since(first.id), 1)
    assert update.type == "session.created"


async def test_a_reader_that_falls_behind_is_told_and_holds_nothing_up():
    log = make_log(backlog=4)
    reader = log.since(None)
    await take(reader, 1)
    for n in range(10):
        log.publish("response.listen", tick=n)
    with pytest.raises(SlowReader):
        await anext(reader)


async def test_closing_ends_every_reader_after_the_last_update():
    log = make_log()
    reader = log.since(None)
    waiting = asyncio.create_task(take(reader, 2))
    await asyncio.sleep(0)
    log.publish("session.ended", reason="over")
    assert [u.type for u in await waiting] == ["session.created", "session.ended"]
    log.close()
    with pytest.raises(StopAsyncIteration):
        await anext(reader)


async def test_a_reader_that_goes_away_leaves_nothing_behind():
    log = make_log()
    reader = log.since(None)
    await take(reader, 1)
    waiting = asyncio.create_task(anext(reader))
    await asyncio.sleep(0)
    assert len(log._waiters) == 1
    waiting.cancel()
    await asyncio.wait({waiting})
    assert not log._waiters


async def test_an_unknown_type_is_a_bug_at_once():
    with pytest.raises(ValueError, match="no update type"):
        make_log().publish("response.shout")
