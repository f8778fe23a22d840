"""Finds processes whatever has become of their parents: by a mark in their environment, which they hand on to all that
they start.

A mark names a place (a folder), the process that owns it, and this one use of it. What carries it is killed at the end
of that use; whose owner was killed itself, by the next one of that place. Linux only: elsewhere nothing is found.
What has emptied its environment is not found either, so `kit.processes.leash` is needed all the same.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

VARIABLE = "JOYVL_TASK"
KILL_S = 5.0
"""A process that the kernel does not let die holds nobody up for longer."""


def owner() -> str:
    """This process, in a word that no other one has as long as the machine runs."""
    return f"{os.getpid()}-{_begun(os.getpid())}"


def owner_lives(word: str) -> bool:
    """Does the process run that said `word` of itself? True where that cannot be seen."""
    pid, _, begun = word.partition("-")
    if not pid.isdecimal() or not os.path.isdir("/proc/self"):
        return True
    return _begun(int(pid)) == begun


def new_mark(place: Path) -> str:
    return f"{_named(place)}.{owner()}.{secrets.token_hex(8)}"


def kill_marked(mark: str) -> bool:
    """SIGKILL to all that carry it, until none is left; False where the kernel could not end them. Blocks."""
    return _kill(lambda found: found == mark)


def kill_abandoned(place: Path) -> bool:
    """The same for every mark of a place whose owner has ended."""
    prefix = f"{_named(place)}."

    def is_abandoned(mark: str) -> bool:
        return mark.startswith(prefix) and not owner_lives(mark.removeprefix(prefix).partition(".")[0])

    return _kill(is_abandoned)


def _kill(wanted: Callable[[str], bool]) -> bool:
    end = time.monotonic() + KILL_S
    while found := list(_carriers(wanted)):
        if time.monotonic() > end:
            return False
        for pid in found:
            _kill_one(pid, wanted)
        time.sleep(0.01)
    return True


def _kill_one(pid: int, wanted: Callable[[str], bool]) -> None:
    """Held by a handle while it is looked at again: its number may be another one's by now."""
    with suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            if wanted(_mark_of(pid)):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _carriers(wanted: Callable[[str], bool]) -> Iterator[int]:
    names = os.listdir("/proc") if os.path.isdir("/proc/self") else []
    for pid in map(int, filter(str.isdecimal, names)):
        if pid != os.getpid() and wanted(_mark_of(pid)):
            yield pid


def _mark_of(pid: int) -> str:
    """Empty where it has none, has ended, or is somebody else's."""
    prefix = f"{VARIABLE}=".encode()
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        for entry in file.read().split(b"\0"):
            if entry.startswith(prefix):
                return entry.removeprefix(prefix).decode("ascii", "replace")
    return ""


def _begun(pid: int) -> str:
    """When it began, in ticks since the machine started; empty where it is not there, or has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
    except (OSError, IndexError):
        return ""


def _named(place: Path) -> str:
    return hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:16]
