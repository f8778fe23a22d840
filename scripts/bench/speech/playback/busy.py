"""Processes that take a share of every core, as other work on a small machine does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STEP_S = 0.05
_WORK = """
import os, sys, time
share, step, parent = float(sys.argv[1]), float(sys.argv[2]), os.getppid()
while os.getppid() == parent:
    end = time.perf_counter() + share * step
    while time.perf_counter() < end:
        sum(range(1000))
    time.sleep((1 - share) * step)
"""


@contextmanager
def busy(share: float) -> Iterator[None]:
    """While the block lasts, each core has a process that wants this share of it (0 to 1), 50 ms at a time."""
    command = [sys.executable, "-S", "-c", _WORK, str(share), str(STEP_S)]
    processes = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)] if share else []
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
