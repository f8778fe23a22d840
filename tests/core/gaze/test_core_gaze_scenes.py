"""The gaze on drawn scenes with seeds that its constants were not chosen on: what happens gets a full look in time."""

from __future__ import annotations

import pytest

from fakes.media.frames import make_frame
from fakes.patience import LONG_FORM
from fakes.scenarios import Drawn, Wanted, random_scene
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.gaze.gaze import Gaze
from joyvl_server.core.prompt.turns import Look

pytestmark = [pytest.mark.slow, pytest.mark.aside]
SEEDS = range(7000, 7027 if LONG_FORM else 7009)
"""three scenes of each family, or one"""
NEAR_S = 1.0
GLANCE_TOKENS, FULL_TOKENS = 68, 254


def looks(drawn: Drawn, fidelity: str) -> list[tuple[float, Look]]:
    eye, seen = Gaze(ObserverConfig(fidelity=fidelity, max_blind_s=0.0)), []
    for t, grey in drawn.pictures:
        frame = make_frame(t, grey, glance=True)
        looked = eye.judge(frame, wanted=False)
        eye.saw(frame, looked)
        seen.append((t, looked.look))
    return seen


def happened(drawn: Drawn, want: Wanted) -> tuple[float, float] | None:
    """From when to when it happened; scenes say when it may be told, which is some seconds wider."""
    if "enter" in want.kinds:
        return want.t0 + 1.2, want.t0 + 1.2
    if "leave" in want.kinds and drawn.family != "moving":
        return want.t1 - 2.5, want.t1 - 2.5
    if drawn.family == "hands":
        return want.t0, want.t1 - 2.2
    return (want.t0, want.t0) if {"dark", "covered"} & set(want.kinds) else None


def test_what_happens_is_looked_at_in_full_within_a_second_and_most_is_glanced_at() -> None:
    happenings, missed, full, total = 0, [], 0, 0
    for seed in SEEDS:
        drawn = random_scene(seed)
        seen = looks(drawn, "adaptive")
        full += sum(look is Look.FULL for _, look in seen)
        total += len(seen)
        for want in drawn.wanted:
            if when := happened(drawn, want):
                happenings += 1
                if not any(look is Look.FULL and when[0] - NEAR_S <= t <= when[1] + NEAR_S for t, look in seen):
                    missed.append((seed, drawn.family, want))
    share = full / total
    ratio = share + (1 - share) * GLANCE_TOKENS / FULL_TOKENS
    print(f"{happenings} happenings, {len(missed)} without a full look, {share:.2f} full, tokens {ratio:.2f}", missed)
    assert happenings >= 40 * len(SEEDS) / 27
    assert len(missed) <= happenings * 0.02
    assert ratio <= 0.6
