"""Runs a command that dies with its parent, as does all that it started:
`python -I -S leash.py PARENT_PID [--alone] COMMAND …`.

A parent that is killed cannot clean up, so the kernel is asked to do it (`PR_SET_PDEATHSIG`, which an exec keeps).
Done here, in a program of its own, because code between fork and exec is not safe in a process that has threads.

The kernel does it for the command alone. So this program stays between the two as the keeper: whatever the command
leaves behind becomes the keeper's child (`PR_SET_CHILD_SUBREAPER`), also what made a session or a group of its own.
When the parent dies, or the command ends, the keeper kills everything that is left, then ends as the command did.
With `--alone` there is no keeper: for commands that start nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SWEEP_S = 5.0
"""A process that the kernel does not let die (a disk that hangs) holds the keeper up for so long."""


def main(parent: int, command: list[str]) -> None:
    alone = command[0] == "--alone"
    # Python ignores these, and an exec keeps what is ignored: the command must find them as everybody does.
    for restored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(restored, signal.SIG_DFL)
    if alone:
        die_with(parent, signal.SIGKILL)
        os.execvp(command[1], command[1:])
    else:
        keep(parent, command)


def die_with(parent: int, by: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone")  # it died before the kernel was asked


def keep(parent: int, command: list[str]) -> None:
    """Run the command as a child. It gets signals to the group itself, so none is handed on."""
    me = os.getpid()

    def told(*_: object) -> None:
        if os.getppid() != parent:
            kill_all(me)

    signal.signal(signal.SIGTERM, told)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    die_with(parent, signal.SIGTERM)
    # A SIGTERM between fork and exec is for the command: it waits until our handler is off.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        die_with(me, signal.SIGKILL)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(127)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    told()  # the parent may have died just before
    status = _status_of(child)
    sweep(me)
    _end_as(os.waitstatus_to_exitcode(status))


def _status_of(child: int) -> int:
    """Wait for the command; what it orphaned is reaped on the way."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def sweep(me: int) -> None:
    """Kill all descendants until there is none: those of a killed process become our children and come next."""
    end = time.monotonic() + SWEEP_S
    while time.monotonic() < end:
        kill_all(me)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def kill_all(of: int) -> None:
    """SIGKILL to every descendant of a process, not to itself."""
    for pid in descendants(of):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def descendants(of: int) -> list[int]:
    """All processes below this one, whatever sessions and groups they are in. Empty where there is no /proc."""
    found: list[int] = []
    left = _children(of)
    while left:
        pid = left.pop()
        found.append(pid)
        left += _children(pid)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:
                children += map(int, file.read().split())
    return children


def _end_as(code: int) -> None:
    if code >= 0:
        sys.exit(code)
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
