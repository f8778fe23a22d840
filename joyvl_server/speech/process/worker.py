"""What an engine in a child process is given, and what it raises. Plain Python: see `host`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Pieces = Iterator[tuple[dict[str, Any], bytes]]
"""What a method of an engine yields: a JSON object, and bytes (sound)."""


class EngineFault(Exception):
    """It fails with a sentence for people, and a code of `SpeechError`."""

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code


class Request:
    """What is asked: `fields`, and `data` (sound). `cancelled` may become true at any time; `stop` is called then, from
    another thread, to break off what takes long."""

    def __init__(self, head: dict[str, Any], data: bytes) -> None:
        self.id: int = head["id"]
        self.method: str = head["method"]
        self.fields: dict[str, Any] = head["fields"]
        self.data = data
        self.cancelled = False
        self.stop: Callable[[], None] = lambda: None

    def cancel(self) -> None:
        self.cancelled = True
        self.stop()
