"""Random scenes of several families, each with what should be said and what may be said. One seed, one scene."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from fakes.media.scenes import Figure, Hand, Leaves, Picture, Scene, Thing, cloth, room

Rng = np.random.Generator
H, W = 216, 384


@dataclass(frozen=True)
class Wanted:
    """One of `kinds` is to be said between `t0` and `t1`."""

    kinds: tuple[str, ...]
    t0: float
    t1: float


@dataclass
class Drawn:
    """A rendered scene: pictures, what has to be said, and spans [(t0, t1, kinds)] where more may be said."""

    family: str
    pictures: list[tuple[float, Picture]]
    wanted: list[Wanted] = field(default_factory=list)
    allowed: list[tuple[float, float, tuple[str, ...]]] = field(default_factory=list)


@dataclass(frozen=True)
class Marks:
    hits: list[Wanted]
    missed: list[Wanted]
    false: list[tuple[float, str]]


def judge(drawn: Drawn, said: Iterable[tuple[float, str]]) -> Marks:
    """Match what was said, each remark at most once, in order of time."""
    rest, hits, missed = sorted(said), [], []
    for want in sorted(drawn.wanted, key=lambda x: x.t1):
        found = next((s for s in rest if s[1] in want.kinds and want.t0 <= s[0] <= want.t1), None)
        (hits if found else missed).append(want)
        if found:
            rest.remove(found)
    false = [s for s in rest if not any(a <= s[0] <= b and s[1] in kinds for a, b, kinds in drawn.allowed)]
    return Marks(hits, missed, false)


def nuisances(rng: Rng, seconds: float, hard: bool = False) -> dict:
    """Noise, compression, light and shake for any scene."""
    out: dict = {"noise": rng.uniform(0.7, 5.0), "seed": int(rng.integers(1 << 30))}
    if rng.random() < 0.5:
        out["bit_rate"] = int(rng.uniform(60_000, 400_000))
    phase, depth, period = rng.uniform(0, 6), rng.uniform(0, 0.12), rng.uniform(40, 200)
    flicker = rng.uniform(0, 0.03) if rng.random() < 0.4 else 0.0
    step_at = rng.uniform(4, seconds) if rng.random() < (0.7 if hard else 0.25) else 1e9
    step = rng.uniform(0.72, 1.35)

    def light(t: float) -> float:
        wobble = np.random.default_rng((out["seed"], int(t * 1000))).normal(0, flicker) if flicker else 0.0
        return float(
            (1 + depth * np.sin(phase + 2 * np.pi * t / period)) * (1 + wobble) * (step if t >= step_at else 1.0)
        )

    out["light"] = light
    if rng.random() < (0.5 if hard else 0.25):
        out["shake"] = rng.uniform(0.2, 1.6)
    if rng.random() < (0.5 if hard else 0.2):
        x, y = rng.uniform(0, 0.6), rng.uniform(0, 0.4)
        box = (x, y, x + rng.uniform(0.15, 0.4), y + rng.uniform(0.15, 0.4))
        out["leaves"] = [Leaves(box, rng.uniform(1, 5), int(rng.integers(1 << 30)))]
    return out


def figure(rng: Rng, at: float, stay: float, size: float | None = None, there: bool = False) -> Figure:
    """A person who comes from a random edge, stays `stay` seconds (0: walks across), goes by a random edge."""
    size = rng.uniform(0.3, 0.85) if size is None else size
    base = rng.uniform(20, 225)
    shades = tuple(float(np.clip(base + rng.normal(0, 45), 10, 240)) for _ in range(3))
    out = 0.16 * size * H / W * 1.5 + 0.03
    floor = float(np.clip(rng.uniform(0.55, 0.95), size * 0.8, 0.97))
    speed = rng.uniform(0.12, 0.35)
    x1 = rng.uniform(0.25, 0.75)

    def edge() -> tuple[float, float]:
        side = rng.integers(3)
        return ((-out, floor), (1 + out, floor), (float(np.clip(x1 + rng.uniform(-0.2, 0.2), 0.1, 0.9)), 1.02 + size))[
            side
        ]

    (xa, ya), (xb, yb) = edge(), edge()
    if stay == 0:
        (xa, ya), (xb, yb) = (
            ((-out, floor), (1 + out, floor)) if rng.random() < 0.5 else ((1 + out, floor), (-out, floor))
        )
    ta = max(abs(x1 - xa), abs(floor - ya) * 0.6) / speed
    tb = max(abs(x1 - xb), abs(floor - yb) * 0.6) / speed
    path = [(at, xa, ya), (at + ta, x1, floor), (at + ta + stay, x1, floor), (at + ta + stay + tb, xb, yb)]
    if there:
        path = [(-1.0, x1, floor), (at, x1, floor), (at + tb, xb, yb)]
    return Figure(
        path,
        size,
        shades,
        int(rng.integers(1 << 30)),
        sway=rng.uniform(0.0, 0.015),
        shadow=rng.uniform(0, 0.4),
        cast=max(0.0, rng.uniform(-0.15, 0.25)),
        smear=rng.uniform(1, 6),
    )


def hidden(rng: Rng, fig: Figure, background: Picture) -> bool:
    """Too like the room to be asked for: mean difference along the path below 12 grey levels on every part."""
    _, x, y = fig.path[1]
    column = background[int(max(0, (y - fig.size)) * H) : int(y * H), int(np.clip(x, 0, 0.98) * W)]
    parts = np.array_split(column, 3)
    diffs = [
        abs(float(p.mean()) - s)
        for p, s in zip(parts, (fig.shades[2], fig.shades[0], fig.shades[1]), strict=True)
        if len(p)
    ]
    return max(diffs, default=0) < 12 or sum(d > 12 for d in diffs) < 2


def comings(scene: Scene) -> tuple[list[Wanted], list[tuple[float, float, tuple[str, ...]]]]:
    wanted, allowed = [], []
    for start, end in scene.spans():
        if start >= 0:
            wanted.append(Wanted(("enter",), start - 1.2, start + 2.3))
        if end < scene.seconds - 2.5:
            wanted.append(Wanted(("leave",) if start >= 0 else ("leave", "changed", "move"), end - 1.2, end + 2.5))
        allowed.append((start, end + 2, ("move", "still")))
    return wanted, allowed


def walkers(rng: Rng, tick: float) -> Drawn:
    background, t, figures = room(rng, H, W, rng.uniform(0.3, 1.3)), rng.uniform(3, 8), []
    for _ in range(int(rng.integers(1, 4))):
        fig = figure(rng, t, 0.0 if rng.random() < 0.3 else rng.uniform(3, 30))
        if hidden(rng, fig, background):
            continue
        figures.append(fig)
        t = fig.path[-1][0] + rng.uniform(3, 8)
    seconds = t + 4
    scene = Scene(seconds, background, figures, **nuisances(rng, seconds))
    pictures = scene.render(tick, phase=rng.uniform(0, 1))
    return Drawn("walkers", pictures, *comings(scene))


def far_walkers(rng: Rng, tick: float) -> Drawn:
    """Small persons, 1.5 to 3 % of the picture, in little noise."""
    background, t, figures = room(rng, H, W, rng.uniform(0.3, 1.0)), rng.uniform(3, 8), []
    for _ in range(2):
        fig = figure(rng, t, rng.uniform(0, 15), size=rng.uniform(0.32, 0.45))
        if not hidden(rng, fig, background):
            figures.append(fig)
            t = fig.path[-1][0] + rng.uniform(3, 6)
    more = nuisances(rng, t + 4)
    more["noise"] = min(more["noise"], 3.0)
    scene = Scene(t + 4, background, figures, **more)
    return Drawn("far", scene.render(tick, phase=rng.uniform(0, 1)), *comings(scene))


def long_stay(rng: Rng, tick: float) -> Drawn:
    """Somebody stands almost still for up to a minute, then goes: leave, not changed."""
    background = room(rng, H, W, rng.uniform(0.3, 1.3))
    while True:
        fig = figure(rng, rng.uniform(3, 8), rng.uniform(20, 60), size=rng.uniform(0.4, 0.9))
        fig.sway = rng.uniform(0, 0.006)
        if not hidden(rng, fig, background):
            break
    seconds = fig.path[-1][0] + 6
    scene = Scene(seconds, background, [fig], **nuisances(rng, seconds))
    return Drawn("stay", scene.render(tick, phase=rng.uniform(0, 1)), *comings(scene))


def there_at_start(rng: Rng, tick: float) -> Drawn:
    background = room(rng, H, W, rng.uniform(0.3, 1.3))
    while True:
        fig = figure(rng, rng.uniform(8, 25), 0, size=rng.uniform(0.4, 0.8), there=True)
        if not hidden(rng, fig, background):
            break
    seconds = fig.path[-1][0] + 15
    scene = Scene(seconds, background, [fig], **nuisances(rng, seconds))
    pictures = scene.render(tick, phase=rng.uniform(0, 1))
    wanted, allowed = comings(scene)
    wanted = [Wanted(w.kinds, fig.path[1][0] - 0.5, w.t1) for w in wanted]
    return Drawn(
        "start", pictures, wanted, [*allowed, (fig.path[1][0] - 1, fig.path[-1][0] + 3, ("move", "leave", "changed"))]
    )


def hands(rng: Rng, tick: float) -> Drawn:
    """Things that stand on a table are taken and put by a hand from above."""
    background, t = room(rng, H, W, rng.uniform(0.2, 1.0)), rng.uniform(3, 7)
    things, reaches, wanted, allowed = [], [], [], []
    for i in range(int(rng.integers(2, 4))):
        w, h, x = rng.uniform(0.05, 0.1), rng.uniform(0.16, 0.3), 0.1 + 0.28 * i
        y = 0.85 - h
        local = float(background[int(y * H) : int((y + h) * H), int(x * W) : int((x + w) * W)].mean())
        shade = float(np.clip(local + rng.choice([-1, 1]) * rng.uniform(25, 90), 15, 240))
        clear = max(0.0, rng.uniform(-0.5, 0.8))
        things.append(Thing(x, y, w, h, shade, seed=int(rng.integers(1 << 30)), clear=clear))
    present = [bool(rng.random() < 0.6) for _ in things]
    drawn_things = []
    for i, thing in enumerate(things):
        if present[i]:
            drawn_things.append(thing)
        else:
            thing.since = 1e9
    last = dict(enumerate(things))
    for _ in range(int(rng.integers(2, 5))):
        i = int(rng.integers(len(things)))
        rest = rng.uniform(0.5, 2.0)
        cause, here = last[i], present[i]
        swap = t + 0.6 + rest / 2
        if here:
            cause.until = swap
            carried = cause
        else:
            carried = Thing(
                cause.x, cause.y, cause.w, cause.h, cause.shade, since=swap, seed=cause.seed, clear=cause.clear
            )
            drawn_things.append(carried)
            last[i] = carried
        reaches.append(
            Hand(
                t,
                cause.x + cause.w / 2,
                cause.y,
                carried,
                here,
                rng.uniform(30, 90),
                rng.uniform(-0.3, 0.3),
                rest,
                rng.uniform(0.05, 0.35),
            )
        )
        present[i] = not here
        end = t + 1.2 + rest
        wanted.append(Wanted(("changed",), swap, end + 2.2))
        allowed.append((t - 0.2, end + 2.2, ("enter", "leave")))
        t = end + rng.uniform(3, 7)
    more = nuisances(rng, t + 2)
    more["shake"] = min(more.get("shake", 0), 0.5)
    scene = Scene(t + 2, background, things=drawn_things, hands=reaches, **more)
    return Drawn("hands", scene.render(tick, phase=rng.uniform(0, 1)), wanted, allowed)


def dropped(rng: Rng, tick: float) -> Drawn:
    """Somebody comes, leaves a bag (or takes one) and goes."""
    background = room(rng, H, W, rng.uniform(0.3, 1.0))
    while True:
        fig = figure(rng, rng.uniform(4, 7), rng.uniform(3, 12), size=rng.uniform(0.4, 0.8))
        if not hidden(rng, fig, background):
            break
    (_, x, y), swap, end = fig.path[1], fig.path[2][0] - 1.0, fig.path[-1][0]
    w, h = 0.16 * fig.size, 0.22 * fig.size
    bx = float(np.clip(x + rng.choice([-1, 1]) * 0.12 * fig.size, 0.02, 0.98 - w))
    by = min(y - h * 0.8, 0.97 - h)
    local = float(background[int(by * H) : int((by + h) * H), int(bx * W) : int((bx + w) * W)].mean())
    bag = Thing(
        bx, by, w, h, float(np.clip(local + (60 if local < 128 else -60), 10, 245)), seed=int(rng.integers(1 << 30))
    )
    taken = bool(rng.random() < 0.4)
    bag.since, bag.until = (-1, swap) if taken else (swap, 1e9)
    scene = Scene(end + 7, background, [fig], [bag], **nuisances(rng, end + 7))
    pictures = scene.render(tick, phase=rng.uniform(0, 1))
    wanted, allowed = comings(scene)
    return Drawn("dropped", pictures, [*wanted, Wanted(("changed",), swap - 0.1, end + 3.2)], allowed)


def quiet(rng: Rng, tick: float) -> Drawn:
    """Nothing happens but what rooms and cameras do by themselves: not a word."""
    background, seconds = room(rng, H, W, rng.uniform(0.2, 1.5)), 60.0
    more = nuisances(rng, seconds, hard=True)
    effects = []
    if rng.random() < 0.5:  # a soft shadow or a patch of sun wanders over the wall
        x, speed, depth, wide = (
            rng.uniform(-0.3, 1),
            rng.uniform(-0.03, 0.03),
            rng.uniform(-0.3, 0.2),
            rng.uniform(0.06, 0.2),
        )
        xs = np.arange(W, dtype=np.float32) / W

        def cloud(p: Picture, t: float) -> Picture:
            return p * (1 + depth * np.exp(-(((xs - x - speed * t) / wide) ** 2))[None, :])

        effects.append(cloud)
    if rng.random() < 0.25:  # rain

        def rain(p: Picture, t: float) -> Picture:
            drops = np.random.default_rng(int(t * 1000))
            for _ in range(int(more["noise"] * 12)):
                a, b = int(drops.uniform(0, W)), int(drops.uniform(0, H))
                cv2.line(p, (a, b), (a + 2, b + 9), 200.0, 1, cv2.LINE_AA)
            return p

        effects.append(rain)
    scene = Scene(seconds, background, effects=effects, **more)
    return Drawn("quiet", scene.render(tick, phase=rng.uniform(0, 1)))


def lens(rng: Rng, tick: float) -> Drawn:
    """Dark, covered or frozen for a while."""
    kind = str(rng.choice(["dark", "covered", "frozen"]))
    background, a = room(rng, H, W, rng.uniform(0.4, 1.3)), rng.uniform(12, 20)
    b = a + rng.uniform(14, 22)
    seconds = b + 8
    more = nuisances(rng, seconds)
    more.pop("bit_rate", None)
    level, flat = rng.uniform(0.02, 0.12), rng.uniform(50, 150)
    held: dict[str, Picture] = {}

    def effect(p: Picture, t: float) -> Picture:
        if not a <= t < b:
            return p
        if kind == "dark":
            return p * level
        return flat + cloth(np.random.default_rng(5), H, W, 90, 10) + 0.03 * (p - p.mean())

    scene = Scene(seconds, background, effects=[effect] if kind != "frozen" else [], **more)
    pictures = scene.render(tick, phase=rng.uniform(0, 1))
    if kind == "frozen":
        for i, (t, p) in enumerate(pictures):
            if a <= t < b:
                pictures[i] = (t, held.setdefault("p", p))
        return Drawn(kind, pictures, [Wanted(("frozen",), a + 9, a + 13)], [(b, b + 3, ("changed",))])
    return Drawn(kind, pictures, [Wanted((kind,), a, a + 2.1), Wanted(("changed",), b, b + 3)])


def moving(rng: Rng, tick: float) -> Drawn:
    """The camera pans or is carried about, then stands elsewhere; somebody comes afterwards."""
    wide = room(rng, H * 2, W * 2, rng.uniform(0.6, 1.3))
    a, length = rng.uniform(6, 12), rng.uniform(4, 12)
    b = a + length
    x0, y0 = rng.uniform(0, 0.4, 2)
    x1, y1 = x0 + rng.choice([-1, 1]) * rng.uniform(0.1, 0.3), float(np.clip(y0 + rng.uniform(-0.1, 0.1), 0, 0.5))
    x1 = float(np.clip(x1, 0, 0.5))
    hand_held = bool(rng.random() < 0.5)
    fig = figure(rng, b + 9, 4, size=rng.uniform(0.4, 0.8))

    def pan(p: Picture, t: float) -> Picture:
        k = float(np.clip((t - a) / length, 0, 1))
        jx, jy = np.random.default_rng(int(t * 1000)).normal(0, 0.02, 2) if hand_held and a <= t < b else (0, 0)
        x, y = (x0 + (x1 - x0) * k + jx) * W * 2, (y0 + (y1 - y0) * k + jy) * H * 2
        part = cv2.getRectSubPix(wide, (W, H), (float(np.clip(x, 0, W)) + W / 2, float(np.clip(y, 0, H)) + H / 2))
        fig.draw(part, t)
        return part

    more = nuisances(rng, 99)
    more.pop("leaves", None)
    light = more.pop("light")
    seconds = fig.path[-1][0] + 5
    scene = Scene(seconds, np.zeros((H, W), np.float32), effects=[pan, lambda p, t: p * light(t)], **more)
    pictures = scene.render(tick, phase=rng.uniform(0, 1))
    wanted = [
        Wanted(("camera_moving",), a, a + 4),
        Wanted(("enter",), b + 9, b + 16),
        Wanted(("leave",), b + 13, seconds),
    ]
    return Drawn("moving", pictures, wanted)


FAMILIES: tuple[Callable[[Rng, float], Drawn], ...] = (
    walkers,
    far_walkers,
    long_stay,
    there_at_start,
    hands,
    dropped,
    quiet,
    lens,
    moving,
)


def random_scene(seed: int, tick: float = 1.0) -> Drawn:
    """Pictures every `tick` seconds."""
    return FAMILIES[seed % len(FAMILIES)](np.random.default_rng(seed), tick)
