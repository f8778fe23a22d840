"""What a session holds of its engine's scheduler: a seat, and for a while a turn or a slice of background work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import Literal, Protocol

from joyvl_server.core.decisions import Pressure

OnRoom = Callable[[Pressure, int | None], None]
"""The pressure and the tokens a context may have now; None where nothing bounds them. Must not block."""
SliceKind = Literal["warm", "write"]


class Priority(IntEnum):
    """Who goes first when several wait."""

    ANSWER = 0
    """somebody waits for an answer"""
    CALL = 1
    CAMERA = 2
    SLICE = 3
    """work that nobody waits for"""


class GivesSlices(Protocol):
    """The part of the scheduler that slices are asked of."""

    async def slice(self, seat: EngineClient, kind: SliceKind) -> Slice: ...
    def finished(self, seat: EngineClient, kind: SliceKind) -> None: ...
    def sliced(self, slot: Slice, outcome: str, tokens: int) -> None: ...


class GivesTurns(Protocol):
    """The scheduler, as those who hold something of it need it."""

    @property
    def desk(self) -> GivesSlices: ...
    @property
    def away(self) -> bool: ...
    async def turn(self, seat: EngineClient, priority: Priority, due: float, until: float) -> Lease | None: ...
    def urge(self, seat: EngineClient) -> None: ...
    def began(self, grant: Lease) -> None: ...
    def speaks(self, grant: Lease) -> None: ...
    def released(self, grant: Lease, *, failed: bool) -> None: ...
    def worked(self) -> None: ...
    def failed(self, code: str) -> None: ...
    def leave(self, seat: EngineClient) -> None: ...


class Lease:
    """A turn at the engine. `release` it always; `began` when its first request goes out.

    A step that goes on to speak calls `speaks`: its place is free then, though the engine still works for it.
    """

    def __init__(self, scheduler: GivesTurns, seat: EngineClient, due: float, *, counted: bool = True) -> None:
        self.seat = seat
        self.due = due
        self.counted = counted
        self.full = True
        self.image_tokens = 0
        self.began_at: float | None = None
        self.area = 0.0
        """the scheduler's count of requests × seconds when it began"""
        self.speaking = False
        self.released = False
        self._scheduler = scheduler

    def began(self, *, full: bool, image_tokens: int = 0) -> None:
        """The request goes out now; `full` when it brings a full look, not a glance. The full picture has so many
        `image_tokens`, where that is known."""
        if self.began_at is None and not self.released:
            self.full, self.image_tokens = full, image_tokens
            self._scheduler.began(self)

    def speaks(self) -> None:
        """It is scored, and the answer goes on beside the turns of others."""
        if not self.released and not self.speaking:
            self._scheduler.speaks(self)

    def release(self, *, failed: bool = False) -> None:
        """The step is over, or never needed the engine; `failed` ones say nothing about its speed. Idempotent."""
        if not self.released:
            self._scheduler.released(self, failed=failed)


class Slice:
    """A slice that may run now: about `seconds` long, or `tokens` of its kind. End it with `done` or `give_back`."""

    def __init__(
        self, desk: GivesSlices, seat: EngineClient, kind: SliceKind, seconds: float, tokens: int, began_at: float
    ) -> None:
        self.seat = seat
        self.kind = kind
        self.seconds = seconds
        self.tokens = tokens
        self.began_at = began_at
        self.on_cut: Callable[[], object] | None = None
        """called when it must stop: turns wait and it takes too long"""
        self.over = False
        self.ended = asyncio.Event()
        self._desk = desk

    def done(self, tokens: int) -> None:
        """It went through, and this many tokens were really worked on."""
        self._desk.sliced(self, "done", tokens)

    def failed(self) -> None:
        self._desk.sliced(self, "failed", 0)

    def give_back(self) -> None:
        """Nothing was asked of the engine."""
        self._desk.sliced(self, "unused", 0)


class EngineClient:
    """One session's place at its engine. `leave` it at the end."""

    def __init__(
        self,
        scheduler: GivesTurns,
        session_id: str,
        interval_s: float | None,
        on_room: OnRoom,
        on_restart: Callable[[], None],
        number: int,
        most_tokens: int | None,
        since: float,
    ) -> None:
        self.session_id = session_id
        self.interval_s = interval_s
        """None for a seat that never ticks"""
        self.on_room = on_room
        self.on_restart = on_restart
        self.number = number
        self.most_tokens = most_tokens
        self.since = since
        self.told: tuple[Pressure, int | None] = (Pressure.NONE, None)
        self.lost = 0
        """seconds lost in a row because others went first"""
        self.next_due: float | None = None
        self._scheduler = scheduler

    @property
    def pressure(self) -> Pressure:
        return self.told[0]

    @property
    def context_tokens(self) -> int | None:
        return self.told[1]

    @property
    def away(self) -> bool:
        """The engine is known to be away: nothing is asked of it."""
        return self._scheduler.away

    def expect(self, due: float | None) -> None:
        """Its next tick is due then (monotonic): slices of others keep clear of it."""
        self.next_due = due

    async def turn(self, priority: Priority, due: float, until: float) -> Lease | None:
        """Wait for a turn. None when it is `until` before that, or the engine is away.

        At most one turn of a seat waits: a further call takes the place of the one before, which gets None.
        """
        return await self._scheduler.turn(self, priority, due, until)

    def urge(self) -> None:
        """Somebody waits for an answer now: a turn that is waiting goes first."""
        self._scheduler.urge(self)

    def at_once(self, due: float) -> Lease:
        """A turn without waiting and uncounted, for files that wait for us."""
        return Lease(self._scheduler, self, due, counted=False)

    async def slice(self, kind: SliceKind) -> Slice:
        """Wait until a slice of background work may run, however long; cancel the call to give up."""
        return await self._scheduler.desk.slice(self, kind)

    def finished(self, kind: SliceKind) -> None:
        """There is no more work of that kind for now: others may have their slices."""
        self._scheduler.desk.finished(self, kind)

    def worked(self) -> None:
        """A request of this seat succeeded."""
        self._scheduler.worked()

    def failed(self, code: str) -> None:
        """A request of this seat failed, with the error's code."""
        self._scheduler.failed(code)

    def leave(self) -> None:
        self._scheduler.leave(self)
