"""Sightings that wait to be said: one a tick, the others a little later, never for long."""

from __future__ import annotations

from joyvl_server.core.watches.kinds import Kinds, wants
from joyvl_server.engines.motion.sighting import Sighting

KEEP_S = 3.0
"""News that is older than this is not said any more, in seconds."""
MOST = 8
"""So many wait; of more, the least sure ones are dropped."""
DOUBT = 0.2
"""What is less sure than this is not even offered."""
RANK = {"changed": 0, "leave": 2, "still": 2}
"""What is said first: a change of the scene, then arrivals and the rest, then these."""


class SightingQueue:
    def __init__(self) -> None:
        self._waiting: dict[str, Sighting] = {}
        self._declined: set[str] = set()

    def add(self, sightings: list[Sighting], t: float) -> None:
        """A sighting with a known key replaces the older one; one that is not sure at all takes it back."""
        for sighting in sightings:
            if sighting.value >= DOUBT:
                self._waiting[sighting.key] = sighting
            else:
                self._waiting.pop(sighting.key, None)
        fresh = [s for s in self._waiting.values() if t - s.t <= KEEP_S]
        fresh.sort(key=lambda s: s.value, reverse=True)
        self._waiting = {s.key: s for s in fresh[:MOST]}
        self._declined &= self._waiting.keys()

    def best(self, kinds: Kinds = ()) -> Sighting | None:
        """What to offer now: of `kinds` (empty: any) before others, what was not declined yet, urgent kinds first,
        then the oldest, then the surest. What nobody wants must not keep back what somebody waits for."""
        return min(
            self._waiting.values(),
            key=lambda s: (not wants(kinds, s.kind), s.key in self._declined, RANK.get(s.kind, 1), s.t, -s.value),
            default=None,
        )

    def done(self, key: str) -> None:
        self._waiting.pop(key, None)
        self._declined.discard(key)

    def declined(self, key: str) -> None:
        """It was not said: others go first, it may be offered again while it is fresh."""
        if key in self._waiting:
            self._declined.add(key)
