"""Who an engine reports to, in a test: counts what it is told."""

from __future__ import annotations


class EventCounter:
    def __init__(self) -> None:
        self.changes = 0
        self.doubts = 0

    def capabilities_changed(self) -> None:
        self.changes += 1

    def doubted(self) -> None:
        self.doubts += 1
