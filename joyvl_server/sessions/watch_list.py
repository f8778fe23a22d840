"""A session's watches: kept on disk first, then handed to the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from joyvl_server.core.errors import Conflict, JoyvlError, NotFound
from joyvl_server.core.inputs import Input, WatchesChanged
from joyvl_server.core.watches.kinds import SOUNDS, Kinds, in_order, in_words
from joyvl_server.core.watches.named_kinds import named_kinds
from joyvl_server.core.watches.watches import Watch, WatchSet
from joyvl_server.core.watches.zones import Zone
from joyvl_server.engines.base import Capabilities
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.deps import SessionDeps
from joyvl_server.sessions.sinks.bus import Bus
from joyvl_server.sessions.sinks.messages import WatchAdded, WatchRemoved, WatchUpdated
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.watches import WatchRecord

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
    """the request it is made from"""
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


class WatchedMachine(Protocol):
    """The machine that looks for the watches, and what its engine can do."""

    @property
    def now(self) -> float:
        """Stream seconds."""

    @property
    def capabilities(self) -> Capabilities: ...

    def take(self, input: Input) -> None: ...


class SoundAttention(Protocol):
    """Who listens to the source."""

    def listen_for_sounds(self, wanted: bool) -> None:
        """Alarms, loudness, silence: does any watch fire at them?"""


class WatchList:
    """The watches of one session and the zones they may name. What changes goes to the machine and on the bus.

    Changes come one after the other, so that each sees what the one before has made. Cancelled, a change is kept or
    not; where it is kept, the machine may learn of it only with the next one.
    """

    def __init__(
        self,
        record: SessionRecord,
        deps: SessionDeps,
        bus: Bus,
        machine: WatchedMachine,
        hearing: SoundAttention,
        watches: Iterable[WatchRecord],
        zones: tuple[Zone, ...],
    ) -> None:
        self._session_id = record.id
        self._engine = record.engine
        self._store = deps.watches
        self._clock = deps.clock
        self._bus = bus
        self._machine = machine
        self._hearing = hearing
        self._watches = {w.id: w for w in watches}
        self._zones = zones
        self._changing = asyncio.Lock()
        self._tell_machine()

    @property
    def zones(self) -> tuple[Zone, ...]:
        return self._zones

    @zones.setter
    def zones(self, zones: tuple[Zone, ...]) -> None:
        if zones != self._zones:
            self._zones = zones
            self._tell_machine()

    def all(self) -> list[WatchRecord]:
        return list(self._watches.values())

    def get(self, watch_id: str) -> WatchRecord:
        """Raises `NotFound`."""
        try:
            return self._watches[watch_id]
        except KeyError:
            raise NotFound(f"There is no watch {watch_id} in this session.") from None

    def note(self, record: WatchRecord) -> str | None:
        """What the engine makes of a watch's words, where that is not what people expect."""
        can = self._machine.capabilities
        if can.follows_instructions:
            return None
        at = in_words(record.fires_at if can.reports_kinds else ())
        where = " in its zones" if record.zones else ""
        return f"The engine {self._engine} does not read words: this watch fires {at}{where}."

    async def add(self, draft: WatchDraft) -> WatchRecord:
        """Keep a new watch. Raises `Conflict` (too_many), `JoyvlError` (unknown_zone), `StoreError`."""
        async with self._changing:
            if len(self._watches) >= MAX_WATCHES:
                raise Conflict(f"A session holds at most {MAX_WATCHES} watches; remove one first.", code="too_many")
            check_zones(draft.zones, self._zones)
            record = watch_record(self._session_id, draft, self._clock.wall())
            await self._store.add(record)
            self._watches[record.id] = record
        self._tell_machine()
        self._bus.publish(WatchAdded(record, self.note(record), draft.query_id))
        return record

    async def change(self, watch_id: str, changes: dict[str, Any], *, query_id: str | None = None) -> WatchRecord:
        """`changes`: name, text, zones, threshold, paused, kinds. `query_id`: the request that asked for it.

        Raises `NotFound`, `JoyvlError` (unknown_zone), `StoreError`.
        """
        async with self._changing:
            check_zones(changes.get("zones", ()), self._zones)
            record = replace(self.get(watch_id), **changes)
            record = replace(record, kinds=chosen_kinds(record.text, record.kinds))
            await self._store.update(record)
            self._watches[watch_id] = record
        self._tell_machine()
        self._bus.publish(WatchUpdated(record, self.note(record), query_id))
        return record

    async def remove(self, watch_id: str) -> None:
        """Raises `NotFound`, `StoreError`."""
        async with self._changing:
            self.get(watch_id)
            await self._store.delete(watch_id)
            del self._watches[watch_id]
        self._tell_machine()
        self._bus.publish(WatchRemoved(watch_id))

    def _tell_machine(self) -> None:
        watches = (
            Watch(w.id, w.name, w.text, w.zones, w.threshold, w.paused, w.fires_at) for w in self._watches.values()
        )
        self._machine.take(WatchesChanged(self._machine.now, WatchSet(tuple(watches), self._zones)))
        at_sounds = any(not w.paused and SOUNDS.keys() & w.fires_at for w in self._watches.values())
        self._hearing.listen_for_sounds(at_sounds)
