"""Ends an agent that says nothing for too long, or takes more of the machine than it may, and keeps it nice.

Many kernels share the processor out among sessions first (autogroups), where the nice value of a process counts only
within its own one. What an agent starts in new sessions (`setsid`) would take as much as the server; it is made nice
here.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from joyvl_server.agents.acp.program import SESSION_NICE, AgentProgram
from joyvl_server.agents.base import AgentError
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.processes import leash

EVERY_S = 1.0
MB = 1_000_000
MEASURED_SHARE = 10
"""looking at its files takes a tenth of the time at most"""


class Watched(Protocol):
    """`heard_at`: when it last said something; now, while it waits for a person."""

    @property
    def heard_at(self) -> float: ...


async def watch(pid: int, watched: Watched, program: AgentProgram, folder: Path, clock: Clock) -> None:
    """For ever. Raises `AgentError` (silent, too_much). Linux only tells the memory."""
    options, limits = program.options, program.options.limits
    home_before = await asyncio.to_thread(size_of, program.home)
    measure_at = clock.monotonic()
    while True:
        await clock.sleep(EVERY_S)
        if clock.monotonic() - watched.heard_at > options.silent_s:
            raise AgentError(f"It gave no sign of life for {options.silent_s:g} s.", code="silent")
        processes, memory = await asyncio.to_thread(usage, pid)
        if memory > limits.memory_mb * MB:
            raise AgentError(f"It took more than {limits.memory_mb} MB: limits.memory_mb.", code="too_much")
        if processes > limits.processes:
            raise AgentError(f"It started more than {limits.processes} processes.", code="too_much")
        begun = clock.monotonic()
        if begun < measure_at:
            continue
        grown = await asyncio.to_thread(lambda: size_of(folder) + max(0, size_of(program.home) - home_before))
        if grown > limits.disk_mb * MB:
            raise AgentError(f"It wrote more than {limits.disk_mb} MB: limits.disk_mb.", code="too_much")
        ended = clock.monotonic()
        measure_at = ended + MEASURED_SHARE * (ended - begun)  # very many files take long to look at


def usage(pid: int) -> tuple[int, int]:
    """Processes below this one, and the bytes of memory that they take; what they share is counted for each. Makes
    their sessions nice. Blocks."""
    page = os.sysconf("SC_PAGE_SIZE")
    pids = leash.descendants(pid)
    own = _session("self")
    for each in pids:
        group, _, nice = _session(each).partition(" nice ")
        if group and not own.startswith(f"{group} ") and nice != str(SESSION_NICE):
            with suppress(OSError):  # it has ended, or the kernel takes no more of these in a row: the next time
                with open(f"/proc/{each}/autogroup", "w") as file:
                    file.write(str(SESSION_NICE))
    return len(pids), page * sum(_resident(each) for each in pids)


def _session(pid: int | str) -> str:
    """As the kernel shares the processor out: like "/autogroup-7 nice 0"; empty where it does not do so."""
    try:
        with open(f"/proc/{pid}/autogroup") as file:
            return file.read().strip()
    except OSError:
        return ""


def size_of(folder: Path) -> int:
    """Bytes on disk of all that lies in it. What goes away meanwhile does not count; links are not followed."""
    size, left = 0, [str(folder)]
    while left:
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    size += 512 * entry.stat(follow_symlinks=False).st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
    return size


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1])
    except (OSError, ValueError, IndexError):  # it has just ended
        return 0
