"""How much the timeline's files may take: the oldest go first, those that somebody keeps stay."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from joyvl_server.kit.clock import Clock
from joyvl_server.kit.threads import BoundedThreads
from joyvl_server.settings import TimelineSettings
from joyvl_server.store.events import Events
from joyvl_server.timeline.day_folders import DayFolders, StoredFile

log = structlog.get_logger(__name__)

DAY_S = 86_400.0
FILL = 0.95
"""Beyond the quota files go until this share of it is left, so that it is not looked for old files all the time."""
ASKED = 500
"""Events asked about at once."""
YOUNG_S = 600.0
"""A file without event may be younger than this: the event is on its way into the store."""
GIVEN_UP_S = 3600.0
"""What is not finished after so long, nobody waits for any more."""
STEADY_S = 600.0
"""Nothing goes because of its age before the clock has run evenly for so long: after a jump all would look old."""
JUMP_S = 60.0
AGAIN_S = 300.0
"""Seconds until all folders are looked through once more where nothing is left that may go."""


class FileQuota:
    """`used`: bytes of all files, known after the first `sweep`."""

    def __init__(self, folders: DayFolders, settings: TimelineSettings, events: Events, clock: Clock) -> None:
        self.used = 0
        self._folders = folders
        self.change(settings)
        self._events = events
        self._clock = clock
        self._ahead = clock.wall() - clock.monotonic()
        self._steady_since = clock.monotonic()
        self._aged_at = float("-inf")
        self._told = False
        self._looked_at = float("-inf")

    def change(self, settings: TimelineSettings) -> None:
        """How much may be kept, and for how long, from the next look on."""
        self._max_bytes = round(settings.max_gb * 1e9)
        self._max_age_s = settings.days * DAY_S
        self._days = settings.days
        self._gb = settings.max_gb
        self._told = False

    async def sweep(self, threads: BoundedThreads) -> None:
        """Measure what there is, and remove files whose event is gone. Raises `OSError`, `StoreError`, `TimeoutError`.

        Cancelled, it may leave some; the next sweep finds them.
        """
        used = 0
        await threads.run(lambda: self._folders.clear_unfinished(self._clock.wall() - GIVEN_UP_S))
        for day in await threads.run(self._folders.days):
            files = await threads.run(lambda day=day: list(self._folders.files(day)))  # type: ignore[misc]
            known = await self._known(files)
            young = self._clock.wall() - YOUNG_S
            lost = [file.path for file in files if file.event_id not in known and file.written_wall < young]
            used += sum(file.bytes for file in files)
            if lost:
                used -= await threads.run(lambda lost=lost: self._folders.remove(lost))  # type: ignore[misc]
                log.info("files without event are removed", day=day.name, files=len(lost))
        self.used = used

    async def keep_to(self, threads: BoundedThreads) -> None:
        """Remove what is too old or too much. Raises `OSError`, `StoreError`, `TimeoutError`.

        Cancelled, it may have removed some, which their events then say at the next look.
        """
        now = self._clock.monotonic()
        self._watch_clock(now)
        old = now - self._steady_since >= STEADY_S and now - self._aged_at >= min(3600.0, self._max_age_s / 10)
        if old:
            self._aged_at = now
        full = self._told and now - self._looked_at < AGAIN_S
        if not old and (self.used <= self._max_bytes or full):
            return
        self._looked_at = now
        oldest = self._clock.wall() - self._max_age_s if old else float("-inf")
        goal = self._max_bytes * FILL if self.used > self._max_bytes else float("inf")
        for day in await threads.run(self._folders.days):
            files = await threads.run(lambda day=day: list(self._folders.files(day)))  # type: ignore[misc]
            if old and files and all(file.written_wall >= oldest for file in files) and self.used <= goal:
                return
            await self._thin_out(threads, files, oldest, goal)
        if self.used > self._max_bytes and not self._told:
            log.warning("what is kept of the timeline is larger than its quota", bytes=self.used, max=self._max_bytes)
            self._told = True
        elif self.used <= self._max_bytes:
            self._told = False

    async def _thin_out(self, threads: BoundedThreads, files: Sequence[StoredFile], oldest: float, goal: float) -> None:
        known = await self._known(files)
        beyond = self.used - goal
        going: dict[str, list[StoredFile]] = {"age": [], "size": []}
        for file in files:
            if known.get(file.event_id):
                continue
            if file.written_wall < oldest:
                going["age"].append(file)
                beyond -= file.bytes
            elif beyond > 0:
                going["size"].append(file)
                beyond -= file.bytes
        reasons = {
            "age": f"Clips are kept for {self._days:g} days (timeline.days).",
            "size": f"Pictures and clips may take {self._gb:g} GB (timeline.max_gb); this was one of the oldest.",
        }
        for why, chosen in going.items():
            if chosen:
                paths = [file.path for file in chosen]
                self.used -= await threads.run(lambda paths=paths: self._folders.remove(paths))  # type: ignore[misc]
                self._gone(chosen, reasons[why])

    def _gone(self, files: Sequence[StoredFile], reason: str) -> None:
        clips = [file.event_id for file in files if file.path.suffix == ".mp4"]
        self._events.clips_gone(clips, reason)
        self._events.pictures_gone([file.event_id for file in files if file.path.suffix == ".jpg"])

    async def _known(self, files: Sequence[StoredFile]) -> dict[str, bool]:
        known: dict[str, bool] = {}
        ids = list(dict.fromkeys(file.event_id for file in files))
        for start in range(0, len(ids), ASKED):
            known |= await self._events.known(ids[start : start + ASKED])
        return known

    def _watch_clock(self, now: float) -> None:
        ahead = self._clock.wall() - now
        if abs(ahead - self._ahead) > JUMP_S:
            self._steady_since = now
        self._ahead = ahead
