"""Which seconds of a session that a test watches are lost, and for which of them the machine is to blame."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PULSE_S = 0.25
KEPT = 4 * 3600
"""pulses: an hour's"""
STARVED_S = 0.5
"""so long all threads together stood ready without a core, around a second that was lost; at rest it is some ms"""
STANDSTILLS = ("no_frame", "busy")
"""the media worker or the scripted model stood still for a moment"""
LONGEST_S, LONGEST_STARVED_S = 3.0, 5.0
SHARE, SHARE_STARVED = 1 / 50, 1 / 5

Waited = Callable[[float, float], float]
"""Seconds that threads waited for a core between two times of Unix."""


class CoreWaits:
    """How long our threads, and those of the processes `others` names by id, wait for a core: the kernel counts that.

    A loop that is blocked, or a process that computes, waits for none. Elsewhere than on Linux nobody ever waits.
    """

    def __init__(self, others: Callable[[], Iterable[int]]) -> None:
        self._others = others
        self._pulses: deque[tuple[float, float]] = deque(maxlen=KEPT)
        """until when (Unix seconds), and the sum since the one before"""
        self._known: dict[Path, int] = {}

    async def watch(self) -> None:
        """Until it is cancelled."""
        self._known = self._read()
        while True:
            await asyncio.sleep(PULSE_S)
            now = self._read()
            waited_ns = sum(waited - self._known.get(thread, 0) for thread, waited in now.items())
            self._known = now
            self._pulses.append((time.time(), waited_ns / 1e9))

    def waited(self, since: float, until: float) -> float:
        """See `Waited`; to within a pulse."""
        return sum(waited for at, waited in self._pulses if since <= at <= until + PULSE_S)

    def _read(self) -> dict[Path, int]:
        found: dict[Path, int] = {}
        for pid in (os.getpid(), *self._others()):
            with suppress(OSError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    with suppress(OSError):  # it has ended
                        found[thread] = int((thread / "schedstat").read_text().split()[1])
        return found


def media_workers() -> list[int]:
    """Process ids of ours."""
    return [pid for pid in _children() if b"joyvl_server.ingest.worker.process" in _arguments(pid)]


def _children() -> list[int]:
    with suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()]
    return []


@cache
def _arguments(pid: int) -> bytes:
    """Read once: the kernel may let us wait for the process that it asks."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@dataclass(frozen=True, slots=True)
class Lost:
    begin: float
    end: float
    reason: str
    """why it was skipped; "" for a gap between two ticks into which a whole second fits"""
    waited: float

    def __str__(self) -> str:
        what = self.reason or f"nothing for {self.end - self.begin:.2f} s"
        return f"{self.end:.2f}: {what}; {self.waited:.2f} s without a core"

    @property
    def starved(self) -> bool:
        return self.waited >= STARVED_S

    @property
    def bearable(self) -> bool:
        """Nothing failed, and it was not away for long."""
        if self.reason:
            return self.reason in STANDSTILLS or (self.starved and self.reason == "late")
        return self.end - self.begin < (LONGEST_STARVED_S if self.starved else LONGEST_S)


def lost_seconds(ticks: Sequence[dict[str, Any]], waited: Waited) -> list[str]:
    """What was lost, in words; nothing where all of it is bearable and little.

    One second in fifty may go by without a new picture or an answer. Of those around which threads waited for a core it
    may be one in five, and one that begins late. Nothing may fail there either, or stay away for longer.
    """
    walls = [tick["wall"] for tick in ticks]
    gaps = [(then, now) for then, now in zip(walls, walls[1:], strict=False) if now - then >= 2.0]
    skips = [(tick["wall"] - 1, tick["wall"], tick["skipped"]) for tick in ticks if tick["skipped"] is not None]
    lost = [
        Lost(begin, end, why, waited(begin - 1, end + 1)) for begin, end, why in [*skips, *((*gap, "") for gap in gaps)]
    ]
    few = _most(lost) <= 1 + len(ticks) * SHARE_STARVED
    fewer = _most([one for one in lost if not one.starved]) <= 1 + len(ticks) * SHARE
    return [] if few and fewer and all(one.bearable for one in lost) else [str(one) for one in lost]


def _most(lost: Sequence[Lost]) -> int:
    """A second that was skipped may leave a gap as well."""
    skips = sum(bool(one.reason) for one in lost)
    return max(skips, len(lost) - skips)
