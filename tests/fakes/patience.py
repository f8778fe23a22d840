"""How long a test waits for what must come: about as long as pytest lets it run. No test depends on the machine's pace.

What must *not* come is proved by something else that must come first, or by short waits in which nothing may happen.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 240.0
"""Less than pytest's own bound (pyproject.toml), only so that the test fails with words and cleans up."""
LONG_FORM = os.environ.get("JOYVL_LONG") == "1"
"""Measure as long as a claim says, and every variant of it. Without it the tests take a short form of the same."""


def _never() -> str:
    return "it never happened"


async def until(condition: Callable[[], Any], tell: Callable[[], Any] = _never) -> None:
    """Wait on the loop until the condition holds; `tell` says what there was instead."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, tell()
        await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], Any], tell: Callable[[], Any] = _never) -> None:
    """The same for threads."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, tell()
        time.sleep(0.02)
