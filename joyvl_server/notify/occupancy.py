"""Which watches count as occupied: those that fired not long ago."""

from __future__ import annotations

from joyvl_server.kit.ids import new_id
from joyvl_server.notify.base import WatchChanged
from joyvl_server.store.alerts.records import AlertRecord


class Occupancy:
    """`occupied_s`: how long a watch counts as occupied after it fired."""

    def __init__(self, occupied_s: float) -> None:
        self._occupied_s = occupied_s
        self._until: dict[tuple[str, str], float] = {}
        """(camera, watch) → monotonic time"""
        self._counts: dict[str, int] = {}
        """alerts → the events in them that were seen"""
        self._since = new_id("alr")
        """alerts with smaller ids are of an earlier run"""

    def __contains__(self, watch_id: object) -> bool:
        return any(watch == watch_id for _, watch in self._until)

    def seen(self, alert: AlertRecord, now: float) -> list[WatchChanged]:
        """An alert is new or has changed: what is occupied now that was not."""
        if alert.kind != "watch_fired" or alert.camera_id is None or alert.id < self._since:
            return []
        if alert.count <= self._counts.get(alert.id, 0):
            return []
        self._counts[alert.id] = alert.count
        while len(self._counts) > 1000:
            del self._counts[next(iter(self._counts))]
        keys = [(alert.camera_id, watch_id) for watch_id in alert.watches]
        began = [
            WatchChanged(camera_id, watch, True) for camera_id, watch in keys if (camera_id, watch) not in self._until
        ]
        self._until |= dict.fromkeys(keys, now + self._occupied_s)
        return began

    def over(self, now: float) -> list[WatchChanged]:
        """What is not occupied any more."""
        ended = [key for key, until in self._until.items() if until <= now]
        for key in ended:
            del self._until[key]
        return [WatchChanged(camera_id, watch_id, False) for camera_id, watch_id in ended]
