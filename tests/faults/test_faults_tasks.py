"""Tasks and `kill -9`: none is lost, none told again once that was acknowledged, and no process is left.

The full measure (ten kills, a thousand tasks; some minutes):
JOYVL_CRASH_TASKS=1000 JOYVL_CRASH_KILLS=10 pytest -s tests/faults/test_faults_tasks.py
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "fakes" / "agents" / "quick_queue.py"
TASKS = int(os.environ.get("JOYVL_CRASH_TASKS", "80"))
KILLS = int(os.environ.get("JOYVL_CRASH_KILLS", "3"))
TOKEN = "JOYVL_CRASH_TEST"


def left_of(token: str) -> list[str]:
    """Processes that this test has caused and that still run."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(TOKEN) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
    return found


class Lives:
    """The process, begun again after each kill, and all that it has ever said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = folder.name + str(os.getpid())
        self.ids: dict[str, str] = {}
        self.told: Counter[str] = Counter()
        self.delivered: Counter[str] = Counter()
        self.told_after_delivery: list[str] = []
        self.idle = False

    def live(self, kill_after: int | None) -> None:
        """Ask what was not submitted yet, and kill it after so many deliveries; None: wait until all is done."""
        env = os.environ | {TOKEN: self.token, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            process.stdin.write("".join(f"Q{n}\n" for n in range(TASKS) if f"Q{n}" not in self.ids))
            with suppress(BrokenPipeError):
                process.stdin.close()
            delivered = 0
            for line in process.stdout:
                delivered += self._hear(*line.split())
                if kill_after is not None and delivered >= kill_after:
                    time.sleep(random.random() * 0.05)
                    process.send_signal(signal.SIGKILL)
                    break
            for line in process.stdout:  # what it had said before
                if line.endswith("\n"):
                    self._hear(*line.split())
        assert process.returncode == (0 if kill_after is None else -signal.SIGKILL)

    def _hear(self, what: str, *about: str) -> bool:
        if what == "submitted":
            self.ids[about[0]] = about[1]
        elif what == "told":
            self.told[about[0]] += 1
            if self.delivered[about[0]]:
                self.told_after_delivery.append(about[0])
        elif what == "delivered":
            self.delivered[about[0]] += 1
        self.idle = what == "idle"
        return what == "delivered"

    def orphans(self) -> list[str]:
        """After at most five seconds: the kernel needs a moment."""
        end = time.monotonic() + 5
        while (left := left_of(self.token)) and time.monotonic() < end:
            time.sleep(0.05)
        return left


@pytest.mark.timeout(900)
def test_nothing_is_lost_or_told_twice_and_no_process_is_left(tmp_path: Path):
    lives = Lives(tmp_path)
    killed_with_open: list[int] = []
    orphans: list[str] = []
    for _ in range(KILLS):
        lives.live(max(1, round(TASKS / (KILLS + 2) * random.uniform(0.5, 1.3))))
        orphans += lives.orphans()
        killed_with_open.append(sum(status in ("queued", "running") for status, *_ in rows(tmp_path)))
    lives.live(None)
    assert lives.idle
    orphans += lives.orphans()
    found = rows(tmp_path)
    by_id = {task_id: (status, code, answer, question) for status, code, answer, question, task_id, _ in found}
    lost = [one for one in lives.ids.values() if one not in by_id]
    ends = Counter((status, code) for status, code, *_ in found)
    print(
        f"\n{len(lives.ids)} submitted, {len(found)} in the database, {KILLS} kills with {killed_with_open} open: "
        f"{dict(ends)}, {len(lost)} lost, {len(lives.told_after_delivery)} told after delivery, "
        f"{sum(count > 1 for count in lives.told.values())} told again because nobody had acknowledged them, "
        f"{len(orphans)} orphans"
    )
    assert len(lives.ids) == TASKS
    assert lost == []
    assert set(ends) <= {("completed", None), ("failed", "interrupted")}
    assert all(open_then > 0 for open_then in killed_with_open), "each kill came in the middle"
    assert ends["failed", "interrupted"] > 0, "something was running then"
    assert all(answer == f"Answer of {question}" for status, _, answer, question in by_id.values() if status[0] == "c")
    assert all(delivered for *_, delivered in found), "somebody was told of every outcome"
    assert lives.told_after_delivery == []
    assert max(lives.delivered.values()) == 1
    assert orphans == []
    for folder in ("work", "waiting"):
        assert list((tmp_path / "agents" / folder).iterdir()) == []


def rows(folder: Path) -> list[tuple[str, str | None, str, str, str, str | None]]:
    """Status, code, answer, question, id, delivery of each task."""
    connection = sqlite3.connect(folder / "joyvl.db")
    try:
        return connection.execute("SELECT status, code, answer, question, id, delivered FROM tasks").fetchall()
    finally:
        connection.close()
