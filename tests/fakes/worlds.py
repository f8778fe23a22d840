"""Drawn weeks: what cameras saw and people said, questions about it, and the many things that nobody asks about.

Each language has a file of lines `day time | camera | memory | question | question`: the first question shares no word
with its memory, the second does. What nobody asks about is drawn from tables, the same each time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from joyvl_server.memory.base import MemoryDraft

FOLDER = Path(__file__).parents[1] / "memory" / "worlds"
MONDAY = 1_764_547_200.0
"""midnight in UTC, 1 December 2025"""
PARTS = ((0, 6), (6, 12), (12, 18), (18, 24))
"""hours of night, morning, afternoon, evening"""

ORDINARY = {
    "en": (
        ("A white van", "A red car", "A yellow bus", "A man with a hat", "A woman in a grey coat", "An old couple",
         "A jogger", "A pigeon", "Somebody", "A group of students"),
        ("passed slowly", "waited a moment", "came into view", "went away", "moved to the left", "stopped briefly",
         "crossed the picture"),
        ("at the corner.", "near the wall.", "in the background.", "in bright light.", "in the shade.", "far away."),
    ),
    "zh": (
        ("一辆白色面包车", "一辆红色汽车", "一辆黄色公交车", "一个戴帽子的男人", "一位穿灰大衣的女士", "一对老夫妻",
         "一个慢跑的人", "一只鸽子", "一个路人", "一群学生"),
        ("慢慢经过", "停了一会儿", "进入画面", "离开了画面", "向左移动", "短暂停留", "穿过镜头"),
        ("拐角处。", "墙边。", "背景里。", "强光下。", "阴影中。", "画面右侧。"),
    ),
    "de": (
        ("Ein weißer Lieferwagen", "Ein rotes Auto", "Ein gelber Bus", "Ein Mann mit Hut", "Eine Frau im Mantel",
         "Eine Taube", "Ein Jogger", "Jemand"),
        ("fuhr langsam vorbei", "wartete kurz", "kam ins Bild", "ging weg", "bewegte sich nach links", "hielt kurz an"),
        ("an der Ecke.", "an der Mauer.", "im Hintergrund.", "im hellen Licht.", "im Schatten.", "rechts."),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """`span`: the quarter of the day in which it was, Unix seconds."""

    draft: MemoryDraft
    far: str
    near: str

    @property
    def span(self) -> tuple[float, float]:
        day = MONDAY + (self.draft.wall - MONDAY) // 86_400 * 86_400
        begin, end = next(part for part in PARTS if self.draft.wall < day + part[1] * 3600)
        return day + begin * 3600, day + end * 3600


def asked(world: str, language: str) -> list[Asked]:
    lines = (FOLDER / f"{world}.{language}.txt").read_text(encoding="utf-8").splitlines()
    return [_asked(line) for line in lines if line and not line.startswith("#")]


def ordinary(language: str, count: int) -> list[MemoryDraft]:
    """At most as many as the tables give; each text once."""
    drawn = random.Random(7)
    texts = [_joined(language, parts) for parts in product(*ORDINARY[language])]
    return [
        _draft(MONDAY + drawn.uniform(0, 7 * 86_400), drawn.choice(("street", "garden", "door", "yard")), text)
        for text in drawn.sample(texts, count)
    ]


def _joined(language: str, parts: tuple[str, ...]) -> str:
    return f"{parts[0]}在{parts[2][:-1]}{parts[1]}。" if language == "zh" else " ".join(parts)


def _asked(line: str) -> Asked:
    when, camera, text, far, near = (part.strip() for part in line.split("|"))
    day, clock = when.split()
    hours, minutes = clock.split(":")
    return Asked(_draft(MONDAY + int(day) * 86_400 + int(hours) * 3600 + int(minutes) * 60, camera, text), far, near)


def _draft(wall: float, camera: str, text: str) -> MemoryDraft:
    return MemoryDraft(f"cam_{camera}", "said", text, wall)
