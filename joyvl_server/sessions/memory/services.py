"""What every session of a server shares to remember by."""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.past.spans import Calendar
from joyvl_server.sessions.memory.erasing import Eraser
from joyvl_server.settings.memory import MemorySettings


@dataclass(slots=True)
class PastServices:
    """`calendar`: the one zone of the server, in which people mean "yesterday evening". `eraser`: forgets for good."""

    settings: MemorySettings
    calendar: Calendar
    eraser: Eraser | None = None
