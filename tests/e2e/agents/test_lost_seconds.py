"""What the tests that watch a whole session forgive, and what they don't."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from typing import Any

import pytest

from fakes.agents.lost_seconds import STARVED_S, CoreWaits, lost_seconds
from fakes.patience import PATIENCE_S, until


def seconds(count: int, **skipped: str) -> list[dict[str, Any]]:
    """`s7="busy"`: the seventh was."""
    return [{"wall": 1000.0 + second, "skipped": skipped.get(f"s{second}")} for second in range(count)]


def enough(since: float, until: float) -> float:
    return 0.0


def short_of_cores(since: float, until: float) -> float:
    return STARVED_S


def test_a_machine_with_cores_to_spare_loses_one_second_in_fifty() -> None:
    assert lost_seconds(seconds(40, s7="busy"), enough) == []
    assert len(lost_seconds(seconds(40, s7="busy", s20="busy"), enough)) == 2
    assert lost_seconds(seconds(60, s7="busy", s20="no_frame"), enough) == []
    assert lost_seconds(seconds(60, s7="late"), enough) == ["1007.00: late; 0.00 s without a core"]
    assert lost_seconds([*seconds(9), {"wall": 1010.9, "skipped": None}], enough) == []
    assert lost_seconds([*seconds(9), {"wall": 1011.0, "skipped": None}], enough) != []


def test_where_cores_are_short_more_may_be_lost_but_nothing_fails() -> None:
    assert lost_seconds(seconds(20, s3="late", s7="busy", s9="no_frame", s15="late"), short_of_cores) == []
    assert len(lost_seconds(seconds(5, s1="late", s2="late", s3="late"), short_of_cores)) == 3
    assert lost_seconds(seconds(40, s7="error"), short_of_cores) != []
    assert lost_seconds([*seconds(9), {"wall": 1012.9, "skipped": None}], short_of_cores) == []
    assert lost_seconds([*seconds(9), {"wall": 1013.0, "skipped": None}], short_of_cores) != []


def test_only_those_seconds_are_forgiven_in_which_cores_were_short() -> None:
    def early(since: float, until: float) -> float:
        return STARVED_S if until < 1010 else 0.0

    assert lost_seconds(seconds(40, s3="late", s5="busy", s7="busy", s30="busy"), early) == []
    assert lost_seconds(seconds(40, s3="late", s5="busy", s7="busy", s30="late"), early) != []
    assert lost_seconds(seconds(40, s3="late", s28="busy", s30="busy"), early) != []


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long threads wait")
async def test_threads_that_share_a_core_wait_for_it() -> None:
    core, stop = min(os.sched_getaffinity(0)), threading.Event()
    end = time.monotonic() + PATIENCE_S
    spins = f"import os, time; os.sched_setaffinity(0, {{{core}}})\nwhile time.monotonic() < {end}: pass"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", spins)
    waits = CoreWaits(lambda: [other.pid])

    def spin() -> None:
        os.sched_setaffinity(0, {core})
        while not stop.wait(0.0001):
            sum(range(1000))

    watching = asyncio.create_task(waits.watch())
    spinning = threading.Thread(target=spin)
    try:
        spinning.start()
        await until(lambda: waits.waited(0, time.time()) >= STARVED_S)
        assert waits.waited(0, time.time() - PATIENCE_S) == 0.0
    finally:
        stop.set()
        spinning.join()
        other.kill()
        await other.wait()
        watching.cancel()
        await asyncio.wait({watching})
