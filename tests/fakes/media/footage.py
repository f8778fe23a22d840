"""The labelled footage and how decisions are held against its labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Labels:
    """Seconds of the clip."""

    responses: tuple[float, ...]
    departures: tuple[float, ...]
    must_stay_silent: tuple[tuple[float, float], ...]


def labels(clips: Path, video: str) -> Labels:
    (item,) = [i for i in json.loads((clips / "labels.json").read_text()) if i["video_name"] == video]
    return Labels(
        tuple(float(r["time"]) for r in item["response"]),
        tuple(item.get("departures", ())),
        tuple((a, b) for a, b in item["must_stay_silent"]),
    )


@dataclass(frozen=True)
class Verdict:
    """How many labels were met, what was reported beside them (times), what was said where silence is due (times)."""

    met: int
    missed: tuple[float, ...]
    extra: tuple[float, ...]
    loud: tuple[float, ...]


def judge(
    ticks: list[dict[str, Any]], kind: str, at: tuple[float, ...], silent: tuple[tuple[float, float], ...]
) -> Verdict:
    """Ticks (t, kind, decision …) of one kind against label times; each report meets one label at most."""
    spoken = [t for t in ticks if t["decision"] != "silent"]
    left = [t["t"] for t in spoken if t["kind"] == kind]
    missed = []
    for label in at:
        near = [t for t in left if abs(t - label) <= TOLERANCE_S]
        if near:
            left.remove(min(near, key=lambda t: abs(t - label)))
        else:
            missed.append(label)
    loud = [t["t"] for t in spoken if any(a <= t["t"] <= b for a, b in silent)]
    return Verdict(len(at) - len(missed), tuple(missed), tuple(left), tuple(loud))


def assert_people(ticks: list[dict[str, Any]], clips: Path) -> None:
    """All 6 arrivals and 6 departures within 2 s, at most one enter or leave beside them, silence where it is due."""
    want = labels(clips, "people-one-by-one.mp4")
    enter = judge(ticks, "enter", want.responses, want.must_stay_silent)
    leave = judge(ticks, "leave", want.departures, want.must_stay_silent)
    assert enter.missed == (), enter
    assert leave.missed == (), leave
    assert len(enter.extra) + len(leave.extra) <= 1, (enter, leave)
    assert enter.loud == (), enter


def assert_bottles(ticks: list[dict[str, Any]], clips: Path) -> None:
    """At least 6 of 7 changes within 2 s. (Silence is not asked here: its spans begin before these 2 s are over.)"""
    want = labels(clips, "bottles.mp4")
    changed = judge(ticks, "changed", want.responses, want.must_stay_silent)
    assert changed.met >= 6, changed
