"""Runs a command that dies with its parent: `python -I -S leash.py PARENT_PID [--family] COMMAND …`.

A parent that is killed cannot clean up, so the kernel is asked to do it (`PR_SET_PDEATHSIG`, which an exec keeps).
Done here, in a program of its own, because code between fork and exec is not safe in a process that has threads.

The kernel does it for the command alone. With `--family` this program stays between the two: when the parent dies, or
the command does, it ends what the command has left running, then ends as the command did.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    family = command[0] == "--family"
    die_with(parent, signal.SIGTERM if family else signal.SIGKILL)
    if family:
        keep(parent, command[1:])
    else:
        os.execvp(command[0], command)


def die_with(parent: int, by: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        sys.exit("the parent is gone")  # it died before the kernel was asked


def keep(parent: int, command: list[str]) -> None:
    """Run the command as a child. It gets signals to the group itself, so none is handed on."""

    def told(*_: object) -> None:
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGTERM, told)
    told()  # the parent may have died just before
    me = os.getpid()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with(me, signal.SIGKILL)
        os.execvp(command[0], command)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    end_others(me)
    if code >= 0:
        sys.exit(code)
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(me, -code)


def end_others(me: int) -> None:
    """What is left of the group would hold memory, and the pipe by which the parent hears of the end."""
    if sys.platform != "linux":
        return
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(entry) != me and os.getpgid(int(entry)) == os.getpgrp():
                os.kill(int(entry), signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
