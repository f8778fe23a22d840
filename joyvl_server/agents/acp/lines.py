"""What an agent prints, cut into messages: one JSON object a line, of bounded length and number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from joyvl_server.agents.acp.options import AcpLimits
from joyvl_server.agents.base import AgentError

MOST_STRAY = 100
"""lines that are no messages: programs print warnings where they should not"""
MB = 1_000_000


class MessageLines:
    """`feed` it pieces as they come."""

    def __init__(self, limits: AcpLimits) -> None:
        self.last_stray = ""
        self._limits = limits
        self._rest = bytearray()
        self._bytes = self._messages = self._stray = 0

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are whole now. Raises `AgentError` (too_much, protocol)."""
        self.count(len(piece))
        self._rest += piece
        start = 0
        while (end := self._rest.find(b"\n", max(start, len(self._rest) - len(piece)))) >= 0:
            line = bytes(self._rest[start:end]).strip()
            start = end + 1
            self._check_length(len(line))
            if line and (message := self._message(line)) is not None:
                yield message
        del self._rest[:start]
        self._check_length(len(self._rest))

    def count(self, size: int) -> None:
        """So many bytes more were printed, here or elsewhere. Raises `AgentError` (too_much)."""
        self._bytes += size
        if self._bytes > self._limits.output_mb * MB:
            raise AgentError(f"It printed more than {self._limits.output_mb:g} MB: limits.output_mb.", code="too_much")

    def _check_length(self, size: int) -> None:
        if size > self._limits.line_mb * MB:
            raise AgentError(f"It printed a line of more than {self._limits.line_mb:g} MB.", code="too_much")

    def _message(self, line: bytes) -> dict[str, Any] | None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict):
            self._messages += 1
            if self._messages > self._limits.updates:
                raise AgentError(f"It sent more than {self._limits.updates} messages: limits.updates.", code="too_much")
            return message
        self._stray += 1
        self.last_stray = line[:200].decode("utf-8", "replace")
        if line.startswith(b"{") or self._stray > MOST_STRAY:
            raise AgentError("It printed what is no message of the protocol (broken JSON).", code="protocol")
        return None
