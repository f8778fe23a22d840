"""Alerts, acknowledgements, snoozes, restarts, clocks in any order: nobody is left waiting, nobody is woken wrongly."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.alerting import Alerting, alerting
from joyvl_server.notify.base import DeliveryFailed

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fire"), st.integers(1, 3)),
        st.tuples(st.just("acknowledge"), st.integers(0, 5)),
        st.tuples(st.just("snooze"), st.integers(0, 5)),
        st.tuples(st.just("pass"), st.sampled_from([3, 20, 45, 70])),
        st.tuples(st.just("jump"), st.sampled_from([-7200, -30, 30, 7200])),
        st.tuples(st.just("restart"), st.sampled_from([0, -3600])),
        st.tuples(st.just("fail"), st.booleans()),
    ),
    max_size=12,
)


class Story:
    """What happened, in the time that passes while the server runs."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.fired: dict[str, float] = {}
        self.acknowledged: dict[str, float] = {}
        self.told: list[tuple[str, float]] = []
        self.touched: set[str] = set()
        """snoozed, or around a restart: the exact moment is not known"""


async def play(folder: Path, steps: list[tuple[str, int]]) -> None:
    async with alerting(folder) as a:
        await a.hook()
        await a.hook("neighbour", escalates=1, escalate_after_s=60)
        story = Story()

        def told(delivery):
            assert delivery.alert.id not in story.acknowledged, "told after an acknowledgement"
            story.told.append((delivery.alert.id, story.passed))

        a.receivers["neighbour"].answer = told
        for what, value in steps:
            await step(a, story, what, value)
        a.receivers["phone"].answer = lambda delivery: None
        for _ in range(9):  # snoozes and pauses end, too
            await go(a, story, 60, 30.0)
        await a.until(lambda: set(story.fired) <= {d.alert.id for d in a.got()})
        await a.until(lambda: set(story.fired) - set(story.acknowledged) <= {id for id, _ in story.told})
        for id, at in story.told:
            if id not in story.touched:
                assert at - story.fired[id] >= 59.0, "woken too early"


async def go(a: Alerting, story: Story, seconds: float, step_s: float = 10.0) -> None:
    began = a.clock.monotonic()
    while (left := began + seconds - a.clock.monotonic()) > 0:
        passes = min(step_s, left)
        await a.clock.advance(passes)
        story.passed += passes
        for _ in range(6):
            await asyncio.sleep(0.002)
            await a.clock.settle()


async def step(a: Alerting, story: Story, what: str, value: int) -> None:
    ids = list(story.fired)
    match what:
        case "fire":
            for number in range(value):
                await a.fire(watch=f"wat_{number}")
                story.fired[(await a.newest()).id] = story.passed
        case "acknowledge" if ids:
            id = ids[value % len(ids)]
            await a.center.acknowledge(id, "me")
            story.acknowledged[id] = story.passed
        case "snooze" if ids and ids[value % len(ids)] not in story.acknowledged:
            id = ids[value % len(ids)]
            await a.center.snooze(id, 2)
            story.touched.add(id)
        case "pass":
            await go(a, story, value)
        case "jump":
            a.clock._offset += value
        case "restart":
            await a.restart(wall_jump=value)
            story.touched |= set(story.fired)
        case "fail":

            def away(delivery):
                raise DeliveryFailed("away")

            a.receivers["phone"].answer = away if value else lambda delivery: None


@settings(max_examples=8)
@given(STEPS)
def test_whatever_happens(steps: list[tuple[str, int]]):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), steps))
