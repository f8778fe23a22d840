"""The clock on the wall of a time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_FIRST, _LAST = 0.0, 253_370_764_800.0
"""Unix seconds, of the years 1970 and 9999"""


class ZoneCalendar:
    """A `Calendar` of core/past: local time there and back."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def local(self, unix: float) -> datetime:
        moment = datetime.fromtimestamp(min(max(unix, _FIRST), _LAST), UTC)
        return moment.astimezone(self.zone).replace(tzinfo=None, fold=0)

    def unix(self, local: datetime) -> float:
        return local.replace(tzinfo=self.zone).timestamp()
