"""The reference's scheme on the simulated card agrees with what was measured of it."""

from __future__ import annotations

from statistics import median

import pytest
from bench.simulation.card import CARD
from bench.simulation.reference_scheme import Reference, Scheme, as_measured, figures, roll_overs
from bench.simulation.sources import View
from bench.simulation.virtual_time import VirtualClock, run_virtual


def run(scheme: Scheme, count: int, questions: tuple[int, ...] = ()) -> Reference:
    async def main() -> Reference:
        reference = Reference(VirtualClock(), View(), scheme, questions)
        await reference.run(count)
        return reference

    return run_virtual(main())


@pytest.mark.parametrize(("context", "seconds"), [(15_000, 0.25), (30_000, 0.32), (60_000, 0.45)])
def test_a_silent_tick_takes_what_it_was_calculated_to(context: int, seconds: float):
    tick = CARD.request_s + CARD.prefill(285, context - 285, 252) + CARD.decode(context)
    assert tick == pytest.approx(seconds, abs=0.02)


def test_a_new_prefix_of_8k_tokens_stalls_about_3_s():
    assert CARD.prefill(8000, 0, 0) == pytest.approx(3.0, abs=0.4)


def test_tokens_and_bytes_are_those_measured():
    # A question in the middle of a chunk: at its 58th turn.
    reference = run(as_measured(), 1000, questions=(57,))
    numbers = figures(reference.ticks, 1000)
    assert numbers["fresh_silent_tick"] == pytest.approx(285, abs=8)
    assert numbers["fresh_questions"] == [pytest.approx(16_600, rel=0.05)]
    assert 3300 <= median(roll_overs(reference.ticks)) <= 3800
    assert numbers["bytes_per_tick_median"] == pytest.approx(1_580_000, rel=0.05)


@pytest.mark.parametrize(("took", "blind"), [(8.0, 0), (20.0, 12)])
def test_it_is_blind_while_the_summary_is_awaited(took: float, blind: int):
    reference = run(Scheme(summary_tokens=500, summary_s=took), 150)
    # A tick that is merely late for want of a warm prefix is no blind second.
    assert sum(second.scored is None for second in reference.seconds) == pytest.approx(blind, abs=2)
