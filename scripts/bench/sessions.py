"""`joyvl bench sessions`: how many sessions one simulated card holds, what gives way when it is too many, and recovery.

*Held* are the admitted sessions of a level at which, once all have come, every one of them was scored within 1 s of
being due (or of its own reply's end) in at least 99 % of its seconds. Seconds that `adaptive` and `eco` leave out by
themselves because their picture stands still do not count, and are shown apart; seconds left out for want of time count
as missed. Faithful levels moreover are held only while every look was a full one, the others only while pressure did
not slow them down.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.simulation.card import CARD, CARD_WITH_CPU_INTAKE, NOTE, Card
from bench.simulation.deployment import Deployment, simulated_deployment
from bench.simulation.scripted_model import ScriptedModel
from bench.simulation.seconds import EARLY_S, Second, jain, seconds_of, times
from bench.simulation.sources import GREYS_PER_S, SimulatedSource, View, drawn, footage, moment_of
from bench.simulation.virtual_time import VirtualClock, run_virtual
from joyvl_server.core.errors import NotAllowed
from joyvl_server.core.frame import Grey
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.ticking.base import phase

CLIP = "people-one-by-one.mp4"
COLUMNS = (
    ("variant", "variant"),
    ("offered", "offered"),
    ("admitted", "admitted"),
    ("held", "held"),
    ("in_time_worst", "in time, worst session"),
    ("took_p50_s", "due → score p50 s"),
    ("took_p99_s", "p99 s"),
    ("full_looks", "full looks"),
    ("left_out", "left out as still"),
    ("degradation_step", "highest degradation step"),
    ("load", "engine busy"),
    ("fairness", "Jain"),
    ("waiting_most", "most waiting"),
)
HELD_SHARE = 0.99
FULL_SHARE = 0.99
REPLY_EVERY_S, REPLY_TOKENS = 60.0, 25
JOIN_EVERY_S = 3.0
STALL_S = 30.0
CALM_S = 10
"""recovered: so long with every session in time"""
OVERLOADS = (16, 32, 64)
TOO_MANY = 8
MOST = 64


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    fidelity: str
    view: View
    card: Card = CARD


VARIANTS = (
    Variant("full_252", "faithful", View()),
    Variant("small_84", "faithful", View(384, 216, 8_000, 5_000)),
    Variant("adaptive", "adaptive", View()),
    Variant("eco", "eco", View()),
)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Seconds: to settle after the last one has come, then to measure."""

    settle: int = 30
    measure: int = 150


def bench_sessions(clips: Path | None, *, quick: bool = False) -> dict[str, Any]:
    """`clips`: the folder of the labelled footage; None draws a scene. `quick`: shorter, and few levels."""
    greys = drawn() if clips is None else footage(clips / CLIP)
    lengths = Lengths(15, 40) if quick else Lengths()
    levels = {"most": 3} if quick else {"overloads": OVERLOADS}
    found = {variant.name: _variant(variant, greys, lengths, **levels) for variant in VARIANTS}
    # With the other reading of the 40 ms; too many at once are the same there.
    aside = [replace(variant, name=f"{variant.name}, 40 ms aside", card=CARD_WITH_CPU_INTAKE) for variant in VARIANTS]
    others = {} if quick else {variant.name: _variant(variant, greys, lengths) for variant in aside}
    held = _most(found, "held")
    stalled = [(variant, max(1, held[variant.name])) for variant in VARIANTS[: 1 if quick else 2]]
    stalled += [] if quick else [(VARIANTS[0], TOO_MANY)]
    stalls = [run_virtual(_stall(variant, count, greys, quick=quick)) for variant, count in stalled]
    notes = [
        NOTE,
        f"Pictures move as in {'the drawn scene' if clips is None else CLIP}, looped, each session at another place; "
        f"one reply of {REPLY_TOKENS} tokens a minute each.",
        f"Held: every admitted session scored within 1 s in {HELD_SHARE:.0%} of its seconds; faithful ones with full "
        "looks alone, the others not slowed down by a degradation step. Seconds that adaptive and eco leave out by "
        "themselves, for their picture stands still, do not count.",
        "The 40 ms of a request are taken as the card's own time, one after the other; “40 ms aside” takes them as the "
        "server's processor's, beside the card's steps.",
    ]
    return {
        "bench": "sessions",
        "sessions_held": held,
        "sessions_in_time": _most(found, "in_time"),
        "sessions_held_40_ms_aside": {name.partition(",")[0]: most for name, most in _most(others, "held").items()},
        "stalls": stalls,
        "rows": [row for rows in (found | others).values() for row in rows],
        "notes": notes,
    }


def _most(found: dict[str, list[dict[str, Any]]], key: str) -> dict[str, int]:
    """The most sessions of each variant for which `key` is true."""
    return {name: max((row["admitted"] for row in rows if row[key]), default=0) for name, rows in found.items()}


def _variant(
    variant: Variant, greys: Sequence[Grey], lengths: Lengths, *, most: int = MOST, overloads: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """One more session a time until the card takes or holds no more, at `most`; then far too many: `overloads`."""
    rows: list[dict[str, Any]] = []
    failures, count = 0, 1
    while failures < 2 and count <= most:
        row = run_virtual(_level(variant, count, greys, lengths))
        rows.append(row)
        failures = 0 if row["in_time"] and row["admitted"] == count else failures + 1
        count += 1
    return rows + [run_virtual(_level(variant, count, greys, lengths)) for count in overloads if count > len(rows)]


async def _level(variant: Variant, count: int, greys: Sequence[Grey], lengths: Lengths) -> dict[str, Any]:
    async with _deployment(variant, greys) as deployment:
        refused = await _come(deployment, count)
        await deployment.clock.sleep(lengths.settle)
        before, began = dict(deployment.server.batcher.spent), deployment.clock.monotonic()
        seen = await _watch(deployment, lengths.measure)
        spent = {k: (s - before.get(k, 0.0)) / lengths.measure for k, s in deployment.server.batcher.spent.items()}
        await deployment.clock.sleep(3.0)
        measured = [_Measured.of(deployment, session, began, lengths.measure) for session in deployment.sessions]
    return _row(variant, count, refused, measured, seen, spent)


def _deployment(variant: Variant, greys: Sequence[Grey]) -> Any:
    length = len(greys) / GREYS_PER_S

    def make(number: int, clock: VirtualClock) -> SimulatedSource:
        return SimulatedSource(number, clock, variant.view, greys, shift_s=number * 0.618 * length % length)

    model = ScriptedModel(reply_tokens=REPLY_TOKENS, every_s=REPLY_EVERY_S)
    return simulated_deployment(model, make, card=variant.card, fidelity=variant.fidelity)


async def _come(deployment: Deployment, count: int) -> int:
    """Sessions come one after the other; how many were refused."""
    refused = 0
    for _ in range(count):
        try:
            await deployment.add()
        except NotAllowed:
            refused += 1
        await deployment.clock.sleep(JOIN_EVERY_S)
    return refused


@dataclass(slots=True)
class Seen:
    """Of the scheduler, looked at twice a second."""

    steps: Counter[str]
    waiting_most: int = 0


async def _watch(deployment: Deployment, seconds: float) -> Seen:
    seen = Seen(Counter())
    end = deployment.clock.monotonic() + seconds
    while deployment.clock.monotonic() < end:
        await deployment.clock.sleep(0.5)
        (state,) = deployment.registry.schedulers()
        seen.steps[state["step"]] += 1
        seen.waiting_most = max(seen.waiting_most, state["waiting"])
    return seen


@dataclass(frozen=True, slots=True)
class _Measured:
    """One session's seconds that count, and the looks of its ticks."""

    seconds: list[Second]
    looks: Counter[str]
    left_out: int
    """seconds that the session itself left out, for its picture stood still"""

    @property
    def in_time(self) -> float:
        return sum(s.decided for s in self.seconds) / len(self.seconds) if self.seconds else 1.0

    @classmethod
    def of(cls, deployment: Deployment, session: Session, began: float, length: int) -> _Measured:
        number = deployment.sessions.index(session)
        source = deployment.media.sources[number]
        offset = phase(number + 1, session.settings.tick_s)
        first = int(began - source.opened - offset) + 1
        requests = [r for r in deployment.server.requests if r.pictures and moment_of(r.pictures[-1])[0] == number]
        seconds = seconds_of(requests, opened=source.opened, phase=offset, count=first + length)[first:]
        left_out: set[int] = set()
        looks: Counter[str] = Counter()
        for tick in session.ticks(length + 60):
            at = int((tick["t"] - offset + EARLY_S) // 1.0)
            if at < first:
                continue
            if tick["skipped"] == "still":
                left_out.add(at)
            elif tick["skipped"] is None:
                looks[tick["look"]] += 1
        if session.settings.fidelity == "faithful":
            left_out.clear()  # that was for want of time
        kept = [s for at, s in enumerate(seconds, first) if at not in left_out or s.scored is not None]
        return cls(kept, looks, len(seconds) - len(kept))


def _row(
    variant: Variant, count: int, refused: int, measured: list[_Measured], seen: Seen, spent: dict[str, float]
) -> dict[str, Any]:
    took = times(second.took for one in measured for second in one.seconds)
    looks = sum((one.looks for one in measured), Counter[str]())
    full = looks["full"] / max(1, sum(looks.values()))
    worst = min((one.in_time for one in measured), default=0.0)
    in_time = bool(measured) and worst >= HELD_SHARE
    whole = full >= FULL_SHARE if variant.fidelity == "faithful" else not seen.steps["slower"] + seen.steps["full"]
    left_out = sum(one.left_out for one in measured)
    return {
        "variant": variant.name,
        "offered": count,
        "admitted": count - refused,
        "refused": refused,
        "held": in_time and whole,
        "in_time": in_time,
        "in_time_worst": round(worst, 4),
        "took_p50_s": took["p50_s"],
        "took_p99_s": took["p99_s"],
        "took_max_s": took["max_s"],
        "full_looks": round(full, 3),
        "left_out": round(left_out / max(1, left_out + sum(len(one.seconds) for one in measured)), 3),
        "degradation_step": next((s for s in ("full", "slower", "glances") if seen.steps[s]), "none"),
        "steps": dict(seen.steps),
        "load": round(sum(spent.values()), 3),
        "load_by_kind": {kind: round(share, 3) for kind, share in spent.items()},
        "fairness": round(jain([sum(s.scored is not None for s in one.seconds) for one in measured]), 4),
        "waiting_most": seen.waiting_most,
    }


async def _stall(variant: Variant, count: int, greys: Sequence[Grey], *, quick: bool) -> dict[str, Any]:
    """The engine stands still for half a minute. Nothing may pile up, and soon all must be as before."""
    after = 60 if quick else 150
    async with _deployment(variant, greys) as deployment:
        refused = await _come(deployment, count)
        await deployment.clock.sleep(30 if not quick else 10)
        began = deployment.clock.monotonic()
        deployment.server.most_waiting = 0
        deployment.server.batcher.stalled_until = began + STALL_S
        during = await _watch(deployment, STALL_S)
        most = deployment.server.most_waiting
        afterwards = await _watch(deployment, after)
        await asyncio.sleep(3.0)
        length = int(STALL_S) + after
        measured = [_Measured.of(deployment, session, began, length) for session in deployment.sessions]
        failed = Counter(t["skipped"] for s in deployment.sessions for t in s.ticks(length + 60) if t["skipped"])
    ended = began + STALL_S
    late = sorted(s.due for one in measured for s in one.seconds if s.due > ended and not s.decided)
    return {
        "variant": variant.name,
        "sessions": count - refused,
        "stall_s": STALL_S,
        "recovered_after_s": _calm_after(ended, late, ended + after),
        "waiting_most": max(during.waiting_most, afterwards.waiting_most),
        "requests_at_engine_most": max(most, deployment.server.most_waiting),
        "steps_after": dict(afterwards.steps),
        "skipped": dict(failed),
    }


def _calm_after(start: float, late: Sequence[float], end: float) -> float | None:
    """Seconds from `start` until nothing was late for `CALM_S`; None where that never came before `end`."""
    at = start
    for due in late:
        if due - at >= CALM_S:
            break
        at = due + 1.0
    return round(at - start, 1) if end - at >= CALM_S else None
