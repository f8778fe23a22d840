"""The process supervisor, with real child processes and a held clock for its pauses."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from fakes.clock import ManualClock
from fakes.patience import PATIENCE_S, until, wait_until
from joyvl_server.kit.supervisor import Launch, Limits, Status, Supervisor

pytestmark = pytest.mark.processes

FAST = Limits(start_timeout_s=PATIENCE_S, stop_timeout_s=0.5, check_every_s=0.05, check_timeout_s=0.3, cooldown_s=1.0)
SLEEPS = "import time; time.sleep(60)"


class Child:
    """A service whose process runs a line of Python. `faults` and `sick` are set by tests."""

    name = "child"

    def __init__(self, code: str = SLEEPS) -> None:
        self.code = code
        self.launches = 0
        self.reasons: list[str] = []
        self.sick = False
        self.hangs = False
        self.family = False
        self.fds: list[int] = []

    async def launch(self) -> Launch:
        self.launches += 1
        return Launch((sys.executable, "-c", self.code), {"CHILD": "1"}, tuple(self.fds), family=self.family)

    async def ready(self) -> None:
        if self.hangs:
            await asyncio.sleep(60)

    async def check(self) -> None:
        if self.sick:
            raise ValueError("rtsp://cam:s3cret@x is sick")

    def gone(self, reason: str) -> None:
        self.reasons.append(reason)


async def test_starts_is_up_and_ends_with_its_children() -> None:
    child = Child(f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]).wait()")
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    await supervisor.up(PATIENCE_S)
    process = psutil.Process(supervisor.pid)
    await until(lambda: process.children())
    family = [process, *process.children(recursive=True)]
    await supervisor.aclose()
    assert supervisor.status is Status.STOPPED
    assert supervisor.pid is None
    assert child.reasons == ["it was stopped"]
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
    assert not alive


async def test_closing_twice_or_before_the_start_is_fine() -> None:
    supervisor = Supervisor(Child(), FAST)
    await supervisor.aclose()
    supervisor.start()
    with pytest.raises(RuntimeError, match="already started"):
        supervisor.start()
    await supervisor.aclose()
    await supervisor.aclose()


async def test_killed_is_back_at_once_and_said_once_each_way() -> None:
    child = Child("print('last words'); import time; time.sleep(60)")
    supervisor = Supervisor(child, FAST)
    with capture_logs() as logs:
        supervisor.start()
        await supervisor.up(PATIENCE_S)
        first = supervisor.pid
        await until(lambda: supervisor.last_lines)
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pid not in (None, first) and supervisor.status is Status.UP)
    await supervisor.aclose()
    assert supervisor.restarts == 1
    assert child.reasons[0] == "it was killed by SIGKILL"
    told = [entry for entry in logs if entry["event"] in ("process gone", "process back")]
    assert [entry["event"] for entry in told] == ["process gone", "process back"]
    assert told[0]["last_lines"] == ["last words"]


async def test_the_pause_grows_while_it_keeps_failing_and_it_is_said_once() -> None:
    clock = ManualClock()
    child = Child("print('broken'); raise SystemExit(3)")
    child.hangs = True
    supervisor = Supervisor(child, FAST, clock)
    with capture_logs() as logs:
        supervisor.start()
        for launches, pause in ((2, 0.0), (3, 1.0), (4, 2.0), (5, 4.0)):
            if pause:
                await until(lambda: clock.sleepers == 1)
                await clock.advance(pause - 0.01)
                assert child.launches == launches - 1
                await clock.advance(0.02)
            await until(lambda expected=launches: child.launches == expected)
    await supervisor.aclose()
    assert child.reasons[:4] == ["it ended with status 3"] * 4
    assert [entry["event"] for entry in logs].count("process gone") == 1
    assert "process back" not in [entry["event"] for entry in logs]


async def test_not_ready_in_time_is_killed() -> None:
    child = Child()
    child.hangs = True
    supervisor = Supervisor(child, Limits(start_timeout_s=0.3, stop_timeout_s=0.3, cooldown_s=60))
    supervisor.start()
    await until(lambda: len(child.reasons) >= 1)
    await supervisor.aclose()
    assert child.reasons[0] == "it was not ready within 0.3 s"


async def test_sick_is_restarted_and_no_secret_is_told() -> None:
    child = Child()
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    await supervisor.up(PATIENCE_S)
    child.sick = True
    await until(lambda: child.reasons)
    child.sick = False
    await supervisor.aclose()
    assert child.reasons[0] == "it did not answer: rtsp://cam:***@x is sick"


async def test_deaf_to_sigterm_is_killed() -> None:
    child = Child("import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)")
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    await until(lambda: "deaf" in supervisor.last_lines)
    pid = supervisor.pid
    await supervisor.aclose()
    assert not psutil.pid_exists(pid)


async def test_what_cannot_be_started_is_tried_again() -> None:
    class Missing(Child):
        async def launch(self) -> Launch:
            self.launches += 1
            raise OSError("no more memory")

    child = Missing()
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    await until(lambda: child.launches >= 2)
    await supervisor.aclose()
    assert child.reasons[0] == "it cannot be started: no more memory"


async def test_only_the_last_lines_are_kept_and_none_is_endless() -> None:
    child = Child(f"print('x' * 100_000); [print(n) for n in range(100)]; print('rtsp://cam:s3cret@x'); {SLEEPS}")
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    await until(lambda: supervisor.last_lines and supervisor.last_lines[-1].startswith("rtsp"))
    lines = supervisor.last_lines
    await supervisor.aclose()
    assert len(lines) == FAST.log_lines
    assert lines[-2:] == ["99", "rtsp://cam:***@x"]


async def test_every_line_is_heard_and_a_progress_bar_fills_no_log() -> None:
    code = f"""
import sys, time
print('first\\r\\nrtsp://cam:s3cret@x', flush=True)
for share in (10, 20, 30):
    sys.stdout.write(f'\\rloading {{share}}%'); sys.stdout.flush(); time.sleep(0.1)
print('\\rloading 100%', flush=True); {SLEEPS}"""
    heard: list[str] = []
    supervisor = Supervisor(Child(code), FAST, on_line=heard.append)
    supervisor.start()
    await until(lambda: "loading 100%" in heard)
    lines = supervisor.last_lines
    await supervisor.aclose()
    assert heard == ["first", "rtsp://cam:***@x", "loading 10%", "loading 20%", "loading 30%", "loading 100%"]
    assert lines == ["first", "rtsp://cam:***@x", "loading 100%"]


async def test_descriptors_are_handed_over_and_none_stays_here() -> None:
    before = len(os.listdir("/proc/self/fd"))
    reading, writing = os.pipe()
    child = Child(f"import os, time; os.write({writing}, b'hello'); time.sleep(60)")
    child.fds = [writing]
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    await supervisor.up(PATIENCE_S)
    assert await asyncio.to_thread(os.read, reading, 5) == b"hello"
    child.fds = []
    await supervisor.aclose()
    os.close(reading)
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


@pytest.mark.parametrize(("end", "reason"), [("exit(3)", "ended with status 3"), ("kill", "was killed by SIGKILL")])
async def test_the_end_of_a_family_is_told_as_that_of_its_head(end: str, reason: str) -> None:
    code = {"exit(3)": "raise SystemExit(3)", "kill": "import os; os.kill(os.getpid(), 9)"}[end]
    child = Child(code)
    child.family = child.hangs = True
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    await until(lambda: child.reasons)
    await supervisor.aclose()
    assert child.reasons[0] == f"it {reason}"


async def test_children_that_outlive_their_head_do_not_hide_its_end() -> None:
    child = Child(
        f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); "
        "print('up', flush=True); import time; time.sleep(0.5); os.kill(os.getpid(), 9)"
    )
    child.family = True
    heard: list[str] = []
    supervisor = Supervisor(child, FAST, on_line=heard.append)
    supervisor.start()
    await until(lambda: heard)
    group = [p for p in psutil.process_iter() if os.getpgid(p.pid) == supervisor.pid]
    assert len(group) == 3
    await until(lambda: child.reasons)
    await supervisor.aclose()
    assert child.reasons[0] == "it was killed by SIGKILL"
    assert psutil.wait_procs(group, timeout=PATIENCE_S)[1] == []


async def test_a_family_ends_politely_where_it_can() -> None:
    child = Child("import signal, sys, time; signal.signal(15, lambda *_: (print('bye', flush=True), sys.exit(0)));"
                  "print('up', flush=True); time.sleep(60)")  # fmt: skip
    child.family = True
    heard: list[str] = []
    supervisor = Supervisor(child, FAST, on_line=heard.append)
    supervisor.start()
    await until(lambda: "up" in heard)
    await supervisor.aclose()
    assert heard == ["up", "bye"]


@pytest.mark.parametrize("family", [False, True])
def test_a_killed_parent_leaves_no_child(family: bool) -> None:
    grandchild = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]).wait()"
    parent = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.path[:0] = {[str(Path(__file__).parents[2]), str(Path(__file__).parents[1]), str(Path(__file__).parent)]!r}
        from test_kit_supervisor import Child, FAST, SLEEPS
        from joyvl_server.kit.supervisor import Supervisor
        async def main():
            child = Child({grandchild!r} if {family} else SLEEPS)
            child.family = {family}
            supervisor = Supervisor(child, FAST)
            supervisor.start()
            await supervisor.up({PATIENCE_S})
            print(supervisor.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
        """
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(process.stdout.readline()))
    wait_until(lambda: len(child.children(recursive=True)) >= (2 if family else 0))
    everybody = [child, *child.children(recursive=True)]
    process.kill()
    process.wait(PATIENCE_S)
    process.stdout.close()
    _, alive = psutil.wait_procs(everybody, timeout=PATIENCE_S)
    assert not alive
