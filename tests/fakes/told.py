"""A list of what a source told, and waiting for the next thing it tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any


class Told(list[Any]):
    """A listener of states and a `StateReporter`. `statuses`, `codes`: what they said, in order."""

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

    def wait(self, condition: Callable[[Told], bool], timeout_s: float = 10.0) -> None:
        """For threads; async tests use `until`."""
        end = time.monotonic() + timeout_s
        while not condition(self):
            assert time.monotonic() < end, f"it did not happen in time; told: {list(self)}"
            time.sleep(0.01)


async def until(condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
    """Wait on the loop until the condition holds; the test fails after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)
