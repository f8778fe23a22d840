"""Blocking looks in threads that keep nobody waiting: a disk or a driver that hangs must not keep us from the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from joyvl_server.kit.threads import BoundedThreads

T = TypeVar("T")
P = ParamSpec("P")
LONGEST_S = 4000.0
"""Each check has a shorter limit of its own."""


async def off_loop(look: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """What `look` gives or raises. Cancelled, it leaves the call running; the process can end all the same."""
    return await BoundedThreads("doctor", limit=1, timeout_s=LONGEST_S).run(lambda: look(*given, **named))
