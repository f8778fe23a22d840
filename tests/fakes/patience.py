"""How long a test waits for what must come: about as long as pytest lets it run. No test depends on the machine's pace.

What must *not* come is proved by something else that must come first, or by short waits in which nothing may happen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 240.0
"""Less than pytest's own bound (pyproject.toml), only so that the test fails with words and cleans up."""


async def until(condition: Callable[[], Any]) -> None:
    """Wait on the loop until the condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], Any], tell: Callable[[], Any] = lambda: "it never happened") -> None:
    """The same for threads; `tell` says what there was instead."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, tell()
        time.sleep(0.02)
