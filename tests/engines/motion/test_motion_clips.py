"""Motion on the labelled footage, straight on the grey pictures: every phase of the second, with and without a trail.

The footage must not be tuned to: mirrored and darker it has to do as well. The whole way through server and camera is
tested in tests/e2e.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fakes.media.footage import assert_people, judge, labels
from fakes.patience import LONG_FORM
from joyvl_server.core.frame import Grey
from joyvl_server.engines.motion.queue import SightingQueue
from joyvl_server.engines.motion.scene import Scene

pytestmark = [pytest.mark.clips, pytest.mark.slow, pytest.mark.aside]
COOLDOWN_S = 2.0
PHASES = [phase / 10 for phase in range(0, 10, 1 if LONG_FORM else 3)]
VIEWS: dict[str, Callable[[Grey], Grey]] = {
    "as it is": lambda grey: grey,
    "mirrored": lambda grey: np.ascontiguousarray(grey[:, ::-1]),
    "darker": lambda grey: (grey * 0.7).astype(np.uint8),
}


@cache
def decoded(path: Path) -> list[tuple[float, Grey]]:
    """Every picture of the clip, longest side 192."""
    pictures = []
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            grey = frame.to_ndarray(format="gray")
            scale = 192 / max(grey.shape)
            size = (round(grey.shape[1] * scale), round(grey.shape[0] * scale))
            pictures.append((float(frame.time or 0.0), cv2.resize(grey, size, interpolation=cv2.INTER_AREA)))
    return pictures


def ticks(path: Path, phase: float, trail: bool, view: Callable[[Grey], Grey] = VIEWS["as it is"]) -> list[dict]:
    """What a session would say, one decision a second; with `trail` it sees five pictures a second between."""
    scene, queue, said, told = Scene(), SightingQueue(), [], {}
    due, kept = phase, []
    for t, grey in decoded(path):
        on_tick = t + 1e-6 >= due
        if not on_tick and not (trail and (not kept or t - kept[-1][0] >= 0.18)):
            continue
        kept = [*kept[-10:], (t, view(grey))]
        if not on_tick:
            continue
        due += 1.0
        queue.add(scene.follow(kept if trail else kept[-1:]), t)
        best = queue.best()
        if best is None or best.value < 0.5:
            continue
        if t - told.get(best.kind, -9.0) < COOLDOWN_S:
            queue.declined(best.key)
            continue
        queue.done(best.key)
        told[best.kind] = t
        said.append({"t": t, "kind": best.kind, "decision": "speak"})
    return said


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("trail", [False, True], ids=["1 fps", "trail"])
def test_people_come_and_go(clips: Path, trail: bool, view: str):
    for phase in PHASES:
        assert_people(ticks(clips / "people-one-by-one.mp4", phase, trail, VIEWS[view]), clips)


@pytest.mark.parametrize("trail", [False, True], ids=["1 fps", "trail"])
def test_bottles_are_taken_and_put(clips: Path, trail: bool):
    """In the phases .5 to .8 the first tick without the hand before the last bottle lies in the silent span itself."""
    want = labels(clips, "bottles.mp4")
    for phase in PHASES:
        verdict = judge(ticks(clips / "bottles.mp4", phase, trail), "changed", want.responses, want.must_stay_silent)
        assert verdict.met >= 6, (phase, verdict)
        late = [t for t in verdict.loud if not 37.5 <= t < 37.9]
        assert late == [], (phase, verdict)
