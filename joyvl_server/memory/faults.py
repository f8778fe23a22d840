"""A fault of a part: said once when it begins and once when it ends."""

from __future__ import annotations

import structlog

log = structlog.get_logger(__name__)


class PartFault:
    """`words`: the sentence while there is one, else None."""

    def __init__(self, part: str) -> None:
        self.words: str | None = None
        self._part = part

    def begins(self, words: str) -> None:
        if self.words is None:
            log.error("memory fails", part=self._part, error=words)
        self.words = words

    def ends(self) -> None:
        if self.words is not None:
            log.info("memory works again", part=self._part)
        self.words = None
