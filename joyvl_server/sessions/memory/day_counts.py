"""What happened in a day, counted and in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from joyvl_server.core.watches.kinds import ALIASES
from joyvl_server.store.events import EventRecord

LINKS = 24
"""events that a digest names"""
LANGUAGES = {"zh": 1, "de": 2}
"""places of their words; English ones come first, and stand for all other languages"""
KIND_WORDS = {
    "enter": ("entered", "进来", "hereingekommen"),
    "leave": ("left", "离开", "weggegangen"),
    "move": ("moved again", "又动了", "wieder bewegt"),
    "still": ("stood still", "停下", "stehen geblieben"),
    "changed": ("changed", "变化", "verändert"),
    "dark": ("went dark", "变暗", "dunkel geworden"),
    "covered": ("was covered", "被遮住", "verdeckt"),
    "frozen": ("froze", "画面卡住", "Bild eingefroren"),
    "smoke_alarm": ("smoke alarm", "烟雾报警", "Rauchmelder"),
    "co_alarm": ("CO alarm", "一氧化碳报警", "CO-Melder"),
    "loud": ("loud noise", "巨响", "lautes Geräusch"),
    "quiet": ("long silence", "长时间安静", "lange still"),
}
WORDS = {
    "watches": ("{n} watches fired", "{n} 次提醒", "{n} Überwachungen haben ausgelöst"),
    "one_watch": ("1 watch fired", "1 次提醒", "1 Überwachung hat ausgelöst"),
    "spoke": ("it spoke {n} times", "说话 {n} 次", "{n}-mal etwas gesagt"),
    "one_spoke": ("it spoke once", "说话 1 次", "einmal etwas gesagt"),
    "heard": ("{n} sentences heard", "听到 {n} 句话", "{n} Sätze gehört"),
    "one_heard": ("1 sentence heard", "听到 1 句话", "1 Satz gehört"),
    "task": ("{n} tasks of agents", "{n} 个任务", "{n} Aufgaben von Agenten"),
    "one_task": ("1 task of an agent", "1 个任务", "1 Aufgabe eines Agenten"),
    "away": ("camera away {n} min", "摄像头离线 {n} 分钟", "Kamera {n} min weg"),
    "nothing": ("Nothing happened.", "没有发生什么。", "Es ist nichts geschehen."),
}
TOLD = ("watch_fired", "spoke", "delegated", "task")
"""types of events that a digest names"""


@dataclass(slots=True)
class DayCounts:
    """Feed it the events of a day, oldest first, then `finish`. Times are Unix seconds.

    `away_since`: the camera was away when the day began.
    """

    away_since: float | None = None
    counts: Counter[str] = field(default_factory=Counter)
    _links: list[tuple[str, str]] = field(default_factory=list)
    _away_s: float = 0.0

    def add(self, events: Iterable[EventRecord]) -> None:
        for event in events:
            kind = event.data.get("kind")
            kind = ALIASES.get(kind, kind) if isinstance(kind, str) else None
            if kind in KIND_WORDS and event.type in ("watch_fired", "spoke"):
                self.counts[kind] += 1
            if event.type in ("watch_fired", "spoke", "delegated", "heard", "task"):
                self.counts[event.type] += 1
            if event.type in TOLD:
                self._links.append((event.type, event.id))
            if event.type == "camera_offline" and self.away_since is None:
                self.away_since = event.wall
            elif event.type == "camera_online":
                since = event.wall if self.away_since is None else self.away_since
                self._away_s += max(0.0, event.wall - since)
                self.away_since = None

    def finish(self, end: float) -> None:
        if self.away_since is not None:
            self._away_s += max(0.0, end - self.away_since)
            self.away_since = end
        self.counts["away_min"] = round(self._away_s / 60)

    @property
    def event_ids(self) -> tuple[str, ...]:
        """At most `LINKS`, in order; fired watches before all others."""
        chosen = [id for type, id in self._links if type == "watch_fired"][-LINKS:]
        others = [id for type, id in self._links if type != "watch_fired"]
        left = LINKS - len(chosen)
        return tuple(sorted([*chosen, *(others[-left:] if left else ())]))

    def sentence(self, language: str) -> str:
        """In English, or in Chinese or German where that is the language."""
        n = LANGUAGES.get(language.partition("-")[0].lower(), 0)
        chinese = n == LANGUAGES["zh"]
        counts = self.counts
        parts = [
            (f"{KIND_WORDS[kind][n]} {counts[kind]} 次" if chinese else f"{KIND_WORDS[kind][n]}: {counts[kind]}")
            for kind in KIND_WORDS
            if counts[kind]
        ]
        for name, count in (
            ("watches", counts["watch_fired"]),
            ("spoke", counts["spoke"] + counts["delegated"]),
            ("heard", counts["heard"]),
            ("task", counts["task"]),
        ):
            if count:
                one = f"one_{name.removesuffix('es')}" if count == 1 else name
                parts.append(WORDS[one][n].format(n=count))
        if counts["away_min"]:
            parts.append(WORDS["away"][n].format(n=counts["away_min"]))
        if not parts:
            return WORDS["nothing"][n]
        text = ("，" if chinese else ", ").join(parts)
        return text[0].upper() + text[1:] + ("。" if chinese else ".")
