"""How long a search by words takes among 1,000,000 events, in English and Chinese, down to a single character.

Everything goes through the store that the server uses, on a real file: events are written with their words, and a
search reads a page of 50 the way `GET /v1/events?query=…` does.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.percentiles import percentile, spread
from joyvl_server.kit.ids import new_id
from joyvl_server.store.events import EventFilter, EventRecord, Events
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.timeline import writing

COLUMNS = (
    ("what", "search"),
    ("found", "found of 50"),
    ("p50_ms", "p50 ms"),
    ("p95_ms", "p95 ms"),
    ("max_ms", "max ms"),
)
GOAL_MS = 100.0
EVENTS, QUICK_EVENTS = 1_000_000, 20_000
PAGE = 50
BATCH = 2000
YEAR_S = 365 * 86_400.0
END = 1_800_000_000.0
CAMERAS = 8
WATCHES = 24
ENGLISH = (
    "dog", "cat", "man", "woman", "parcel", "courier", "door", "gate", "car", "truck", "red",
    "blue", "kitchen", "oven", "smoke", "baby", "cried", "fell", "window", "open", "garden", "fence",
    "bicycle", "umbrella", "stairs", "lamp", "phone", "glass", "dropped", "entered", "left", "ran", "slept",
    "parked", "delivered", "knocked", "water", "leak", "bottle", "table", "sofa",
)  # fmt: skip
CHINESE = (
    "狗", "猫", "男人", "女人", "包裹", "快递员", "门口", "大门", "汽车", "卡车", "红色", "蓝色", "厨房",
    "烤箱", "冒烟", "宝宝", "哭了", "摔倒", "窗户", "打开", "花园", "围栏", "自行车", "雨伞", "楼梯", "台灯",
    "手机", "玻璃", "掉落", "进入", "离开", "跑过", "睡觉", "停车", "送达", "敲门", "漏水", "水瓶", "桌子",
    "沙发",
)  # fmt: skip
LATE = {"since": END - YEAR_S / 2, "until": END - YEAR_S / 2 + 3600}
SEARCHES: dict[str, dict[str, Any]] = {
    "a word": {"words": "umbrella"},
    "a frequent word": {"words": "the"},
    "two words": {"words": "parcel courier"},
    "words that begin so": {"words": "smok*"},
    "words that occur nowhere": {"words": "giraffe"},
    "frequent words of a camera and an hour": {"words": "the and", "camera_id": "cam_3", **LATE},
    "a word of a watch since a day": {"words": "dog", "watch_id": "wch_7", "since": END - 86_400},
    "a word until half a year ago": {"words": "door", "until": END - YEAR_S / 2},
    "a word of a rare type": {"words": "the", "types": ("task",)},
    "two words that hardly meet": {"words": "the giraffe"},
    "one character": {"words": "狗"},
    "one frequent character": {"words": "在"},
    "one character of a longer word": {"words": "裹"},
    "two characters": {"words": "漏水"},
    "three characters": {"words": "快递员"},
    "a piece over two words": {"words": "烤箱冒烟"},
    "two pieces": {"words": "漏水 楼梯"},
    "one character of a camera and an hour": {"words": "门", "camera_id": "cam_5", **LATE},
    "a character that occurs nowhere": {"words": "鯨"},
    "both languages": {"words": "dog 狗"},
    "an hour of all cameras": LATE,
    "an hour of a camera": {"camera_id": "cam_3", **LATE},
    "an hour of what was spoken": {"types": ("spoke",), **LATE},
    "a month of a camera": {"camera_id": "cam_3", "since": LATE["since"], "until": LATE["since"] + YEAR_S / 12},
    "a watch": {"watch_id": "wch_7"},
    "an hour of a watch": {"watch_id": "wch_7", **LATE},
    "a rare type and a frequent one": {"types": ("task", "spoke")},
    "what is kept": {"kept": True},
}


def bench_search(*, quick: bool = False) -> dict[str, Any]:
    """`search_p95_ms` over all searches alike. Raises `StoreError`."""
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        return asyncio.run(_measure(Path(folder), QUICK_EVENTS if quick else EVENTS, 5 if quick else 40))


async def _measure(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    db = await Database.open(folder / "joyvl.db")
    try:
        began = time.perf_counter()
        await _fill(db, count)
        filled_s = time.perf_counter() - began
        events, draw = Events(db), random.Random(2)
        times: dict[str, list[float]] = {what: [] for what in SEARCHES}
        found = {}
        for _ in range(rounds):
            for what in draw.sample(list(SEARCHES), len(SEARCHES)):
                began = time.perf_counter()
                page = await events.list(EventFilter(**SEARCHES[what]), limit=PAGE + 1)
                times[what].append((time.perf_counter() - began) * 1000)
                found[what] = min(len(page), PAGE)
        one = await _one_at_a_time(db, count)
        size = (folder / "joyvl.db").stat().st_size
    finally:
        await db.aclose()
    every = [value for values in times.values() for value in values]
    return {
        "bench": "memory search",
        "events": count,
        "search_p95_ms": round(percentile(every, 95), 2),
        "search_max_ms": round(max(every), 2),
        "goal_ms": GOAL_MS,
        "write_p95_ms": round(percentile(one, 95), 2),
        "filled_s": round(filled_s, 1),
        "database_mb": round(size / 1e6),
        "rows": [{"what": what, "found": found[what], **_rounded(spread(values))} for what, values in times.items()],
        "notes": [
            f"{count:,} events, {size / 1e6:.0f} MB, written in {filled_s:.0f} s; one more costs "
            f"{percentile(one, 95):.2f} ms (p95) of the writer.",
            f"All searches: p95 {percentile(every, 95):.1f} ms, goal {GOAL_MS:.0f} ms.",
        ],
    }


async def _fill(db: Database, count: int) -> None:
    made = _events(count)
    while batch := [event for event, _ in zip(made, range(BATCH), strict=False)]:
        await db.write(lambda c, batch=batch: [writing.insert(c, event) for event in batch])  # type: ignore[misc]


async def _one_at_a_time(db: Database, count: int) -> list[float]:
    """Milliseconds until an event is committed."""
    times = []
    for event in _events(50):
        began = time.perf_counter()
        await db.write(lambda c, event=event: writing.insert(c, event))  # type: ignore[misc]
        times.append((time.perf_counter() - began) * 1000)
    return times


def _events(count: int) -> Iterator[EventRecord]:
    draw = random.Random(1)
    for n in range(count):
        watch = draw.randrange(WATCHES)
        watched = n % 3 == 0
        if n % 2:
            text = "The {} {} near the {} and the {} {}".format(*(draw.choice(ENGLISH) for _ in range(5)))
        else:
            text = "{}在{}旁边{}，{}{}。".format(*(draw.choice(CHINESE) for _ in range(5)))
        wall = END - YEAR_S * (count - n) / count
        yield EventRecord(
            id=new_id("evt"),
            session_id=f"ses_{n % CAMERAS}",
            camera_id=f"cam_{n % CAMERAS}",
            type="task" if n % 10_000 == 1 else "watch_fired" if watched else "spoke",
            t=wall - END + YEAR_S,
            wall=wall,
            text=text,
            data={"watches": [f"wch_{watch}"], "watch_names": [f"watch {watch}"]} if watched else {"score": 0.75},
            kept=n % 1000 == 7,
        )


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}
