"""A list of what a source told, and waiting for the next thing it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fakes.patience import wait_until


class Told(list[Any]):
    """A listener of states, a `StateReporter` and a `MessageSender`. `statuses`, `codes`: what the states said."""

    def __init__(self) -> None:
        super().__init__()
        self.sounds: list[dict[str, Any]] = []
        """messages about sound"""
        self.texts: list[str | None] = []
        """what came over its data channel; None: that is there"""

    def send_text(self, text: str | None) -> None:
        self.texts.append(text)

    def send_audio(self, message: dict[str, Any]) -> None:
        self.sounds.append(message)

    def __call__(self, state: Any) -> None:
        self.append(state)

    def report(self, report: Any) -> None:
        self.append(report)

    @property
    def statuses(self) -> list[str]:
        return [str(report.status) for report in self]

    @property
    def codes(self) -> list[str | None]:
        return [report.error_code for report in self]

    def wait(self, condition: Callable[[Told], bool]) -> None:
        """For threads; async tests use `fakes.patience.until`."""
        wait_until(lambda: condition(self), lambda: f"it never happened; told: {list(self)}")
