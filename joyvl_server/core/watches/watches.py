"""Standing instructions. A session holds many; a query never replaces one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from joyvl_server.core.watches.kinds import Kinds, in_order, wants
from joyvl_server.core.watches.zones import Box, Zone, zones_at


@dataclass(frozen=True, slots=True)
class Watch:
    """A standing instruction: "tell me when someone falls".

    `zones` are names of the camera's zones; empty means the whole picture. `threshold` (0 to 1) overrides the
    session's; a paused watch is kept but neither shown to the model nor fired. `kinds` are what it fires at, where the
    engine says what kind of thing happened; empty means any.
    """

    id: str
    name: str
    text: str
    zones: tuple[str, ...] = ()
    threshold: float | None = None
    paused: bool = False
    kinds: Kinds = ()


@dataclass(frozen=True, slots=True)
class WatchSet:
    """The watches of one session and the zones of its camera, as one immutable value. What follows is found once."""

    watches: tuple[Watch, ...] = ()
    zones: tuple[Zone, ...] = ()
    active: tuple[Watch, ...] = field(init=False, repr=False, compare=False, metadata={"logged": False})
    kinds: Kinds = field(init=False, repr=False, compare=False, metadata={"logged": False})
    """the kinds that some active watch wants; empty: any"""

    def __post_init__(self) -> None:
        active = tuple(w for w in self.watches if not w.paused)
        kinds = in_order(kind for w in active for kind in w.kinds) if all(w.kinds for w in active) else ()
        object.__setattr__(self, "active", active)
        object.__setattr__(self, "kinds", kinds)

    def threshold(self, default: float) -> float:
        """The lowest threshold of the active watches: one score serves them all, so the most eager one decides."""
        return self.threshold_of([w.id for w in self.active], default)

    def threshold_of(self, ids: Collection[str], default: float) -> float:
        """The lowest threshold of those active watches; `default` for those without their own, and where none is."""
        own = (default if w.threshold is None else w.threshold for w in self.active if w.id in ids)
        return min(own, default=default)

    def names(self, ids: Collection[str]) -> list[str]:
        return [w.name for w in self.watches if w.id in ids]

    def looking_at(self, box: Box | None) -> tuple[Watch, ...]:
        """Active watches that look at the place `box`; without a box (the whole view) all of them."""
        if box is None:
            return self.active
        here = set(zones_at(box, self.zones))
        return tuple(w for w in self.active if not w.zones or here.intersection(w.zones))

    def matching(self, box: Box | None, kind: str | None) -> tuple[Watch, ...]:
        """Active watches that a happening of this kind at `box` concerns. Without a kind the words alone decide."""
        return tuple(w for w in self.looking_at(box) if wants(w.kinds, kind))

    def changes_since(self, earlier: WatchSet) -> tuple[tuple[Watch, ...], tuple[Watch, ...]]:
        """(watches now active that were not, or read or look elsewhere; watches active before that are not now)."""
        before = {w.id: (w.text, w.zones) for w in earlier.active}
        now = {w.id for w in self.active}
        begun = tuple(w for w in self.active if before.get(w.id) != (w.text, w.zones))
        ended = tuple(w for w in earlier.active if w.id not in now)
        return begun, ended


def watch_set(watches: Iterable[Watch] = (), zones: Iterable[Zone] = ()) -> WatchSet:
    return WatchSet(tuple(watches), tuple(zones))
