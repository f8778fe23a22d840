"""The ticker of live sources over a session that a test plays, in time that only the test moves."""

from __future__ import annotations

import asyncio

import pytest

from fakes.clock import ManualClock
from fakes.media.frames import make_frame
from joyvl_server.core.decisions import Skip
from joyvl_server.core.errors import NoFrame
from joyvl_server.core.frame import Frame
from joyvl_server.core.inputs import TickSkipped
from joyvl_server.engines.base import Capabilities
from joyvl_server.ingest.base import SourceState, SourceStatus
from joyvl_server.sessions.engines.breaker import Breaker
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.scheduling.leases import Lease, Priority
from joyvl_server.sessions.scheduling.scheduler import EngineScheduler
from joyvl_server.sessions.ticking.lockstep import LockstepTicker
from joyvl_server.sessions.ticking.ticker import LiveTicker


class Source:
    """Online, unless a test says otherwise."""

    def __init__(self) -> None:
        self.state = SourceState(SourceStatus.ONLINE, since_wall=0.0)
        self.now = 0.0


class Played:
    """Every look shows a picture of that moment; a step lasts `takes` seconds, and replies from `replies` on."""

    priority = Priority.CAMERA

    def __init__(self, clock: ManualClock, of: EngineScheduler, *, pictures: int = 1) -> None:
        self.clock, self.pictures = clock, pictures
        self.source = Source()
        self.client = of.join("played", 1.0)
        self.zero = clock.monotonic()
        self.takes, self.replies = 0.1, float("inf")
        self.ticks: list[tuple[float, Frame, tuple[Frame, ...]]] = []
        self.passes: list[tuple[float, Frame]] = []
        self.skips: list[tuple[float, Skip]] = []
        self.began = 0.0
        self.look_s = 0.0
        self._step: asyncio.Task[None] | None = None

    @property
    def t(self) -> float:
        return self.clock.monotonic() - self.zero

    @property
    def busy(self) -> bool:
        return self._step is not None and not self._step.done()

    @property
    def replying(self) -> bool:
        return self.busy and self.t - self.began >= self.replies

    async def idle(self) -> None:
        if self._step is not None:
            await asyncio.wait({self._step})

    async def look(self, at: float | None = None) -> Frame:
        if self.source.state.status is not SourceStatus.ONLINE:
            raise NoFrame("not yet", code="connecting")
        frame = make_frame(round(self.t if at is None else at, 3))
        await self.clock.sleep(self.look_s)
        return frame

    def show(self, ticker: LiveTicker, status: SourceStatus) -> None:
        self.source.state = SourceState(status, since_wall=0.0)
        if status is SourceStatus.ONLINE:
            ticker.online()

    def tick(self, frame: Frame, burst: tuple[Frame, ...], due: float, speed: float, lease: Lease) -> None:
        assert not self.busy
        self.began = self.t
        self.ticks.append((self.t, frame, burst))
        self._step = asyncio.create_task(self._run(lease))

    async def _run(self, lease: Lease) -> None:
        lease.began(full=True)
        await self.clock.sleep(min(self.takes, self.replies))
        if self.replies < self.takes:
            lease.speaks()
            await self.clock.sleep(self.takes - self.replies)
        lease.release()

    def passed(self, frame: Frame, burst: tuple[Frame, ...]) -> None:
        self.passes.append((self.t, frame))

    def take(self, input: TickSkipped) -> None:
        self.skips.append((round(self.t, 3), input.reason))

    @property
    def at(self) -> list[float]:
        return [round(t, 2) for t, _, _ in self.ticks]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def of(clock: ManualClock) -> EngineScheduler:
    return EngineScheduler(clock, "e", Capabilities(parallel=1), Breaker(), Metrics())


@pytest.fixture
async def run(clock: ManualClock):
    running: list[asyncio.Task[None]] = []

    async def start(session: Played, *, phase_s: float = 0.5) -> LiveTicker:
        ticker = LiveTicker(clock, 1.0, phase_s=phase_s)
        running.append(asyncio.create_task(ticker.run(session)))
        await clock.settle()
        return ticker

    yield start
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_tick_a_second_with_a_picture_of_that_moment(clock, of, run):
    session = Played(clock, of)
    await run(session)
    await clock.advance(4.0)
    assert session.at == [0.5, 1.5, 2.5, 3.5]
    assert all(abs(t - frame.t) <= 0.041 for t, frame, _ in session.ticks)
    assert session.skips == []


@pytest.mark.parametrize(("look_s", "age"), [(0.001, 0.005), (0.01, 0.015), (0.1, 0.1)])
async def test_it_looks_no_earlier_than_looks_take(clock, of, run, look_s, age):
    session = Played(clock, of)
    session.look_s = look_s
    await run(session)
    await clock.advance(4.9)
    late, frame, _ = session.ticks[-1]
    assert late - frame.t == pytest.approx(age, abs=0.002)


async def test_a_source_that_comes_online_is_looked_at_at_once_and_then_in_its_place(clock, of, run):
    session = Played(clock, of)
    session.source.state = SourceState(SourceStatus.CONNECTING, since_wall=0.0)
    ticker = await run(session)
    await clock.advance(1.7)
    assert session.ticks == []
    session.show(ticker, SourceStatus.ONLINE)
    await clock.settle()
    assert session.at == [1.7]
    await clock.advance(2.5)
    assert session.at == [1.7, 2.5, 3.5]
    assert [reason for _, reason in session.skips] == [Skip.OFFLINE, Skip.OFFLINE]


async def test_the_next_look_is_half_a_second_later_at_least(clock, of, run):
    session = Played(clock, of)
    session.source.state = SourceState(SourceStatus.CONNECTING, since_wall=0.0)
    ticker = await run(session)
    await clock.advance(0.2)
    session.show(ticker, SourceStatus.ONLINE)
    await clock.advance(3.0)
    assert session.at == [0.2, 1.5, 2.5]
    assert session.skips == [], "what the first look stood for was not missed"


async def test_a_source_that_comes_and_goes_has_no_more_ticks_for_that(clock, of, run):
    session = Played(clock, of)
    ticker = await run(session)
    for _ in range(40):
        session.show(ticker, SourceStatus.OFFLINE)
        await clock.advance(0.05)
        session.show(ticker, SourceStatus.ONLINE)
        await clock.advance(0.05)
    assert len(session.ticks) <= 9
    assert min(b - a for a, b in zip(session.at, session.at[1:], strict=False)) >= 0.499


async def test_many_that_come_online_together_have_a_turn_each(clock, of, run):
    sessions = [Played(clock, of) for _ in range(4)]
    for number, session in enumerate(sessions):
        session.source.state = SourceState(SourceStatus.CONNECTING, since_wall=0.0)
        session.show(await run(session, phase_s=number / 4), SourceStatus.ONLINE)
    await clock.advance(0.6)
    assert sorted(session.at[0] for session in sessions) == [0.0, 0.1, 0.2, 0.3]


async def test_a_turn_that_waited_gets_the_newest_picture(clock, of, run):
    session, other = Played(clock, of), of.join("other", 1.0)
    await run(session)
    held = await other.lease(Priority.CALL, clock.monotonic(), clock.monotonic() + 1)
    await clock.advance(0.9)
    held.release()
    await clock.advance(0.05)
    ((at, frame, _),) = session.ticks
    assert at == pytest.approx(0.9)
    assert frame.t == pytest.approx(0.9)


async def test_a_second_that_nobody_had_time_for_is_late(clock, of, run):
    session, other = Played(clock, of), of.join("other", 1.0)
    await run(session)
    held = await other.lease(Priority.CALL, clock.monotonic(), clock.monotonic() + 1)
    await clock.advance(2.0)
    assert session.skips == [(1.5, Skip.LATE)]
    held.release()
    await clock.advance(0.1)
    assert session.at == [2.0]  # the next second waits in its place
    await clock.advance(1.0)
    assert session.at == [2.0, 2.5]


async def test_a_step_that_takes_long_is_waited_for_within_the_second(clock, of, run):
    session = Played(clock, of)
    session.takes = 1.3
    await run(session)
    await clock.advance(4.0)
    assert session.at == [0.5, 1.8, 3.1]
    assert all(abs(t - frame.t) < 0.01 for t, frame, _ in session.ticks[1:])
    assert session.skips == []


async def test_a_step_that_takes_longer_costs_its_seconds(clock, of, run):
    session = Played(clock, of)
    session.takes = 3.0
    await run(session)
    await clock.advance(3.6)
    assert [reason for _, reason in session.skips] == [Skip.BUSY, Skip.BUSY]


async def test_seconds_during_a_reply_are_handed_over_and_scored_at_its_end(clock, of, run):
    session = Played(clock, of)
    session.takes, session.replies = 2.3, 0.2
    await run(session)
    await clock.advance(2.7)
    assert [frame.t for _, frame in session.passes] == pytest.approx([1.5, 2.5], abs=0.041)
    session.takes = 0.1
    await clock.advance(1.0)
    assert session.at == [0.5, 2.8, 3.5]
    assert session.skips == []


async def test_a_reply_that_ends_just_before_the_next_second_is_followed_by_that(clock, of, run):
    session = Played(clock, of)
    session.takes, session.replies = 1.8, 0.2
    await run(session)
    await clock.advance(1.9)
    session.takes = 0.1
    await clock.advance(1.0)
    assert session.at == [0.5, 2.5]
    assert len(session.passes) == 1


async def test_someone_asks(clock, of, run):
    session = Played(clock, of)
    ticker = await run(session)
    await clock.advance(0.8)
    ticker.wake()
    await clock.settle()
    assert session.at == [0.5, 0.8]
    session.takes = 0.4
    await clock.advance(0.75)
    ticker.wake()  # in the middle of a step
    await clock.advance(0.6)
    assert session.at == [0.5, 0.8, 1.5, 1.9]


async def test_whoever_asked_goes_before_the_others(clock, of, run):
    session, other, call = Played(clock, of), of.join("other", 1.0), of.join("call", 1.0)
    ticker = await run(session)
    held = await other.lease(Priority.CALL, clock.monotonic(), clock.monotonic() + 1)
    await clock.advance(0.2)
    waiting = asyncio.create_task(call.lease(Priority.CALL, clock.monotonic(), clock.monotonic() + 1))
    await clock.settle()
    ticker.wake()
    await clock.settle()
    held.release()
    await clock.settle()
    assert session.at == [0.2]
    waiting.cancel()


async def test_several_pictures_of_a_second(clock, of, run):
    session = Played(clock, of, pictures=4)
    await run(session, phase_s=1.0)
    await clock.advance(3.1)
    assert session.at == [1.0, 2.0, 3.0]
    for t, _, burst in session.ticks[1:]:
        assert [round(t - frame.t, 2) for frame in burst] == [0.75, 0.5, 0.25]
    assert len(session.ticks[1][2]) == 3  # none of the second before


async def test_an_engine_that_is_away_is_told(clock, of, run):
    session = Played(clock, of)
    await run(session)
    await clock.advance(1.0)
    for _ in range(5):
        of.breaker.failed("engine_unavailable", clock.monotonic())
    await clock.advance(2.0)
    assert [reason for _, reason in session.skips] == [Skip.AWAY, Skip.AWAY]
    of.breaker.worked()
    await clock.advance(1.0)
    assert len(session.ticks) == 2


async def test_files_in_lockstep_bring_several_pictures_too(clock, of):
    session = Played(clock, of, pictures=2)
    ended = []

    async def look(at: float | None = None) -> Frame:
        if at is not None and at > 3:
            session.source.state = SourceState(SourceStatus.ENDED, since_wall=0.0)
            ended.append(at)
            from joyvl_server.core.errors import NoFrame

            raise NoFrame("over", code="ended")
        return make_frame(at or 0.0)

    session.look = look
    task = asyncio.create_task(LockstepTicker(clock, 1.0, speed=None).run(session))
    await clock.advance(2.0)
    assert task.done()
    assert [(frame.t, [f.t for f in burst]) for _, frame, burst in session.ticks] == [
        (0.0, []),
        (1.0, [0.5]),
        (2.0, [1.5]),
        (3.0, [2.5]),
    ]
