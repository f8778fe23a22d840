"""A real server that is to be killed: watches fire all the time, and somebody acknowledges every other alert.

`python -m bench.alerts.server FOLDER URL_OF_PHONE URL_OF_NEIGHBOUR PER_SECOND`; at 0 per second it only sends what is
left. What is certain it appends to `FOLDER/journal`: `written N`, `acknowledged N SECONDS`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from joyvl_server.app import serve
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import load
from joyvl_server.store.alerts.alerts import AlertFilter
from joyvl_server.store.alerts.records import HookRecord
from joyvl_server.store.events import EventRecord

ESCALATE_S = 5.0
ACKNOWLEDGE_S = 1.0
"""after an alert was written"""


class Journal:
    """Lines that survive the end of the process: one write each."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, line: str) -> None:
        os.write(self._descriptor, f"{line}\n".encode())


async def fire(registry: Registry, journal: Journal, urls: tuple[str, str], per_second: float) -> None:
    """Post events for as long as the server runs."""
    registry.events.on_written(lambda event: journal.add(f"written {event.text}"))
    await _hooks(registry, *urls)
    if per_second <= 0:
        return
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_acknowledge(registry, journal))
        number = await registry.store.main.read(
            lambda c: c.execute("SELECT coalesce(max(CAST(text AS INTEGER)), 0) FROM events").fetchone()[0]
        )
        while True:
            number += 1
            data: dict[str, Any] = {"watches": ["wat_bench"], "watch_names": ["bench"]}
            registry.events.post(
                EventRecord(new_id("evt"), "ses_bench", "cam_bench", "watch_fired", 0.0, time.time(), str(number), data)
            )
            await asyncio.sleep(1 / per_second)


async def _hooks(registry: Registry, phone: str, neighbour: str) -> None:
    if await registry.alerts.hooks.list():
        return
    hooks = registry.alerts.hooks
    await hooks.add(HookRecord("", "phone", "webhook", {"url": phone}))
    await hooks.add(
        HookRecord("", "neighbour", "webhook", {"url": neighbour}, escalates=1, escalate_after_s=ESCALATE_S)
    )


async def _acknowledge(registry: Registry, journal: Journal) -> None:
    """Every alert with an even number, a second after it came."""
    while True:
        await asyncio.sleep(0.1)
        for alert in await registry.alerts.alerts.list(AlertFilter(state="open"), limit=1000):
            if int(alert.text) % 2 == 0 and alert.created_wall < time.time() - ACKNOWLEDGE_S:
                await registry.alerts.acknowledge(alert.id, "bench")
                journal.add(f"acknowledged {alert.text} {time.time()}")


def main() -> None:
    folder, phone, neighbour, per_second = Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
    settings = load(
        None,
        {
            "data_dir": folder / "data",
            "demo": False,
            "server": {"port": 0},
            "alerts": {"allow": ["127.0.0.1"], "timeout_s": 1.0},
            "log": {"level": "error"},
        },
        environ={},
    )
    journal = Journal(folder / "journal")
    serve(settings, arrange=lambda registry: fire(registry, journal, (phone, neighbour), per_second))


if __name__ == "__main__":
    main()
