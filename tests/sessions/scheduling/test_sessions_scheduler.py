"""The scheduler alone, in time that only the test moves: clients ask, leases are held as long as an engine would."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from fakes.clock import ManualClock
from joyvl_server.core.decisions import Pressure
from joyvl_server.core.errors import NotAllowed
from joyvl_server.engines.base import Capabilities
from joyvl_server.sessions.engines.breaker import Breaker
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling.admission import BESIDE
from joyvl_server.sessions.scheduling.leases import (
    EngineClient,
    EngineLimits,
    Lease,
    LeaseRequest,
    Priority,
    WaitQueue,
)
from joyvl_server.sessions.scheduling.scheduler import EngineScheduler
from joyvl_server.sessions.scheduling.slice_policy import Slice, SliceCut


def scheduler(clock: ManualClock, *, parallel: int = 1, **can: object) -> EngineScheduler:
    return EngineScheduler(clock, "e", Capabilities(parallel=parallel, **can), Breaker(), Metrics())


class Watching:
    """A session that notes what its scheduler tells it."""

    def __init__(self) -> None:
        self.limits: list[EngineLimits] = []
        self.restarts = 0

    def limits_changed(self, limits: EngineLimits) -> None:
        self.limits.append(limits)

    def engine_restarted(self) -> None:
        self.restarts += 1


class Asker:
    """A client that asks every second from `start` on and holds what it gets for `holds` seconds."""

    def __init__(
        self,
        of: EngineScheduler,
        clock: ManualClock,
        name: str,
        *,
        start: float = 0.0,
        holds: float = 0.25,
        priority: Priority = Priority.CAMERA,
    ) -> None:
        self.name, self.start, self.holds, self.priority = name, start, holds, priority
        self.waits: list[float] = []
        self.lost = 0
        self.clock = clock
        self.client = of.join(name, 1.0, admitted=True)
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        due = self.clock.monotonic() + self.start
        while True:
            self.client.next_due = due
            await self.clock.sleep(due - self.clock.monotonic())
            lease = await self.client.lease(self.priority, due, due + 1)
            if lease is None:
                self.lost += 1
            else:
                self.waits.append(self.clock.monotonic() - due)
                lease.began(full=True)
                await self.clock.sleep(self.holds)
                lease.release()
            due += 1
            while due + 1 <= self.clock.monotonic():
                due += 1
                self.lost += 1


async def stop(*askers: Asker) -> None:
    for asker in askers:
        asker.task.cancel()
    await asyncio.gather(*(a.task for a in askers), return_exceptions=True)


async def asked_by(
    client: EngineClient, clock: ManualClock, priority: Priority = Priority.CAMERA, *, due: float = 0.0
) -> asyncio.Task:
    now = clock.monotonic()
    task = asyncio.create_task(client.lease(priority, now + due, now + due + 1))
    await clock.settle()
    return task


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_free_engine_grants_at_once(clock: ManualClock):
    client = scheduler(clock).join("a", 1.0)
    sleepers = clock.sleepers
    lease = await client.lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    assert isinstance(lease, Lease)
    assert clock.sleepers == sleepers  # without a timer


async def test_no_more_at_once_than_the_engine_takes(clock: ManualClock):
    of = scheduler(clock, parallel=2)
    tasks = [await asked_by(of.join(str(n), 1.0), clock) for n in range(3)]
    assert [t.done() for t in tasks] == [True, True, False]
    tasks[0].result().release()
    await clock.settle()
    assert tasks[2].done()


async def test_who_waits_for_an_answer_goes_first_then_calls_then_the_earliest(clock: ManualClock):
    of = scheduler(clock)
    first = await of.join("first", 1.0).lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    asked = {
        "late camera": await asked_by(of.join("a", 1.0), clock, due=-0.1),
        "early camera": await asked_by(of.join("b", 1.0), clock, due=-0.2),
        "call": await asked_by(of.join("c", 1.0), clock, Priority.CALL),
        "answer": await asked_by(of.join("d", 1.0), clock, Priority.ANSWER),
    }
    order, lease = [], first
    for _ in range(4):
        lease.release()
        await clock.settle()
        (name,) = [n for n, t in asked.items() if t.done()]
        order.append(name)
        lease = asked.pop(name).result()
    assert order == ["answer", "call", "early camera", "late camera"]


async def test_a_turn_that_waits_is_urged(clock: ManualClock):
    of = scheduler(clock)
    first = await of.join("first", 1.0).lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    call = await asked_by(of.join("call", 1.0), clock, Priority.CALL)
    client = of.join("camera", 1.0)
    camera = await asked_by(client, clock)
    client.urge()
    first.release()
    await clock.settle()
    assert camera.done()
    assert not call.done()
    call.cancel()


def queue_of(*asked: tuple[str, Priority, float], now: float = 0.0) -> tuple[WaitQueue, dict[str, LeaseRequest]]:
    """Turns that wait, with the seconds that each has left."""
    of, loop, found = WaitQueue(), asyncio.get_running_loop(), {}
    for name, priority, left in asked:
        client = scheduler(ManualClock()).join(name, 1.0)
        found[name] = LeaseRequest(client, priority, now + left - 1, now + left, loop.create_future())
        of.add(found[name])
    return of, found


async def order(of: WaitQueue, found: dict[str, LeaseRequest], takes: float) -> list[str]:
    names = {asked: name for name, asked in found.items()}
    return [names[asked] for asked in iter(lambda: of.next(0.0, takes), None)]


async def test_who_would_be_late_anyway_lets_the_others_go_first():
    waiting = (("late", Priority.CAMERA, 0.2), ("b", Priority.CAMERA, 0.6), ("a", Priority.CAMERA, 0.5))
    assert await order(*queue_of(*waiting), takes=0.3) == ["a", "b", "late"]
    assert await order(*queue_of(*waiting), takes=0.1) == ["late", "a", "b"]
    assert await order(*queue_of(*waiting), takes=5.0) == ["late", "a", "b"]  # an engine slower than a second


async def test_who_waits_for_an_answer_gets_it_late_too():
    waiting = (("a", Priority.CAMERA, 0.5), ("answer", Priority.ANSWER, 0.1))
    assert await order(*queue_of(*waiting), takes=0.3) == ["answer", "a"]


async def test_a_second_that_is_over_gets_nothing(clock: ManualClock):
    of = scheduler(clock)
    held = await of.join("held", 1.0).lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    waiting = await asked_by(of.join("late", 1.0), clock)
    await clock.advance(0.99)
    assert not waiting.done()
    await clock.advance(0.02)
    assert waiting.result() is None
    assert of.snapshot()["waiting"] == 0
    held.release()


async def test_a_client_waits_for_one_turn_only(clock: ManualClock):
    of = scheduler(clock)
    held = await of.join("held", 1.0).lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    client = of.join("a", 1.0)
    first, second = await asked_by(client, clock), await asked_by(client, clock)
    assert first.result() is None
    assert of.snapshot()["waiting"] == 1
    held.release()
    assert (await second) is not None


async def test_a_cancelled_wait_leaves_nothing(clock: ManualClock):
    of = scheduler(clock)
    held = await of.join("held", 1.0).lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    waiting = await asked_by(of.join("a", 1.0), clock)
    held.release()  # the lease is on its way
    waiting.cancel()
    await clock.settle()
    other = await asked_by(of.join("b", 1.0), clock)
    assert other.result() is not None


async def test_a_client_that_leaves_gives_its_place_back(clock: ManualClock):
    of = scheduler(clock)
    client = of.join("a", 1.0)
    await client.lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    waiting = await asked_by(of.join("b", 1.0), clock)
    client.leave()
    await clock.settle()
    assert waiting.result() is not None
    assert of.snapshot()["sessions"] == 1


async def test_speaking_gives_the_place_to_the_next(clock: ManualClock):
    of = scheduler(clock)
    lease = await of.join("a", 1.0).lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    waiting = await asked_by(of.join("b", 1.0), clock)
    lease.speaks()
    await clock.settle()
    assert waiting.result() is not None
    lease.release()
    waiting.result().release()


async def test_what_fits_is_served_at_once_and_alike(clock: ManualClock):
    of = scheduler(clock)
    askers = [Asker(of, clock, str(n), start=n / 3) for n in range(3)]
    await clock.advance(60)
    await stop(*askers)
    assert [a.lost for a in askers] == [0, 0, 0]
    assert max(max(a.waits) for a in askers) == pytest.approx(0.0, abs=1e-6)


async def test_too_many_share_alike_and_nobody_waits_longer_than_a_second(clock: ManualClock):
    of = scheduler(clock)
    askers = [Asker(of, clock, str(n), start=n / 8) for n in range(8)]
    await clock.advance(120)
    await stop(*askers)
    served = [len(a.waits) for a in askers]
    assert sum(served) > 470  # never idle
    assert min(served) > 0.8 * max(served)
    assert max(max(a.waits) for a in askers) < 1.0
    assert of.snapshot()["waiting"] <= 8


async def test_cameras_never_starve_beside_calls(clock: ManualClock):
    of = scheduler(clock)
    calls = [Asker(of, clock, f"call {n}", start=n / 6, priority=Priority.CALL) for n in range(6)]
    camera = Asker(of, clock, "camera", start=0.05)
    await clock.advance(120)
    await stop(*calls, camera)
    assert len(camera.waits) >= 120 / 6  # two lost seconds lift it among the calls
    assert len(camera.waits) < min(len(a.waits) for a in calls)


async def lose_seconds(of: EngineScheduler, clock: ManualClock, client: EngineClient, seconds: int) -> None:
    """The client asks and gets nothing, so many seconds in a row: the engine's only place is taken."""
    for _ in range(seconds):
        waiting = await asked_by(client, clock)
        await clock.advance(1.1)
        assert waiting.result() is None


@pytest.mark.parametrize(
    ("lost", "against", "first"),
    [
        (1, Priority.CALL, "other"),
        (2, Priority.CALL, "camera"),
        (3, Priority.ANSWER, "other"),
        (4, Priority.ANSWER, "camera"),
    ],
)
async def test_every_two_lost_seconds_lift_a_camera_by_one_class(
    clock: ManualClock, lost: int, against: Priority, first: str
):
    of = scheduler(clock)
    holder = of.join("holder", 1.0)
    held = await holder.lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 100)
    camera, other = of.join("camera", 1.0), of.join("other", 1.0)
    await lose_seconds(of, clock, camera, lost)
    asked = {"other": await asked_by(other, clock, against, due=-0.1), "camera": await asked_by(camera, clock)}
    held.release()
    await clock.settle()
    assert [name for name, task in asked.items() if task.done()] == [first]
    asked[first].result().release()
    await clock.settle()
    await asyncio.gather(*asked.values())


@pytest.mark.parametrize(("clients", "step"), [(6, Pressure.GLANCES), (8, Pressure.NONE)])
async def test_one_late_step_in_six_is_too_many_and_one_in_eight_is_not(
    clock: ManualClock, clients: int, step: Pressure
):
    """An engine with time to spare, where one turn each second gets its place after more than half its second."""
    of = scheduler(clock, parallel=16)
    joined = [of.join(f"s{n}", 1.0) for n in range(clients)]
    for _ in range(60):
        for n, client in enumerate(joined):
            task = await asked_by(client, clock, due=-0.6 if n == 0 else 0.0)
            lease = task.result()
            lease.began(full=True)
            await clock.advance(0.01)
            lease.release()
        await clock.advance(0.5)
        if of.pressure is not Pressure.NONE:
            break
    assert of.pressure is step


async def test_nothing_piles_up_while_the_engine_stands_still(clock: ManualClock):
    of = scheduler(clock, parallel=2)
    askers = [Asker(of, clock, str(n), start=n / 4, holds=0.1) for n in range(4)]
    await clock.advance(20)
    for asker in askers:
        asker.holds = 30.0
    await clock.advance(1)
    waiting = Counter()
    for asker in askers:
        asker.holds = 0.1
    for _ in range(30):
        await clock.advance(1)
        waiting[of.snapshot()["waiting"]] += 1
    assert max(waiting) <= len(askers)
    assert of.pressure is Pressure.NONE  # a stall says nothing about the load
    before = [len(a.waits) for a in askers]
    await clock.advance(10)
    await stop(*askers)
    assert all(len(a.waits) - b >= 9 for a, b in zip(askers, before, strict=True))
    assert max(a.waits[-1] for a in askers) < 0.05
    assert of.pressure is Pressure.NONE


async def test_too_much_raises_the_pressure_and_tells_every_client(clock: ManualClock):
    of = scheduler(clock)
    watching = Watching()
    of.join("watcher", None, watching)
    askers = [Asker(of, clock, str(n), start=n / 5) for n in range(5)]
    await clock.advance(40)
    assert [limits.pressure for limits in watching.limits] == [Pressure.GLANCES, Pressure.SLOWER, Pressure.FULL]
    assert of.snapshot()["step"] == "full"
    assert of.snapshot()["load"] > 1
    with pytest.raises(NotAllowed, match="End a session") as refused:
        of.join("one more", 1.0)
    assert refused.value.code == "engine_full"
    await stop(*askers[1:])
    for asker in askers[1:]:
        asker.client.leave()
    await clock.advance(400)
    assert of.pressure is Pressure.NONE
    of.join("one more", 1.0)
    await stop(askers[0])


async def test_what_cannot_be_held_is_refused_before_it_hurts(clock: ManualClock):
    of = scheduler(clock, needs_every_frame=True)
    askers = [Asker(of, clock, str(n), start=n / 3, holds=0.21) for n in range(3)]
    await clock.advance(10)
    assert of.pressure < Pressure.FULL
    with pytest.raises(NotAllowed, match="even with the smallest looks"):
        of.check_admission(1.0)
    of.check_admission(60.0)  # one that ticks once a minute still fits
    await stop(*askers)


async def test_who_has_just_come_is_counted_before_the_load_shows_it(clock: ManualClock):
    of = scheduler(clock)
    first = Asker(of, clock, "first", holds=0.21)
    await clock.advance(10)
    for name in "abc":
        of.join(name, 1.0)
    with pytest.raises(NotAllowed, match="Try again in a moment"):
        of.check_admission(1.0)
    await clock.advance(10)
    of.check_admission(1.0)  # what they really want has shown: nothing
    await stop(first)


async def test_the_cache_is_shared_out_and_bounds_how_many_come(clock: ManualClock):
    of = scheduler(clock, context_tokens=16_384, cache_tokens=80_000)
    watching = Watching()
    first = of.join("0", 1.0, watching)
    assert first.limits.context_tokens == 16_384 - 512
    for n in range(1, 8):
        of.join(str(n), 1.0)
    assert watching.limits[-1].context_tokens == int(80_000 / BESIDE / 8)
    for n in range(8, 30):
        of.join(str(n), 1.0)
    with pytest.raises(NotAllowed, match="tokens of its cache"):
        of.join("one more", 1.0)


async def test_sessions_that_share_a_cache_do_not_fill_up_together(clock: ManualClock):
    of = scheduler(clock, cache_tokens=80_000)
    clients = [of.join(str(n), 1.0, most_tokens=10_000) for n in range(4)]
    tokens = sorted(client.limits.context_tokens or 0 for client in clients)
    assert tokens[0] >= 6_500
    assert tokens[-1] == 10_000
    assert min(b - a for a, b in zip(tokens, tokens[1:], strict=False)) > 300


async def test_an_engine_that_is_away_is_not_asked(clock: ManualClock):
    of = scheduler(clock)
    held = await of.join("held", 1.0).lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    client = of.join("a", 1.0)
    waiting = await asked_by(client, clock)
    while not of.breaker.failed("engine_unavailable", clock.monotonic()):
        pass
    of.went_away()
    await clock.settle()
    assert waiting.result() is None
    assert client.away
    held.release(failed=True)
    assert await client.lease(Priority.ANSWER, clock.monotonic(), clock.monotonic() + 1) is None
    of.breaker.worked()
    of.came_back()
    assert not client.away
    assert await client.lease(Priority.ANSWER, clock.monotonic(), clock.monotonic() + 1) is not None


# --------------------------------------------------------------------------------------------------------------- slices


async def wanted(client: EngineClient, clock: ManualClock) -> asyncio.Task:
    task = asyncio.create_task(client.slice("warm"))
    await clock.settle()
    return task


async def until_cut(slot: Slice, clock: ManualClock, cut: list[float]) -> None:
    """Work that never ends by itself; notes when it is cut off."""
    with pytest.raises(SliceCut):
        await slot.result(asyncio.ensure_future(asyncio.Event().wait()))
    cut.append(clock.monotonic())


async def test_a_slice_keeps_clear_of_the_next_tick(clock: ManualClock):
    of = scheduler(clock)
    client, other = of.join("a", 1.0), of.join("b", 1.0)
    other.next_due = clock.monotonic() + 0.1
    task = await wanted(client, clock)
    assert not task.done()
    other.next_due = clock.monotonic() + 0.45
    await clock.advance(0.25)  # it looks again, with 0.2 s to go
    slot = task.result()
    assert slot.seconds < 0.2
    slot.done(100)
    other.next_due = clock.monotonic() + 5
    assert (await wanted(client, clock)).result().seconds == 0.34


async def test_no_slice_beside_a_tick_or_before_one_that_waits(clock: ManualClock):
    of = scheduler(clock)
    client, other = of.join("a", 1.0), of.join("b", 1.0)
    lease = await other.lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    task = await wanted(client, clock)
    await clock.advance(0.5)
    assert not task.done()
    lease.release()
    await clock.settle()
    assert task.done()
    waiting = await asked_by(other, clock)
    assert not waiting.done()  # it waits for the slice
    await clock.advance(0.3)
    task.result().done(300)
    await clock.settle()
    assert waiting.result() is not None


async def test_no_slice_slips_in_before_a_tick_that_is_overdue(clock: ManualClock):
    """A tick was due while the step before it was in flight, or its reply: it is asked for when that has ended."""
    of = scheduler(clock)
    client, other = of.join("a", 1.0), of.join("b", 1.0)
    lease = await other.lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    other.next_due = clock.monotonic() + 0.5
    task = await wanted(client, clock)
    await clock.advance(0.6)
    lease.release()
    await clock.settle()
    assert not task.done()
    tick = await asked_by(other, clock)
    speaks = tick.result()
    speaks.speaks()
    await clock.settle()
    assert task.done()  # nothing of its own will be asked before the reply has ended
    task.result().done(10)
    task = await wanted(client, clock)
    speaks.release()
    other.next_due = clock.monotonic() + 1
    await clock.advance(0.3)
    assert task.done()


async def test_a_slice_that_takes_too_long_is_cut_off(clock: ManualClock):
    of = scheduler(clock)
    client, other = of.join("a", 1.0), of.join("b", 1.0)
    slot = (await wanted(client, clock)).result()
    cut: list[float] = []
    work = asyncio.create_task(until_cut(slot, clock, cut))
    before = clock.monotonic()
    await clock.advance(0.1)
    waiting = await asked_by(other, clock)
    await clock.advance(0.5)
    assert waiting.result() is not None
    assert cut[0] - before == pytest.approx(0.55)
    await work
    waiting.result().release()
    smaller = (await wanted(client, clock)).result()
    assert smaller.tokens < slot.tokens


async def test_a_busy_engine_still_owes_some_slices(clock: ManualClock):
    of = scheduler(clock)
    askers = [Asker(of, clock, str(n), start=n / 4, holds=0.2) for n in range(4)]
    background = of.join("background", None)
    ends: list[float] = []

    async def work() -> None:
        while True:
            slot = await background.slice("warm")
            await clock.sleep(slot.seconds)
            slot.done(100)
            ends.append(clock.monotonic())

    working = asyncio.create_task(work())
    await clock.advance(60)
    gaps = [b - a for a, b in zip(ends, ends[1:], strict=False)]
    assert max(gaps) < 5
    assert max(max(a.waits) for a in askers) + 0.2 <= 1.0
    assert sum(a.lost for a in askers) <= 2
    working.cancel()
    await stop(*askers)


async def test_ticks_that_never_pause_give_way_now_and_then(clock: ManualClock):
    of = scheduler(clock)
    askers = [Asker(of, clock, str(n), start=n / 6, holds=0.3) for n in range(6)]
    background = of.join("background", None)
    task = asyncio.create_task(background.slice("warm"))
    await clock.advance(6)
    assert task.done()
    task.result().done(10)
    await stop(*askers)


async def test_texts_are_written_beside_the_ticks_of_others_but_never_of_their_own(clock: ManualClock):
    of = scheduler(clock, parallel=4)
    mine, other = of.join("mine", 1.0), of.join("other", 1.0)
    mine.next_due = clock.monotonic() + 0.8
    ticking = await other.lease(Priority.CAMERA, clock.monotonic(), clock.monotonic() + 1)
    task = asyncio.create_task(mine.slice("write"))
    await clock.settle()
    slot = task.result()  # beside the other one's tick
    assert slot.seconds <= 0.78
    cut: list[float] = []
    call = await asked_by(other, clock)
    assert call.result() is not None  # it holds up nobody else
    mine_asks = await asked_by(mine, clock, due=0.0)
    assert not mine_asks.done()
    await clock.advance(0.1)
    slot.done(10)
    await clock.settle()
    assert mine_asks.result() is not None
    for lease in (ticking, call.result(), mine_asks.result()):
        lease.release()
    again = asyncio.create_task(mine.slice("write"))
    await clock.settle()
    work = asyncio.create_task(until_cut(again.result(), clock, cut))
    urgent = await asked_by(mine, clock, Priority.ANSWER)
    assert urgent.result() is not None  # somebody waits: at once
    await work
    assert len(cut) == 1
