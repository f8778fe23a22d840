"""Runs a command that dies with its parent: `python -I -S leash.py PARENT_PID COMMAND …`.

A parent that is killed cannot clean up, so the kernel is asked to do it (`PR_SET_PDEATHSIG`, which an exec keeps).
Done here, in a program of its own, because code between fork and exec is not safe in a process that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent is gone")  # it died before the kernel was asked
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
