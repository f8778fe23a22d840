"""A whole server for measurements, and what its processes cost.

Registry, media workers and store as users run them, before an engine that answers at once in a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joyvl_server.compose import build_registry
from joyvl_server.core.errors import JoyvlError
from joyvl_server.ingest.base import SourceStatus
from joyvl_server.kit.processes.leash import descendants
from joyvl_server.sessions.registry import Registry
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.settings import load

WATCHES = (WatchDraft("Tell me when someone comes in."), WatchDraft("Tell me when someone falls."))
START_TIMEOUT_S = 60.0
ALL = 10_000
"""more ticks than a session remembers"""
WORKER = "joyvl_server.ingest.worker.process"
SCRIPTS = Path(__file__).parents[2]


@asynccontextmanager
async def instant_engine() -> AsyncIterator[int]:
    """The port of an engine that answers at once."""
    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.live.instant_engine", stdout=asyncio.subprocess.PIPE, cwd=SCRIPTS
    )
    try:
        assert engine.stdout is not None
        yield int(await engine.stdout.readline())
    finally:
        engine.terminate()
        await engine.wait()


@asynccontextmanager
async def serving(engine_port: int) -> AsyncIterator[Registry]:
    """A started registry over that engine, with a data folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        options = {"base_url": f"http://127.0.0.1:{engine_port}/v1", "model": "instant"}
        settings = load(
            None,
            {
                "data_dir": folder,
                "demo": False,
                "engine": {"name": "openai", "options": {"openai": options}},
                "sessions": {"max_sessions": 256},
            },
        )
        registry = await build_registry(settings)
        try:
            await registry.start()
            yield registry
        finally:
            await registry.aclose()


async def until_watching(sessions: list[Session]) -> None:
    """Wait until every source shows pictures and every decision is a score. Raises `JoyvlError` where that fails."""
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            for session in sessions:
                updates = session.updates.since(None)
                while session.state.status is not SourceStatus.ONLINE or session.capabilities.mode != "scored":
                    await anext(updates)
    except TimeoutError:
        states = sorted({f"{s.state.status}, {s.capabilities.mode}: {s.state.error}" for s in sessions})
        raise JoyvlError(f"The sessions of the measurement did not begin to work: {'; '.join(states)}.") from None


@dataclass(frozen=True, slots=True)
class Spent:
    """What some seconds of a server came to: processor seconds of main and of its workers, and every tick."""

    lasted_s: float
    main_s: float
    worker_s: float
    ticks: list[dict[str, Any]]

    @property
    def decided(self) -> list[dict[str, Any]]:
        """The ticks with a decision. Raises `JoyvlError` where there is none."""
        found = [tick for tick in self.ticks if tick["skipped"] is None]
        if not found:
            raise JoyvlError("No tick was decided; the engine of the benchmark did not answer.")
        return found


async def measure(sessions: list[Session], seconds: float) -> Spent:
    """Let the sessions tick for so long."""
    before = {session.id: len(session.ticks(ALL)) for session in sessions}
    began, main, worker = time.monotonic(), main_seconds(), worker_seconds()
    await asyncio.sleep(seconds)
    lasted, main, worker = time.monotonic() - began, main_seconds() - main, worker_seconds() - worker
    ticks = [tick for session in sessions for tick in session.ticks(ALL)[before[session.id] :]]
    return Spent(lasted, main, worker, ticks)


def main_seconds() -> float:
    """Processor seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def worker_seconds() -> float:
    """Processor seconds of all media workers that this process has."""
    return sum(spent(pid) for pid in descendants(os.getpid()) if WORKER in _command(pid))


def spent(pid: int) -> float:
    """Seconds of processor time that a process has used, in user and system mode. 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
