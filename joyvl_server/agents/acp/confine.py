"""Runs a command that writes nowhere but where it may:
`python -I -S confine.py [--nice N] [--session-nice N] [--file-mb N] [--write PATH …] -- COMMAND …`.

`--file-mb`: no file that it writes gets larger, and a crash leaves no image of its memory.
`--session-nice`: of its session against others, where the kernel shares the processor out among sessions first.
`--write`: a file or a folder with all below it; at least one, or nothing is confined. The kernel holds it (Landlock),
for all that the command starts, and nobody can take it back. Where the kernel has more of it, none of them can send
signals to processes outside either. What they read and whom they reach over the network is not confined.

A program of its own for the reasons that `kit.processes.leash` gives; it becomes the command.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG = 1
PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38
SCOPE_SIGNAL = 2

WRITE_FILE, REFER, TRUNCATE = 1 << 1, 1 << 13, 1 << 14
CHANGE_FOLDERS = sum(1 << bit for bit in range(4, 13))
"""remove and make: folders, files, devices, sockets, pipes, links"""
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts")


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def version() -> int:
    """Of Landlock in this kernel; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)))


def restrict(writable: list[str]) -> None:
    """From now on this thread, and what it starts, writes there only. Raises `OSError`."""
    libc, abi = _libc(), version()
    if not abi:
        raise OSError("this kernel has no Landlock")
    handled = WRITE_FILE | CHANGE_FOLDERS | (REFER if abi >= 2 else 0) | (TRUNCATE if abi >= 3 else 0)
    rules = _Ruleset(handled, 0, SCOPE_SIGNAL if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _done(libc.syscall(CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0))
    for path in (*writable, *DEVICES):
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        allowed = handled if os.path.isdir(path) else handled & (WRITE_FILE | TRUNCATE)
        rule = _Beneath(allowed, place)
        _done(libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0))
        os.close(place)
    _done(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _done(libc.syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def lower_session(nice: int) -> None:
    """Not where the kernel does not do that, or where somebody has just done the same."""
    try:
        with open("/proc/self/autogroup", "w") as session:
            session.write(str(nice))
    except OSError:
        pass


def limit_files(size: int) -> None:
    """Writing beyond it fails: the signal that would kill stays ignored, as this interpreter has it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str]) -> None:
    end = arguments.index("--")
    given, command = arguments[:end], arguments[end + 1 :]
    writable = [value for option, value in zip(given[::2], given[1::2], strict=True) if option == "--write"]
    for option, value in zip(given[::2], given[1::2], strict=True):
        if option == "--nice":
            os.nice(int(value))
        if option == "--session-nice":
            lower_session(int(value))
        if option == "--file-mb":
            limit_files(int(value) * 1_000_000)
    try:
        if writable:
            restrict(writable)
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror or error}", file=sys.stderr, flush=True)
        os._exit(127)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _done(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
