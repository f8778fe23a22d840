"""What cameras show before and between their pictures must not blind motion: black, grey, fades, exposure, garbage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from fakes.media.footage import assert_bottles, assert_people
from fakes.media.scenes import Figure, Scene, room
from fakes.patience import LONG_FORM
from joyvl_server.engines.motion.queue import SightingQueue
from joyvl_server.engines.motion.scene import Scene as Follower

W, H = 384, 216
PICTURE_S = 0.2
COOLDOWN_S = 2.0
Picture = np.ndarray
Pictures = list[tuple[float, Picture]]
Odd = Callable[[Pictures], Pictures]

# ---------------------------------------------------------------------------------------------------- drawn, any start


@cache
def visits(seed: int) -> Pictures:
    """A drawn room; somebody comes after 9 s, stands, goes after 21 s, and another one comes after 30 s."""
    rng = np.random.default_rng(seed)
    shades = (40.0, 60.0, 180.0) if seed % 2 else (225.0, 200.0, 90.0)
    first = [(9.0, -0.1, 0.9), (12.0, 0.45, 0.9), (19.0, 0.45, 0.9), (22.0, 1.1, 0.9)]
    second = [(30.0, 1.1, 0.85), (33.0, 0.6, 0.85), (60.0, 0.6, 0.85)]
    figures = [Figure(path, 0.55, shades, seed + n) for n, path in enumerate((first, second))]
    return Scene(40.0, room(rng, H, W), figures, noise=2.0, seed=seed).render(PICTURE_S)


def before(seconds: float, paint: Callable[[float, Picture], Picture]) -> Odd:
    """Pictures that come before those of the scene; `paint(part 0 to 1, first picture)`."""

    def odd(pictures: Pictures) -> Pictures:
        count = max(1, round(seconds / PICTURE_S))
        first = pictures[0][1].astype(np.float32)
        drawn = [(n * PICTURE_S - count * PICTURE_S, paint(n / count, first)) for n in range(count)]
        return [(t, np.clip(p, 0, 255).astype(np.uint8)) for t, p in drawn] + pictures

    return odd


def during(start: float, end: float, paint: Callable[[float, Picture], Picture]) -> Odd:
    """Changes the pictures from `start` to `end`; `paint(seconds since the start, picture)`."""

    def odd(pictures: Pictures) -> Pictures:
        return [
            (t, np.clip(paint(t - start, p.astype(np.float32)), 0, 255).astype(np.uint8) if start <= t < end else p)
            for t, p in pictures
        ]

    return odd


def without_keyframe(pictures: Pictures) -> Pictures:
    """A stream joined in the middle: grey, and on it only what changes, until the first whole picture after 3 s."""
    grey, out = np.full(pictures[0][1].shape, 128.0), []
    for (_, last), (t, picture) in zip(pictures, pictures[1:], strict=False):
        grey += picture.astype(np.float32) - last.astype(np.float32)
        out.append((t, np.clip(grey, 0, 255).astype(np.uint8) if t < 3 else picture))
    return out


def title(part: float, first: Picture) -> Picture:
    tiles = np.random.default_rng(3).uniform(0, 255, (9, 16)).astype(np.float32)
    return cv2.resize(tiles, first.shape[::-1], interpolation=cv2.INTER_NEAREST)


def blank(level: float) -> Callable[[float, Picture], Picture]:
    return lambda part, picture: np.full_like(picture, level)


STARTS: dict[str, Odd] = {
    "plain": lambda pictures: pictures,
    "one black picture": before(PICTURE_S, blank(0)),
    "one grey picture": before(PICTURE_S, blank(128)),
    "one white picture": before(PICTURE_S, blank(255)),
    "a grey second": before(1.0, blank(128)),
    "black for 7 s": before(7.0, blank(3)),
    "a fade of 1 s": before(1.0, lambda part, first: first * part),
    "a fade of 3 s": before(3.0, lambda part, first: first * part),
    "too bright at first": during(0, 4, lambda t, p: p * (1 + 2 * np.exp(-t / 0.7))),
    "too dark at first": during(0, 4, lambda t, p: p * (1 - 0.8 * np.exp(-t / 0.7))),
    "no keyframe yet": without_keyframe,
    "night mode at first": during(0, 3, lambda t, p: 255 - 0.7 * p),
    "a title": before(2.0, title),
}
BETWEEN: dict[str, Odd] = {
    "one black picture": during(6.0, 6.1, lambda t, p: p * 0),
    "one grey picture": during(6.0, 6.1, lambda t, p: p * 0 + 128),
}
RESTARTS: dict[str, Odd] = {
    "black for 2 s": during(5.0, 7.0, lambda t, p: p * 0),
    "grey for 2 s": during(5.0, 7.0, lambda t, p: p * 0 + 128),
    "faded out and in": during(5.0, 7.0, lambda t, p: p * abs(t - 1)),
}


def said(pictures: Iterable[tuple[float, Picture]], first_tick: float) -> list[tuple[float, str]]:
    """What a session says of pictures that come five times a second, one sighting a second, a kind once in 2 s."""
    scene, queue, spoken, tick = Follower(), SightingQueue(), [], first_tick
    told: dict[str, float] = {}
    for t, grey in pictures:
        queue.add(scene.look(grey, t), t)
        if t >= tick:
            tick += 1.0
            if (best := queue.best()) is not None and best.value >= 0.5:
                if t - told.get(best.kind, -9.0) >= COOLDOWN_S:
                    spoken.append((t, best.kind))
                    told[best.kind] = t
                queue.done(best.key)
    return spoken


VISITS = [("enter", 9.0, 12.0), ("leave", 20.0, 24.0), ("enter", 30.0, 33.0)]


def assert_visits(spoken: list[tuple[float, str]], *, more: int = 0) -> None:
    """Every visit within its seconds and none beside them; `more`: so many changes of the scene may be told, too."""
    visits = [(t, kind) for t, kind in spoken if kind != "changed" or not more]
    assert [kind for _, kind in visits] == [kind for kind, _, _ in VISITS], spoken
    assert all(t0 <= t <= t1 for (t, _), (_, t0, t1) in zip(visits, VISITS, strict=True)), spoken
    assert len(spoken) - len(visits) <= more, spoken


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("odd", STARTS)
def test_how_a_camera_starts_changes_nothing(odd: str, seed: int):
    pictures = STARTS[odd](visits(seed))
    assert_visits(said(pictures, pictures[0][0]), more=0 if odd == "plain" else 1)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("odd", BETWEEN)
def test_one_odd_picture_is_no_state(odd: str, seed: int):
    assert_visits(said(BETWEEN[odd](visits(seed)), 0.0))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("odd", RESTARTS)
def test_after_a_restart_it_sees_as_before(odd: str, seed: int):
    """The gap itself may be told as what it looks like, and its end as a change."""
    spoken = said(RESTARTS[odd](visits(seed)), 0.0)
    assert {kind for t, kind in spoken if t < 9} <= {"dark", "covered", "changed"}
    assert_visits([(t, kind) for t, kind in spoken if t >= 9], more=1)


def test_a_lamp_in_a_dark_room_is_told_and_then_it_sees():
    """Not a start any more: the room was black for half a minute."""
    lit = [(t + 30, p) for t, p in visits(2)]
    dark = [(n * PICTURE_S, np.full(lit[0][1].shape, 3, np.uint8)) for n in range(150)]
    spoken = said(dark + lit, 0.0)
    assert spoken[0][1] == "changed"
    assert 30 <= spoken[0][0] <= 32
    assert_visits([(t - 30, kind) for t, kind in spoken[1:]])


def test_what_leaves_twice_has_two_keys():
    """Somebody steps out until a sliver of him is left, comes in again and leaves again: one thing, two departures."""
    scene, keys = Follower(), []
    wall, edge = room(np.random.default_rng(2), H, W), -0.016
    path = [(6.0, -0.12), (8.0, 0.2), (11.0, 0.2), (12.2, edge), (12.8, edge), (14.0, 0.2), (17.0, 0.2), (18.2, edge)]
    for n in range(int(20 / PICTURE_S)):
        t, picture = n * PICTURE_S, wall.copy()
        x = float(np.interp(t, [at for at, _ in path], [x for _, x in path]))
        if t > 6:
            Figure([(0.0, x, 0.9), (99.0, x, 0.9)], 0.6, (30.0, 40.0, 200.0), 5).draw(picture, t)
        grey = np.clip(picture + np.random.default_rng(n).normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
        keys += [s.key for s in scene.look(cv2.resize(grey, (192, 108), interpolation=cv2.INTER_AREA), t)]
    departures = [key for key in dict.fromkeys(keys) if key.startswith("leave-1")]
    assert len(departures) == 2, keys


# ------------------------------------------------------------------------------------------- the labelled clips, whole

PREFIXES: dict[str, tuple[float, Callable[[float, Picture], Picture]]] = {
    "a black frame": (0.0, lambda part, first: first * 0),
    "a grey second": (1.0, lambda part, first: first * 0 + 128),
    "a fade of a second": (1.0, lambda part, first: first * part),
}
CHECKS = {"people-one-by-one.mp4": assert_people, "bottles.mp4": assert_bottles}
WHOLE = [(video, prefix) for video in CHECKS for prefix in PREFIXES]
SHORT = [WHOLE[0], WHOLE[2], WHOLE[4]]
"""each video and each prefix once"""


def with_prefix(clip: Path, to: Path, seconds: float, paint: Callable[[float, Picture], Picture]) -> float:
    """Write the clip with pictures before it; returns how many seconds they take (at least one picture)."""
    with av.open(str(clip)) as source, av.open(str(to), "w") as out:
        rate = Fraction(source.streams.video[0].average_rate or 10)
        stream = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "20", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = *source_size(source), "yuv420p"
        count = max(1, round(seconds * rate))

        def frames() -> Iterator[av.VideoFrame]:
            for frame in source.decode(video=0):
                if frame.pts == 0 or frame.time == 0:
                    first = frame.to_ndarray(format="rgb24").astype(np.float32)
                    for n in range(count):
                        drawn = np.clip(paint(n / count, first), 0, 255).astype(np.uint8)
                        yield av.VideoFrame.from_ndarray(drawn, format="rgb24").reformat(format="yuv420p")
                yield frame

        for number, frame in enumerate(frames()):
            frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        return float(count / rate)


def source_size(source: Any) -> tuple[int, int]:
    return source.streams.video[0].width, source.streams.video[0].height


@pytest.mark.clips
@pytest.mark.slow
@pytest.mark.aside
@pytest.mark.processes
@pytest.mark.parametrize(("video", "prefix"), WHOLE if LONG_FORM else SHORT)
def test_a_clip_with_something_before_it_is_told_as_without(clips: Path, tmp_path: Path, video: str, prefix: str):
    """The whole way: `joyvl watch` on a file that was cut like this."""
    shift = with_prefix(clips / video, tmp_path / video, *PREFIXES[prefix])
    command = [sys.executable, "-m", "joyvl_server.cli", "watch", str(tmp_path / video), "--speed", "max", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    CHECKS[video]([{**tick, "t": tick["t"] - shift} for tick in ticks], clips)
    spoken = [tick for tick in ticks if tick["decision"] == "speak"]
    assert {tick["kind"] for tick in spoken} <= {"enter", "leave", "changed"}
    assert all(tick["t"] > shift + 4 for tick in spoken), "the beginning of the clip is silent"
