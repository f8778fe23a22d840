"""Ends an agent that says nothing for too long, or takes more of the machine than it may, and keeps it nice.

Many kernels share the processor out among sessions first (autogroups), where the nice value of a process counts only
within its own one. What an agent starts in new sessions (`setsid`) would take as much as the server; it is made nice
here.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Protocol

from joyvl_server.agents.acp.options import AcpOptions
from joyvl_server.agents.acp.program import SESSION_NICE
from joyvl_server.agents.base import AgentError
from joyvl_server.kit import leash
from joyvl_server.kit.clock import Clock

EVERY_S = 1.0
MB = 1_000_000


class Watched(Protocol):
    """`heard_at`: when it last said something; now, while it waits for a person."""

    @property
    def heard_at(self) -> float: ...


async def watch(pid: int, watched: Watched, options: AcpOptions, clock: Clock) -> None:
    """For ever. Raises `AgentError` (silent, too_much). Linux only tells the memory."""
    limits = options.limits
    while True:
        await clock.sleep(EVERY_S)
        if clock.monotonic() - watched.heard_at > options.silent_s:
            raise AgentError(f"It gave no sign of life for {options.silent_s:g} s.", code="silent")
        processes, memory = await asyncio.to_thread(usage, pid)
        if memory > limits.memory_mb * MB:
            raise AgentError(f"It took more than {limits.memory_mb} MB: limits.memory_mb.", code="too_much")
        if processes > limits.processes:
            raise AgentError(f"It started more than {limits.processes} processes.", code="too_much")


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


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1])
    except (OSError, ValueError, IndexError):  # it has just ended
        return 0
