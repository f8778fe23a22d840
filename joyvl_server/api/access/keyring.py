"""The keys as the running server knows them: in memory, so that no request waits for the disk."""

from __future__ import annotations

import asyncio
import hmac
from typing import Protocol

import structlog

from joyvl_server.api.access.caller import Caller
from joyvl_server.core.errors import StoreError
from joyvl_server.kit.clock import Clock
from joyvl_server.store.access.keys import StoredKeys
from joyvl_server.store.access.records import KeyRecord, digest_of

log = structlog.get_logger(__name__)

AGAIN_S = 0.5
"""Seconds between two looks into the database for a key that is not known."""
NOTED_S = 60.0
"""Seconds between two notes of when keys were used."""


class KeyListener(Protocol):
    def key_added(self, key: KeyRecord) -> None:
        """From now on it opens something: it is new, or was read at the start."""


class Keyring:
    """`load` before use. Keys that another process adds or removes (`joyvl keys`) are known after the next `load`."""

    def __init__(self, keys: StoredKeys, clock: Clock, listener: KeyListener | None = None) -> None:
        self._keys = keys
        self._listener = listener
        self._clock = clock
        self._records: dict[str, KeyRecord] = {}
        self._callers: dict[str, Caller] = {}
        self._used: dict[str, float] = {}
        self._next_look = 0.0
        self._next_note = clock.monotonic() + NOTED_S
        self._failing = False
        self._reading = asyncio.Lock()
        """so that nothing that was read before a key was removed brings it back"""

    async def load(self) -> None:
        """Read them again. Where the disk fails, those that are known stay. Cancelling it changes nothing."""
        async with self._reading:
            await self._load()

    async def _load(self) -> None:
        try:
            found = await self._keys.list()
        except StoreError as error:
            if not self._failing:
                self._failing = True
                log.error("keys cannot be read; those known stay", error=str(error))
            return
        if self._failing:
            self._failing = False
            log.info("keys can be read again")
        self._take(found)

    async def find(self, key: str) -> Caller | None:
        """Whose key this is; one that is not known is looked up in the database first. Cancelling changes nothing."""
        caller = self._find(key)
        if caller is None and self._clock.monotonic() >= self._next_look:
            self._next_look = self._clock.monotonic() + AGAIN_S
            await self.load()
            caller = self._find(key)
        if caller is not None:
            self._used[caller.name] = self._clock.wall()
        return caller

    def over_since(self, key: str) -> float | None:
        """Unix seconds at which this key was over; None where it is not known, or not over."""
        record = self._record(key)
        return record.expires_wall if record is not None and record.is_over(self._clock.wall()) else None

    def of_id(self, key_id: str) -> Caller | None:
        """The caller that a key of this id stands for, None where it is removed or over."""
        wall = self._clock.wall()
        record = next((r for r in self._records.values() if r.id == key_id), None)
        return None if record is None or record.is_over(wall) else self._callers[key_id]

    def has_admin(self) -> bool:
        wall = self._clock.wall()
        return any(key.role == "admin" and not key.is_over(wall) for key in self._records.values())

    def next_end(self) -> float | None:
        """Unix seconds at which the next key is over that was made for long, None where none ends."""
        wall = self._clock.wall()
        ends = (key.expires_wall for key in self._records.values() if key.is_long_lived and not key.is_over(wall))
        return min((end for end in ends if end is not None), default=None)

    def records(self) -> list[KeyRecord]:
        """All keys, oldest first, with the last use that is known."""
        return sorted(self._records.values(), key=lambda key: key.id)

    def used_wall(self, key: KeyRecord) -> float | None:
        return self._used.get(key.id, key.used_wall)

    async def add(self, key: KeyRecord) -> None:
        """See `StoredKeys.add`."""
        await self._keys.add(key)
        await self.load()

    async def remove(self, name: str) -> KeyRecord:
        """See `StoredKeys.remove`; from now on nothing opens with it."""
        async with self._reading:
            removed = await self._keys.remove(name)
            self._drop(removed.digest)
        return removed

    def tidy(self) -> None:
        """End what is over, and note now and then when keys were used."""
        wall = self._clock.wall()
        for record in self._records.values():
            if record.is_over(wall):
                self._callers[record.id].ended.set()
        if self._clock.monotonic() >= self._next_note:
            self.note_use()

    def note_use(self) -> None:
        self._next_note = self._clock.monotonic() + NOTED_S
        at = {key.id: self._used[key.id] for key in self._records.values() if key.id in self._used}
        if at:
            self._keys.used(at)

    def _find(self, key: str) -> Caller | None:
        record = self._record(key)
        return None if record is None or record.is_over(self._clock.wall()) else self._callers[record.id]

    def _record(self, key: str) -> KeyRecord | None:
        digest = digest_of(key)
        record = self._records.get(digest)
        return record if record is not None and hmac.compare_digest(record.digest, digest) else None

    def _take(self, found: list[KeyRecord]) -> None:
        there = {key.digest for key in found}
        for digest in self._records.keys() - there:
            self._drop(digest)
        new = [key for key in found if key.digest not in self._records]
        for key in new:
            self._callers[key.id] = Caller(key.id, key.name, key.role, frozenset(key.cameras), key.expires_wall)
        self._records = {key.digest: key for key in found}
        if self._listener is not None:
            for key in new:
                self._listener.key_added(key)

    def _drop(self, digest: str) -> None:
        record = self._records.pop(digest, None)
        if record is not None:
            self._callers.pop(record.id).ended.set()
            self._used.pop(record.id, None)
