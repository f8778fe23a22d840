"""A slice of background work: when it may run, and how long it may be. Pure; times are given.

Slices that hold an engine up (warming, and writing where it does one thing at a time) fill the pauses between ticks.
A slice that waits is owed `SHARE` of the time that passes meanwhile, so that it also runs on an engine without pauses.
Warming goes before writing: the next chunk begins at a known time, and nobody waits for a text. Where requests go side
by side, writing runs with the ticks of others, since a token now and then holds up nobody; it only keeps clear of its
own session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")

SliceKind = Literal["warm", "write"]

SLICE_S = 0.34
"""the usual length"""
BESIDE_S = 0.7
"""of a slice that goes alongside the ticks of others"""
SHORTEST_S = 0.15
"""of a pause that is worth a slice: a request costs something by itself"""
CLEAR_S = 0.02
"""kept between the end of a slice and the next tick"""
SHARE = 0.5
OWED_SLICE_S = 0.2
"""with as much owed, a slice may meet ticks, as long as they are all scored in time after it"""
MOST_OWED_S = 1.0
OVERDUE_S, OVERDUE_SLICE_S = 4.0, 0.15
"""when none ran for so long, one of that length goes before the steps that wait"""


class SliceClient(Protocol):
    """Who asks for slices; see `EngineClient`."""

    @property
    def session_id(self) -> str: ...
    @property
    def next_due(self) -> float | None: ...


class SliceOwner(Protocol):
    """Who handed the slice out."""

    def sliced(self, slice: Slice, outcome: str, tokens: int) -> None: ...


class SliceCut(Exception):
    """A slice was cut off, because steps waited for it; or it could not begin."""


class Slice:
    """A slice that may run now: about `seconds` long, or `tokens` of its kind. End it with `done`, `failed` or
    `give_back`."""

    def __init__(
        self, owner: SliceOwner, client: SliceClient, kind: SliceKind, seconds: float, tokens: int, began_at: float
    ) -> None:
        self.client = client
        self.kind = kind
        self.seconds = seconds
        self.tokens = tokens
        self.began_at = began_at
        self.over = False
        self.ended = asyncio.Event()
        self._owner = owner
        self._task: asyncio.Task[object] | None = None

    async def result(self, task: asyncio.Task[T]) -> T:
        """The result of the task that works in this slice. Raises `SliceCut` where the slice was cut off meanwhile.

        A caller that is cancelled cancels the task.
        """
        self._task = task
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise SliceCut from None

    def cut(self) -> None:
        """It must stop: steps wait and it takes too long."""
        if self._task is not None:
            self._task.cancel()

    def done(self, tokens: int) -> None:
        """It went through, and this many tokens were really worked on."""
        self._owner.sliced(self, "done", tokens)

    def failed(self) -> None:
        self._owner.sliced(self, "failed", 0)

    def give_back(self) -> None:
        """Nothing was asked of the engine."""
        self._owner.sliced(self, "unused", 0)


class SlicePolicy:
    """The slices that wait, at most one of a client and kind, and the time they are owed.

    Who began to ask first gets all it needs before the next one: half a chunk that is warm serves nobody.
    """

    def __init__(self) -> None:
        self.wanted: dict[tuple[SliceClient, SliceKind], asyncio.Future[Slice]] = {}
        self._since: dict[tuple[SliceClient, SliceKind], int] = {}
        self._asked = 0
        self._owed = 0.0
        self._counted_at = self._ran_at = 0.0

    def want(self, now: float, client: SliceClient, kind: SliceKind, granted: asyncio.Future[Slice]) -> None:
        self._count(now)
        if not self.wanted and not self._since:
            self._ran_at = now
        self._asked += 1
        self._since.setdefault((client, kind), self._asked)
        self.wanted[client, kind] = granted

    def forget(self, now: float, client: SliceClient, kind: SliceKind | None = None) -> None:
        """It waits no longer, and has no more of that work."""
        self._count(now)
        for key in [k for k in self._since if k[0] is client and kind in (None, k[1])]:
            del self._since[key]
            self.wanted.pop(key, None)

    def take(self, client: SliceClient, kind: SliceKind) -> asyncio.Future[Slice]:
        return self.wanted.pop((client, kind))

    def first(self, kinds: tuple[SliceKind, ...]) -> tuple[SliceClient, SliceKind] | None:
        """The one that began first, of the first of these kinds that any waits for."""
        for kind in kinds:
            waiting = [key for key in self.wanted if key[1] == kind]
            if waiting:
                return min(waiting, key=self._since.__getitem__)
        return None

    def beside(self, now: float, engaged: Set[SliceClient]) -> tuple[SliceClient, float] | None:
        """Who may write with the ticks of others, and for how many seconds; none that is `engaged` with its own."""
        for key in sorted(self.wanted, key=self._since.__getitem__):
            client, kind = key
            if kind == "write" and client not in engaged:
                pause = BESIDE_S if client.next_due is None else min(BESIDE_S, client.next_due - now - CLEAR_S)
                if pause >= SHORTEST_S:
                    return client, pause
        return None

    def length(self, now: float, *, quiet: bool, free: bool, next_due: float | None, slack: float) -> float | None:
        """Seconds a slice may take now, or None.

        `quiet`: no step waits or runs, none is overdue. `free`: there is a place. `next_due`: of any client, None where
        nobody ticks. `slack`: so long may the ticks that come be held up and are still in time.
        """
        self._count(now)
        if quiet:
            pause = SLICE_S if next_due is None else min(SLICE_S, next_due - now - CLEAR_S)
            owed = min(SLICE_S, slack) if self._owed >= OWED_SLICE_S else 0.0
            length = max(owed, pause)
            if length >= SHORTEST_S:
                return length
        return OVERDUE_SLICE_S if free and now - self._ran_at >= OVERDUE_S else None

    def idle(self, now: float) -> None:
        """Nothing that holds the engine up waits: nothing is owed for this time."""
        self._counted_at = self._ran_at = now

    def spent(self, now: float, seconds: float) -> None:
        """A slice took so long."""
        self._count(now)
        self._owed = max(0.0, self._owed - seconds)
        self._ran_at = now

    def _count(self, now: float) -> None:
        if self.wanted:
            self._owed = min(MOST_OWED_S, self._owed + SHARE * (now - self._counted_at))
        self._counted_at = now
