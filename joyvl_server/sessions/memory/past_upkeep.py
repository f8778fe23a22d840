"""What becomes of the past while the server runs: forgotten for good, put into words day by day, let go with age."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from joyvl_server.agents.queue import TaskQueue
from joyvl_server.core.errors import StoreError
from joyvl_server.kit.clock import Clock
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.sessions.memory.digests import DayDigests, DigestRecords, WritingSession
from joyvl_server.sessions.memory.erasing import ErasedRecords, Eraser, RunningSession
from joyvl_server.settings import Settings
from joyvl_server.store.digests import Digests
from joyvl_server.store.store import Store
from joyvl_server.timeline.timeline import Timeline

log = structlog.get_logger(__name__)

DAY_S = 86_400.0
LOOK_S = 600.0
"""Seconds between two looks for memories that are too old or too many."""
STEADY_S = 600.0
"""Nothing goes because of its age before the clock has run evenly for so long: after a jump all would look old."""
JUMP_S = 60.0


class HouseSession(RunningSession, WritingSession, Protocol):
    """See both."""


class House(Protocol):
    """The cameras and sessions of this server."""

    def camera_days(self) -> Mapping[str, float]:
        """See `DigestedCameras`."""

    def sessions(self) -> Sequence[HouseSession]: ...


class PastUpkeep:
    """`start` before use, `aclose` before the store is closed."""

    def __init__(
        self, settings: Settings, store: Store, memory: LongTermMemory, timeline: Timeline, tasks: TaskQueue,
        house: House, clock: Clock,
    ) -> None:  # fmt: skip
        self.eraser = Eraser(ErasedRecords(store, memory, timeline, tasks, house), clock)
        records = DigestRecords(Digests(store.main), timeline.events, memory.memories)
        self.digests = DayDigests(records, house, settings.zone(), settings.sessions.language, clock)
        self.retention = MemoryRetention(memory, settings.memory.days, settings.memory.max_memories, clock)

    def start(self) -> None:
        """Go on with what an earlier run has not finished. Returns at once."""
        self.eraser.start()
        self.digests.start()
        self.retention.start()

    async def aclose(self) -> None:
        """What is not done goes on at the next start. Idempotent."""
        await self.retention.aclose()
        await self.digests.aclose()
        await self.eraser.aclose()


class MemoryRetention:
    """Lets go of memories older than `days`, and of the oldest beyond `most`; kept ones and facts stay."""

    def __init__(self, memory: LongTermMemory, days: float | None, most: int, clock: Clock) -> None:
        self._memory = memory
        self._days = days
        self._most = most
        self._clock = clock
        self._ahead = clock.wall() - clock.monotonic()
        self._steady_since = clock.monotonic()
        self._running: asyncio.Task[None] | None = None

    def change(self, days: float | None, most: int) -> None:
        """From the next look on."""
        self._days, self._most = days, most

    def start(self) -> None:
        """Returns at once."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="old memories go")

    async def aclose(self) -> None:
        """Idempotent."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def trim(self) -> int:
        """How many went. Raises `StoreError`. Cancelled, some may be gone."""
        now = self._clock.monotonic()
        ahead = self._clock.wall() - now
        if abs(ahead - self._ahead) > JUMP_S:
            self._steady_since = now
        self._ahead = ahead
        steady = now - self._steady_since >= STEADY_S
        before = None if self._days is None or not steady else self._clock.wall() - self._days * DAY_S
        return len(self._memory.forgotten(await self._memory.memories.trim(before=before, most=self._most)))

    async def _run(self) -> None:
        while True:
            try:
                if count := await self.trim():
                    log.info("old memories are gone", memories=count)
            except StoreError as error:
                log.warning("old memories cannot be deleted now", error=str(error))
            except Exception:  # the edge of this task
                log.exception("old memories cannot be deleted now")
            await self._clock.sleep(LOOK_S)
