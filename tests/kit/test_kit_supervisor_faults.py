"""What a supervised service may do wrong, with real processes: nothing of it outlives the supervisor, or stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs
from test_kit_supervisor import FAST, SLEEPS, Child, until

from fakes.clock import ManualClock
from fakes.patience import PATIENCE_S
from joyvl_server.kit.child import Launch
from joyvl_server.kit.supervisor import Limits, Status, Supervisor

pytestmark = pytest.mark.processes

DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
# A daemon as they are made: a session of its own, its parent gone, deaf, and the output held open. The parent goes on
# when it has spoken; each line is one write, which no other cuts in two.
DAEMON = """
import os, signal, sys, time
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(15, signal.SIG_IGN)
    os.write(1, b'daemon %d\\n' % os.getpid())
    os.write(tell, b'.')
    time.sleep(60)
os.wait()
os.read(ready, 1)
"""


def heard_pid(heard: list[str]) -> int:
    return next(int(line.split()[1]) for line in heard if line.startswith("daemon"))


def gone(*pids: int) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)


@pytest.mark.parametrize("error", [KeyError("model"), AssertionError(), asyncio.CancelledError(), MemoryError()])
async def test_whatever_a_launch_raises_is_told_once_and_tried_again_with_growing_pauses(error: BaseException) -> None:
    clock, child = ManualClock(), Child()
    launch, faults = child.launch, [error] * 4

    async def failing() -> Launch:
        child.launches += 1
        if faults:
            raise faults.pop()
        child.launches -= 1
        return await launch()

    child.launch = failing
    supervisor = Supervisor(child, FAST, clock)
    with capture_logs() as logs:
        supervisor.start()
        for launches, pause in ((3, 1.0), (4, 2.0), (5, 4.0)):
            await until(lambda: clock.sleepers == 1)
            await clock.advance(pause * 0.9)
            assert child.launches == launches - 1
            await clock.advance(pause * 0.1 + 0.001)
            await until(lambda expected=launches: child.launches == expected)
        await supervisor.up(PATIENCE_S)
    await supervisor.aclose()
    assert supervisor.restarts == 4
    assert [entry["event"] for entry in logs if entry["event"].startswith("process")] == [
        "process gone",
        "process back",
    ]
    assert [entry["event"] for entry in logs].count("service fault") == (type(error) is not asyncio.CancelledError)
    assert child.reasons[0].startswith("it cannot be started: ")
    assert type(error) is asyncio.CancelledError or type(error).__name__ in child.reasons[0]


async def test_faults_of_the_listeners_end_neither_the_process_nor_the_supervision() -> None:
    def deaf(line: str) -> None:
        raise KeyError(line)

    child = Child("import time\nfor n in range(3000): print('x' * 60)\nprint('end', flush=True); time.sleep(60)")
    child.gone = lambda reason: 1 / 0
    supervisor = Supervisor(child, FAST, on_line=deaf)
    with capture_logs() as logs:
        supervisor.start()
        await supervisor.up(PATIENCE_S)
        first = supervisor.pid
        await until(lambda: supervisor.last_lines[-1:] == ["end"])
        os.kill(first, 9)
        await until(lambda: supervisor.pid not in (None, first) and supervisor.status is Status.UP)
        await supervisor.aclose()
    assert [entry.get("doing") for entry in logs if entry["event"] == "service fault"] == ["line", "gone", "gone"]


@pytest.mark.parametrize("family", [True, False])
async def test_a_child_deaf_to_sigterm_is_gone_within_the_bound(family: bool) -> None:
    child = Child(DEAF)
    child.family = family
    heard: list[str] = []
    supervisor = Supervisor(child, FAST, on_line=heard.append)
    supervisor.start()
    await until(lambda: heard)
    everybody = [supervisor.pid, *(p.pid for p in psutil.Process(supervisor.pid).children(recursive=True))]
    await asyncio.gather(supervisor.aclose(), supervisor.aclose())
    assert gone(*everybody)
    assert supervisor.status is Status.STOPPED


@pytest.mark.parametrize("family", [True, False])
async def test_a_cancelled_close_kills_at_once(family: bool) -> None:
    child = Child(DEAF)
    child.family = family
    heard: list[str] = []
    supervisor = Supervisor(child, Limits(stop_timeout_s=60), on_line=heard.append)
    supervisor.start()
    await until(lambda: heard)
    everybody = [supervisor.pid, *(p.pid for p in psutil.Process(supervisor.pid).children(recursive=True))]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await supervisor.aclose()
    await until(lambda: gone(*everybody))
    await supervisor.aclose()


async def test_a_session_of_its_own_does_not_help_it_to_outlive_us() -> None:
    child = Child(DAEMON + "\nimport signal; signal.signal(15, signal.SIG_IGN); time.sleep(60)")
    child.family = True
    heard: list[str] = []
    supervisor = Supervisor(child, FAST, on_line=heard.append)
    supervisor.start()
    await until(lambda: heard)
    await supervisor.aclose()
    await until(lambda: gone(heard_pid(heard)))


async def test_what_a_process_left_behind_when_it_ended_is_killed_before_the_next_start() -> None:
    child = Child(DAEMON + "\nos.write(1, b'head ends\\n'); raise SystemExit(3)")
    child.family = child.hangs = True
    heard: list[str] = []
    supervisor = Supervisor(child, FAST, ManualClock(), on_line=heard.append)
    supervisor.start()
    await until(lambda: child.reasons)
    assert child.reasons[0] == "it ended with status 3"
    assert gone(heard_pid(heard))
    await supervisor.aclose()


async def test_an_output_that_others_hold_open_does_not_hide_the_end_of_a_child_without_a_keeper() -> None:
    child = Child(DAEMON + "\nraise SystemExit(3)")
    child.hangs = True
    heard: list[str] = []
    supervisor = Supervisor(child, FAST, ManualClock(), on_line=heard.append)
    supervisor.start()
    await until(lambda: child.reasons)
    await supervisor.aclose()
    assert child.reasons[0] == "it ended with status 3"
    os.kill(heard_pid(heard), 9)  # who starts processes of its own says so: `family`


@pytest.mark.parametrize("method", ["launch", "ready", "check"])
async def test_a_service_that_swallows_being_cancelled_does_not_hold_up_the_close(method: str) -> None:
    asked = asyncio.Event()
    ends = asyncio.Event()

    async def stubborn(*_: object) -> None:
        asked.set()
        while not ends.is_set():
            try:
                await ends.wait()
            except asyncio.CancelledError:
                continue

    child = Child()
    setattr(child, method, stubborn)
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    await asyncio.wait_for(asked.wait(), PATIENCE_S)
    pid = supervisor.pid
    await asyncio.wait_for(supervisor.aclose(), PATIENCE_S)
    assert (pid is None) == (method == "launch")
    assert pid is None or gone(pid)
    ends.set()


async def test_descriptors_of_a_launch_that_comes_too_late_are_closed() -> None:
    reading, writing = os.pipe()
    go = asyncio.Event()

    async def late() -> Launch:
        try:
            await go.wait()
        except asyncio.CancelledError:
            await go.wait()
        return Launch((sys.executable, "-c", SLEEPS), fds=(writing,))

    child = Child()
    child.launch = late
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    await asyncio.sleep(0)
    closing = asyncio.create_task(supervisor.aclose())
    await closing
    go.set()
    assert await asyncio.wait_for(asyncio.to_thread(os.read, reading, 1), PATIENCE_S) == b""
    os.close(reading)


async def test_waiting_for_what_is_closed_meanwhile_ends_at_once() -> None:
    child = Child()
    child.hangs = True
    supervisor = Supervisor(child, FAST)
    supervisor.start()
    waiting = asyncio.create_task(supervisor.up(3600))
    await until(lambda: supervisor.pid is not None)
    await supervisor.aclose()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting, PATIENCE_S)


async def test_a_slow_start_that_fails_is_no_time_it_was_well() -> None:
    clock, child = ManualClock(), Child()
    child.hangs = True

    async def slow() -> Launch:
        child.launches += 1
        await clock.sleep(20.0)
        raise OSError("nothing there")

    child.launch = slow
    supervisor = Supervisor(child, Limits(stable_s=10.0, cooldown_s=1.0, start_timeout_s=60), clock)
    supervisor.start()
    for _ in range(2):
        await until(lambda: clock.sleepers == 1)
        await clock.advance(20.0)
    await until(lambda: supervisor.status is Status.COOLDOWN and clock.sleepers == 1)
    await clock.advance(0.9)
    assert child.launches == 2
    await supervisor.aclose()


def masks(status: list[str]) -> dict[str, int]:
    """The signals that are blocked and ignored, by lines of /proc/PID/status."""
    return {line.split(":")[0]: int(line.split()[1], 16) for line in status if line.startswith(("SigBlk", "SigIgn"))}


def everybodys() -> int:
    """The signals ignored here but for Python's own. Whoever runs the tests may ignore some: nohup does."""
    ours = masks(Path("/proc/self/status").read_text().splitlines())["SigIgn"]
    return ours & ~(1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


async def test_signals_are_for_a_child_as_everybody_has_them() -> None:
    for family in (True, False):
        child = Child()
        child.family = family
        heard: list[str] = []

        async def launch(family: bool = family) -> Launch:
            return Launch(("sh", "-c", "grep -E 'Sig(Ign|Blk)' /proc/self/status; sleep 60"), family=family)

        child.launch = launch
        supervisor = Supervisor(child, FAST, on_line=heard.append)
        supervisor.start()
        await until(lambda heard=heard: len(heard) == 2)
        await supervisor.aclose()
        assert masks(heard) == {"SigBlk": 0, "SigIgn": everybodys()}


@pytest.mark.parametrize("end", ["kill", "return"])
def test_a_server_that_ends_without_closing_leaves_nothing(end: str, tmp_path: Path) -> None:
    """Killed, or its loop ended under a supervisor that nobody closed."""
    parent = textwrap.dedent(
        f"""
        import asyncio, os, re, sys
        sys.path[:0] = {[str(Path(__file__).parents[2]), str(Path(__file__).parents[1]), str(Path(__file__).parent)]!r}
        from test_kit_supervisor import Child, Limits
        from joyvl_server.kit.supervisor import Supervisor
        async def main():
            child = Child({DAEMON + DEAF!r})
            child.family = True
            heard = []
            supervisor = Supervisor(child, Limits(stop_timeout_s=60), on_line=heard.append)
            supervisor.start()
            while not (found := re.search(r'daemon (\\d+)', ' '.join(heard))) or 'up' not in ' '.join(heard):
                await asyncio.sleep(0.01)
            # In a file of its own: the log goes to the same output.
            with open({str(tmp_path / "new")!r}, 'w') as file:
                file.write(f'{{supervisor.pid}} {{found[1]}}')
            os.rename({str(tmp_path / "new")!r}, {str(tmp_path / "pids")!r})
            while not os.path.exists({str(tmp_path / "return")!r}):
                await asyncio.sleep(0.01)
        asyncio.run(main())
        """
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.DEVNULL)
    while not (tmp_path / "pids").exists():
        assert process.poll() is None
        time.sleep(0.02)
    keeper, daemon = (tmp_path / "pids").read_text().split()
    family = [psutil.Process(int(pid)) for pid in (keeper, daemon)]
    family += family[0].children(recursive=True)
    if end == "kill":
        process.kill()
    else:
        (tmp_path / "return").touch()
    process.wait(PATIENCE_S)
    assert not psutil.wait_procs(family, timeout=PATIENCE_S)[1]
