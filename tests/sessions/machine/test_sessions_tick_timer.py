"""What a tick says of its own times."""

from __future__ import annotations

import pytest

from fakes.clock import ManualClock
from joyvl_server.core.decisions import Decision
from joyvl_server.core.effects import Decided
from joyvl_server.core.prompt.turns import Look
from joyvl_server.sessions.machine.tick_timer import TickTimer
from joyvl_server.sessions.metrics import Metrics


@pytest.mark.parametrize(
    ("late_s", "age_s", "frame_age_ms"),
    [
        (0.0, 0.05, 50),
        (0.3, 0.35, 50),  # the picture of its second, that much older by now
        (0.3, 0.05, 0),  # a newer one
    ],
)
async def test_a_tick_that_is_late_counts_its_lateness_once(late_s: float, age_s: float, frame_age_ms: float) -> None:
    clock = ManualClock()
    timer = TickTimer("ses_1", clock, Metrics())
    timer.due(clock.monotonic() - late_s, age_s)
    await clock.advance(0.01)
    timer.asked()
    await clock.advance(0.1)
    timer.scored()
    decided = Decided(1, 0.0, 0.0, Decision.SILENT, Look.FULL)
    timings = timer.record(decided, 1, 0.5)
    assert timings.frame_age_ms == pytest.approx(frame_age_ms)
    assert timings.request_ms == pytest.approx(1000 * late_s + 10)
    assert timings.total_ms == pytest.approx(1000 * age_s + 110)
