"""`joyvl bench alerts`: a real server is killed again and again while watches fire. Is anything lost?"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from bench.alerts.receiver import FaultyReceiver, Receipt, receiving
from bench.alerts.server import ESCALATE_S
from joyvl_server.core.errors import JoyvlError
from joyvl_server.notify.webhook import signature
from joyvl_server.store.secrets.box import SecretBox
from joyvl_server.store.secrets.columns import HOOK_OPTIONS

COLUMNS = (
    ("kills", "kill -9"),
    ("events", "events"),
    ("received", "messages"),
    ("lost", "lost"),
    ("duplicates", "repeats"),
    ("out_of_order", "out of order"),
    ("without_alert", "events without alert"),
    ("bad_signatures", "bad signatures"),
    ("next_contact_missing", "next contact not told"),
    ("next_contact_after_acknowledgement", "told after acknowledgement"),
)
ROUNDS, QUICK_ROUNDS = 20, 4
PER_SECOND = 15.0
FAULTY = 0.03
START_S = 60.0
DRAIN_S = 300.0
SCRIPTS = Path(__file__).parents[2]


def bench_alerts(*, quick: bool = False, seed: int = 1) -> dict[str, Any]:
    """One row. Raises `JoyvlError` where the server does not start, or does not get through what waits."""
    return asyncio.run(_bench(QUICK_ROUNDS if quick else ROUNDS, Random(seed)))


async def _bench(rounds: int, random: Random) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as name:
        folder = Path(name)
        async with receiving(random, FAULTY) as phone, receiving(random, FAULTY) as neighbour:
            urls = (phone.url, neighbour.url)
            for number in range(rounds):
                server = await _start(folder, urls, PER_SECOND)
                before = len(_journal(folder))
                await _until(lambda before=before: len(_journal(folder)) > before, START_S, "nothing was written")  # type: ignore[misc]
                phone.down = number % 4 == 3  # also what waits behind an outage survives
                await asyncio.sleep(random.uniform(0.2, 2.5))
                server.kill()
                await server.wait()
                phone.down = False
            phone.faulty = neighbour.faulty = 0.0
            server = await _start(folder, urls, 0)
            await _drained(folder)
            await asyncio.sleep(0.5)
            server.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(30):
                    await server.wait()
            return {"bench": "alerts", "rows": [_row(rounds, folder, phone, neighbour)]}


async def _start(folder: Path, urls: tuple[str, str], per_second: float) -> asyncio.subprocess.Process:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(SCRIPTS), str(SCRIPTS.parent)))}
    arguments = ("-m", "bench.alerts.server", str(folder), *urls, str(per_second))
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environment, stdout=asyncio.subprocess.DEVNULL
    )


async def _until(there: Callable[[], bool], limit_s: float, otherwise: str) -> None:
    end = asyncio.get_running_loop().time() + limit_s
    while not there():
        if asyncio.get_running_loop().time() > end:
            raise JoyvlError(f"The server of the benchmark did not do its work: {otherwise}.")
        await asyncio.sleep(0.05)


async def _drained(folder: Path) -> None:
    """Nothing waits any more, for its turn or for its time."""

    def empty() -> bool:
        with suppress(sqlite3.Error):
            return not _read(folder, "SELECT 1 FROM deliveries WHERE state IN ('waiting', 'later') LIMIT 1")
        return False

    await asyncio.sleep(ESCALATE_S)
    await _until(empty, DRAIN_S, "messages still wait")


def _row(rounds: int, folder: Path, phone: FaultyReceiver, neighbour: FaultyReceiver) -> dict[str, Any]:
    record, told = _Record.read(folder), {receipt.number for receipt in phone.receipts}
    first = list(dict.fromkeys(receipt.number for receipt in phone.receipts))
    woken = {receipt.number for receipt in neighbour.receipts}
    never = record.alerts - record.acknowledged.keys() - record.settled
    late = [r for r in neighbour.receipts if r.wall > record.acknowledged.get(r.number, float("inf")) + 0.05]
    receipts = phone.receipts + neighbour.receipts
    return {
        "kills": rounds,
        "events": len(record.events),
        "received": len(receipts),
        "faults": phone.faults + neighbour.faults,
        "lost": len(record.alerts - told) + len(record.written - record.events),
        "duplicates": len(receipts) - len({receipt.id for receipt in receipts}),
        "out_of_order": sum(later < earlier for earlier, later in pairwise(first)),
        "without_alert": len(record.events - record.alerts),
        "bad_signatures": sum(not _fits(receipt, record.secrets) for receipt in receipts),
        "next_contact_missing": len(never - woken),
        "next_contact_after_acknowledgement": len(late),
    }


@dataclass(frozen=True, slots=True)
class _Record:
    """What the server has on disk. Numbers of events; `acknowledged`: with the Unix seconds at which that was certain;
    `settled`: acknowledged in the record."""

    events: set[int]
    alerts: set[int]
    written: set[int]
    acknowledged: dict[int, float]
    settled: set[int]
    secrets: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> _Record:
        lines = [line.split() for line in _journal(folder)]
        return cls(
            {int(row[0]) for row in _read(folder, "SELECT text FROM events WHERE type = 'watch_fired'")},
            {int(row[0]) for row in _read(folder, "SELECT text FROM alerts WHERE kind = 'watch_fired'")},
            {int(line[1]) for line in lines if line[0] == "written" and line[1:]},
            {int(line[1]): float(line[2]) for line in lines if line[0] == "acknowledged"},
            {int(row[0]) for row in _read(folder, "SELECT text FROM alerts WHERE state = 'acknowledged'")},
            tuple(_secret(folder / "data", *row) for row in _read(folder, "SELECT id, options FROM hooks")),
        )


def _secret(data: Path, hook_id: str, options: str) -> str:
    return str(json.loads(HOOK_OPTIONS.open(SecretBox.of_folder(data), hook_id, options))["secret"])


def _fits(receipt: Receipt, secrets: tuple[str, ...]) -> bool:
    given, at = receipt.headers["webhook-signature"], int(receipt.headers["webhook-timestamp"])
    return any(signature(secret, receipt.id, at, receipt.body) == given for secret in secrets)


def _journal(folder: Path) -> list[str]:
    path = folder / "journal"
    return [line for line in path.read_text().splitlines() if line] if path.exists() else []


def _read(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{folder}/data/joyvl.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
