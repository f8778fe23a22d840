"""How much later ticks begin while an agent works on the same machine: a real one, which has commands run that take
all that they get of every core, in sessions of their own, as agents do.

Its model is a script in a process of its own. Where the agents' environment is not there (`scripts/agents-test-env`)
the test agent runs the same commands; the result says which it was.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.live.server import START_TIMEOUT_S, Spent, measure
from bench.percentiles import percentile
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.agents.queue import TaskQueue
from joyvl_server.compose import build_registry, media_dir
from joyvl_server.core.errors import JoyvlError
from joyvl_server.ingest.base import SourceStatus
from joyvl_server.ingest.demo import draw_demo
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import load
from joyvl_server.store.tasks import TaskRecord

COLUMNS = (
    ("agent", "agent"),
    ("sessions", "sessions"),
    ("ticks", "ticks"),
    ("late_p50_ms", "due → begun p50 ms"),
    ("late_p95_ms", "p95 ms"),
    ("late_max_ms", "max ms"),
    ("lost", "lost"),
    ("tasks", "tasks begun"),
)
GOAL_MS = 100.0
"""of the difference at the 95th percentile"""
BUSY_S = 15
"""seconds that one task's commands run"""
ROUNDS, ROUND_S = 3, 30.0
QUICK_S = 12.0
SETTLED_S = 4.0
ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests" / "fakes" / "agents"
NAME = "bench"


def bench_delegation(sessions: int, preset: str, env: Path | None, *, quick: bool = False) -> dict[str, Any]:
    """Two rows: without an agent, and with it. `env`: the folder of the agents' commands; None: it is looked for."""
    return asyncio.run(_bench(sessions, preset, env or _find(), quick))


def _find() -> Path | None:
    found = subprocess.run(
        [ROOT / "scripts" / "agents-test-env", "--find"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return Path(found) / "bin" if found else None


async def _bench(sessions: int, preset: str, env: Path | None, quick: bool) -> dict[str, Any]:
    rounds, seconds = (1, QUICK_S) if quick else (ROUNDS, ROUND_S)
    burning = f"timeout {BUSY_S} setsid sh -c 'while :; do :; done' &"
    command = " ".join([burning] * 2 * (os.cpu_count() or 1) + [f"sleep {BUSY_S}"])
    async with _model(command) as url, _serving(_entry(preset, env, url, command)) as registry:
        await _watch(registry, sessions)
        without: list[Spent] = []
        beside: list[Spent] = []
        work = _Work(registry.tasks)
        for _ in range(rounds):
            without.append(await measure(registry.sessions(), seconds))
            working = asyncio.create_task(work.go_on())
            try:
                await asyncio.wait_for(work.begun.wait(), START_TIMEOUT_S)
                beside.append(await measure(registry.sessions(), seconds))
            finally:
                working.cancel()
                await asyncio.wait({working})
            await asyncio.sleep(SETTLED_S)
    agent = preset if env is not None else "the test agent"
    rows = [_row("none", sessions, without, 0), _row(agent, sessions, beside, work.count)]
    more = rows[1]["late_p95_ms"] - rows[0]["late_p95_ms"]
    notes = [f"With the agent at work, ticks begin {more:.1f} ms later (p95); the goal is {GOAL_MS:g} ms at most."]
    if env is None:
        notes.append("No real agent was measured: their environment is not there. Run scripts/agents-test-env.")
    return {"bench": "delegation", "later_p95_ms": more, "real": env is not None, "rows": rows, "notes": notes}


def _row(agent: str, sessions: int, rounds: list[Spent], count: int) -> dict[str, Any]:
    late = [tick["timings"]["request_ms"] for spent in rounds for tick in spent.decided]
    return {
        "agent": agent,
        "sessions": sessions,
        "ticks": len(late),
        "late_p50_ms": percentile(late, 50),
        "late_p95_ms": percentile(late, 95),
        "late_max_ms": max(late),
        "lost": sum(len(spent.ticks) for spent in rounds) - len(late),
        "tasks": count,
    }


# ----------------------------------------------------------------------------------------------------- what it runs on


@asynccontextmanager
async def _model(command: str) -> AsyncIterator[str]:
    """The address of a model that has the agent run the command."""
    program = [sys.executable, str(FAKES / "model_server.py"), command]
    model = await asyncio.create_subprocess_exec(*program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert model.stdout is not None
        yield (await model.stdout.readline()).decode().strip()
    finally:
        model.kill()
        await model.wait()


def _entry(preset: str, env: Path | None, url: str, command: str) -> dict[str, Any]:
    if env is None:
        program = [sys.executable, str(FAKES / "acp_agent.py"), "asks", "runs"]
        return {"type": "acp", "options": {"command": program, "env": {"RUN": command}}}
    model = {"base_url": url, "name": "scripted", "api_key": "none"}
    return {"type": "acp", "options": {"preset": preset, "path": [str(env)], "model": model, "start_s": 240}}


@asynccontextmanager
async def _serving(entry: dict[str, Any]) -> AsyncIterator[Registry]:
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        groups = {"engine": {"name": "motion"}, "agents": {"entries": {NAME: entry}}}
        registry = await build_registry(load(None, {"data_dir": folder, "demo": False, **groups}))
        try:
            await registry.start()
            yield registry
        finally:
            await registry.aclose()


async def _watch(registry: Registry, count: int) -> None:
    """This many cameras show the demo clip, and each of them decides. Raises `JoyvlError` where that fails."""
    clip = media_dir(registry.settings) / "demo.mp4"
    await asyncio.to_thread(draw_demo, clip)
    for number in range(count):
        await registry.cameras.add(CameraDraft(name=f"bench {number}", url=clip.resolve().as_uri(), loop=True))
    end = asyncio.get_running_loop().time() + START_TIMEOUT_S
    while not all(s.state.status is SourceStatus.ONLINE and _decides(s.ticks(1)) for s in registry.sessions()):
        if asyncio.get_running_loop().time() > end:
            raise JoyvlError("The sessions of the measurement did not begin to work.")
        await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLED_S)


def _decides(newest: list[dict[str, Any]]) -> bool:
    return bool(newest) and newest[0]["skipped"] is None


class _Work:
    """One task after the other; whatever its agent asks for is allowed. `begun`: a command runs, for the first time."""

    def __init__(self, queue: TaskQueue) -> None:
        self.begun = asyncio.Event()
        self.count = 0
        self._queue = queue
        self._changes: asyncio.Queue[TaskRecord] = asyncio.Queue()
        queue.listen(self)

    def task_changed(self, task: TaskRecord) -> None:
        """See `TaskListener`."""
        self._changes.put_nowait(task)

    async def go_on(self) -> None:
        """For ever. Raises `JoyvlError` where a task fails; cancelled, all that it had started has ended."""
        task_id = ""
        try:
            while True:
                self.count += 1
                task_id = (await self._queue.submit(TaskDraft(f"Which van is number {self.count}?"))).id
                await self._see_through(task_id)
        finally:
            if task_id:
                await asyncio.shield(self._queue.cancel(task_id))

    async def _see_through(self, task_id: str) -> None:
        asked = ""
        while not (task := await self._changes.get()).ended or task.id != task_id:
            permission = task.permission
            if task.id == task_id and permission is not None and permission["id"] != asked:
                asked = permission["id"]
                allow = next(option["id"] for option in permission["options"] if option["kind"] == "allow_once")
                await self._queue.answer_permission(task_id, asked, allow)
                self.begun.set()
        if task.status != "completed":
            raise JoyvlError(f"The agent of the measurement failed: {task.error}")
