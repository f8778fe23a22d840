"""What motion says about the clip that the project draws itself."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import pytest

from joyvl_server.engines.motion.queue import SightingQueue
from joyvl_server.engines.motion.scene import Scene
from joyvl_server.ingest.demo import ARRIVALS, DEPARTURES, draw_demo

LOOPS = 2


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[float, object]]:
    path: Path = draw_demo(tmp_path_factory.mktemp("demo") / "demo.mp4")
    once = []
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            small = cv2.resize(frame.to_ndarray(format="gray"), (192, 108), interpolation=cv2.INTER_AREA)
            once.append((float(frame.time or 0.0), small))
    length = once[-1][0] + once[1][0]
    return [(t + loop * length, grey) for loop in range(LOOPS) for t, grey in once]


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.7])
def test_the_demo_clip_is_told_exactly(pictures: list[tuple[float, object]], phase: float):
    scene, queue, said, due = Scene(), SightingQueue(), [], phase
    for t, grey in pictures:
        if t < due:
            continue
        due += 1.0
        queue.add(scene.look(grey, t), t)
        best = queue.best()
        if best is not None and best.value >= 0.5:
            queue.done(best.key)
            said.append((t, best.kind))
    length = pictures[-1][0] / LOOPS
    wanted = [
        (at + loop * length, kind)
        for loop in range(LOOPS)
        for at, kind in [*((t, "enter") for t in ARRIVALS), *((t, "leave") for t in DEPARTURES)]
    ]
    wanted.sort()
    assert [kind for _, kind in said] == [kind for _, kind in wanted], said
    assert all(abs(t - at) <= 2.5 for (t, _), (at, _) in zip(said, wanted, strict=True)), (said, wanted)
    assert said[0][0] < 6
