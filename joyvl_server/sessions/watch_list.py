"""A session's watches: kept on disk first, then handed to the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from joyvl_server.core.errors import Conflict, JoyvlError, NotFound
from joyvl_server.core.watches.kinds import Kinds, in_order
from joyvl_server.core.watches.named_kinds import named_kinds
from joyvl_server.core.watches.watches import Watch, WatchBook
from joyvl_server.core.watches.zones import Zone
from joyvl_server.kit.ids import new_id
from joyvl_server.store.watches import Watches, WatchRecord

MAX_WATCHES = 64
NAME_FROM_TEXT = 40


@dataclass(frozen=True, slots=True)
class WatchDraft:
    """A watch as asked for; without a name it is called by the start of its text."""

    text: str
    name: str | None = None
    zones: tuple[str, ...] = ()
    threshold: float | None = None
    paused: bool = False
    query_id: str | None = None
    """the sentence it is made from"""
    kinds: Kinds | None = None
    """None: those that its words name"""


def watch_record(session_id: str, draft: WatchDraft, wall: float) -> WatchRecord:
    text = draft.text
    short = text if len(text) <= NAME_FROM_TEXT else text[: NAME_FROM_TEXT - 1].rstrip() + "…"
    return WatchRecord(
        new_id("wch"),
        session_id,
        draft.name or short,
        text,
        draft.zones,
        draft.threshold,
        draft.paused,
        wall,
        draft.query_id,
        chosen_kinds(draft.text, draft.kinds),
    )


def chosen_kinds(text: str, kinds: Kinds | None) -> Kinds | None:
    """None where they are what the words name: then they follow the text when it changes."""
    return None if kinds is None or in_order(kinds) == named_kinds(text) else in_order(kinds)


def check_zones(names: Iterable[str], zones: Iterable[Zone]) -> None:
    """Raises when a watch names a zone that the camera does not have."""
    known = {z.name for z in zones}
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise JoyvlError(f"There is no zone “{name}” here; zones of this camera: {listed}.", code="unknown_zone")


class WatchList:
    """The watches of one session and the zones they may name."""

    def __init__(
        self, session_id: str, store: Watches, watches: Iterable[WatchRecord], zones: tuple[Zone, ...]
    ) -> None:
        self._session_id = session_id
        self._store = store
        self._watches = {w.id: w for w in watches}
        self._changing = asyncio.Lock()
        """one change after the other: each sees what the one before has made"""
        self.zones = zones

    def all(self) -> list[WatchRecord]:
        return list(self._watches.values())

    def book(self) -> WatchBook:
        watches = (
            Watch(w.id, w.name, w.text, w.zones, w.threshold, w.paused, w.fires_at) for w in self._watches.values()
        )
        return WatchBook(tuple(watches), self.zones)

    async def add(self, draft: WatchDraft, wall: float) -> WatchRecord:
        async with self._changing:
            if len(self._watches) >= MAX_WATCHES:
                raise Conflict(f"A session holds at most {MAX_WATCHES} watches; remove one first.", code="too_many")
            check_zones(draft.zones, self.zones)
            record = watch_record(self._session_id, draft, wall)
            await self._store.add(record)
            self._watches[record.id] = record
            return record

    async def change(self, watch_id: str, changes: dict[str, Any]) -> WatchRecord:
        async with self._changing:
            check_zones(changes.get("zones", ()), self.zones)
            record = replace(self._get(watch_id), **changes)
            record = replace(record, kinds=chosen_kinds(record.text, record.kinds))
            await self._store.update(record)
            self._watches[watch_id] = record
            return record

    async def remove(self, watch_id: str) -> None:
        async with self._changing:
            self._get(watch_id)
            await self._store.delete(watch_id)
            del self._watches[watch_id]

    def _get(self, watch_id: str) -> WatchRecord:
        try:
            return self._watches[watch_id]
        except KeyError:
            raise NotFound(f"There is no watch {watch_id} in this session.") from None
