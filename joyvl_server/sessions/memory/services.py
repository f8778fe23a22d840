"""What every session of a server shares to remember by."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.past.spans import Calendar
from joyvl_server.settings.memory import MemorySettings


@dataclass(frozen=True, slots=True)
class PastServices:
    """`calendar`: the one zone of the server, in which people mean "yesterday evening"."""

    settings: MemorySettings
    calendar: Calendar
