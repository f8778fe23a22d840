"""A sink outside joyvl-server's tree: it writes a line to a file for every watch that fires, and asks about it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from joyvl_server.core.inputs import QueryAsked
from joyvl_server.sessions.sinks.base import QueuedSink, SinkContext
from joyvl_server.sessions.sinks.messages import Message, SessionEnded, Ticked


class Siren(QueuedSink):
    wants = (Ticked, SessionEnded)
    capacity = 100
    file = Path("siren.txt")

    def __init__(self, context: SinkContext) -> None:
        self._name = context.record.name
        self._machine = context.machine

    async def handle(self, message: Message) -> None:
        if isinstance(message, SessionEnded):
            await self._write(f"{self._name}: over, {message.code}")
        elif isinstance(message, Ticked) and message.spoken and message.record.watches:
            await self._write(f"{self._name}: {message.record.text}")
            self._machine.take(QueryAsked(self._machine.now, "siren", "Is it over?"))

    async def _write(self, line: str) -> None:
        await asyncio.to_thread(self._append, line)

    def _append(self, line: str) -> None:
        with self.file.open("a") as file:
            file.write(line + "\n")
