"""One media worker in main: a supervised process, its connection, its shared memory, and its sources."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any

from joyvl_server.core.errors import SourceError
from joyvl_server.core.frame import Frame
from joyvl_server.ingest.channel import Message
from joyvl_server.ingest.connection import Answer, WorkerConnection, worker_died
from joyvl_server.ingest.shared_frames import SharedFrames, create_memory
from joyvl_server.ingest.source import RemoteSource
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.kit.child import Launch
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.supervisor import Limits, Supervisor

START_TIMEOUT_S = 20.0
CLOSE_TIMEOUT_S = 5.0
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class WorkerKind(StrEnum):
    CAMERAS = "cameras"
    CALLS = "calls"


class MediaWorker:
    """Holds cameras or calls, never both. A `Service` of `kit.supervisor`."""

    def __init__(self, name: str, config: WorkerConfig, clock: Clock) -> None:
        self.name = name
        self.kind: WorkerKind | None = None
        self.empty_since = clock.monotonic()
        self.supervisor = Supervisor(self, Limits(start_timeout_s=START_TIMEOUT_S), clock)
        self.sources: dict[str, RemoteSource] = {}
        self.clip_bytes = 0
        """of the packets that it keeps for clips, when it was last asked"""
        self._config = config
        self._clock = clock
        self._connection = WorkerConnection(self)
        self._socket: socket.socket | None = None
        self._frames: SharedFrames | None = None
        self._is_ready = False

    async def launch(self) -> Launch:
        """See `Service`. It waits for nothing."""
        ours, theirs = socket.socketpair()
        memory = create_memory(self._config.layout)
        self._socket, self._frames = ours, SharedFrames(memory, self._config.layout)
        control = theirs.detach()
        path = os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
        argv = (sys.executable, "-m", "joyvl_server.ingest.worker.process", str(control), str(memory))
        return Launch(argv, {"PYTHONPATH": path}, (control, memory), family=False)

    async def ready(self) -> None:
        """Connect, and open its sources. Cancelled, the supervisor ends the process."""
        assert self._socket is not None
        end, self._socket = self._socket, None
        await self._connection.connect(end)
        await self._connection.request("hello", START_TIMEOUT_S, config=self._config.to_dict())
        self._is_ready = True
        if self.kind is WorkerKind.CALLS:
            self.prepare_for_calls()
        for source in self.sources.values():
            self.send_open(source)

    async def check(self) -> None:
        """Raises `SourceError` when it is gone. Cancelled, it waits for no answer."""
        self.clip_bytes = (await self._connection.ask("ping"))["clip_bytes"]

    def gone(self, reason: str) -> None:
        self._is_ready = False
        self.clip_bytes = 0
        self._connection.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._frames is not None:
            self._frames.close()
            self._frames = None
        for source in list(self.sources.values()):
            if not source.closed:
                source.worker_gone()
            if source.spec is None:
                self.drop(source)

    def receive(self, event: Message) -> None:
        """A state of one of its sources, or something about its sound."""
        source = self.sources.get(event["source"])
        if source is None:
            return
        if event["event"] == "audio":
            source.audio.apply(event)
            return
        if event["event"] == "client":
            source.client.apply(event)
            return
        source.apply(event)
        if source.spec is None and event["status"] == "ended":
            self.drop(source)

    def free_slot(self) -> int:
        """A slot that no source has. Raises `StopIteration` when there is none."""
        taken = {source.slot for source in self.sources.values()}
        return next(slot for slot in range(self._config.slots) if slot not in taken)

    def touch(self) -> None:
        """It counts as used: it is not ended for being idle for a while."""
        self.empty_since = self._clock.monotonic()

    def add(self, source: RemoteSource, kind: WorkerKind) -> None:
        self.kind = kind
        self.sources[source.id] = source

    def prepare_for_calls(self) -> None:
        """It takes calls only from now on, and is ready for the first one before that comes."""
        self.kind = WorkerKind.CALLS
        if self._is_ready:
            self._connection.ask("prepare")

    def drop(self, source: RemoteSource) -> None:
        if self.sources.get(source.id) is source:
            del self.sources[source.id]
        if not self.sources:
            self.kind = None
            self.touch()

    def send_open(self, source: RemoteSource) -> None:
        """Where the worker is not ready yet, this happens when it is."""
        if source.spec is None or source.closed or not self._is_ready:
            return
        self._connection.ask(
            "open", source=source.id, slot=source.slot, spec=asdict(source.spec), zero=source.zero,
            start=source.now if source.spec.is_file else 0.0,
        )  # fmt: skip
        source.audio.opened()

    async def close(self, source: RemoteSource) -> None:
        """The worker frees all of it; then its slot is free too. Cancelled, the worker frees it all the same."""
        if source.id in self.sources and self._is_ready:
            with suppress(SourceError):
                await self._connection.request("close", CLOSE_TIMEOUT_S, source=source.id)
        self.drop(source)

    def ask(self, op: str, **fields: Any) -> Answer:
        return self._connection.ask(op, **fields)

    async def request(self, op: str, timeout_s: float, **fields: Any) -> Message:
        """Wait until the worker is up, then ask. Raises `SourceError`.

        Cancelled, the worker still does what it was asked; nobody gets its answer.
        """
        await self.up()
        return await self._connection.request(op, timeout_s, **fields)

    async def up(self) -> None:
        """Wait until it is ready. Raises `SourceError` (worker_died). Cancelling it changes nothing."""
        try:
            await self.supervisor.up(START_TIMEOUT_S)
        except TimeoutError:
            raise SourceError("The media worker does not start. The log says more.", code="worker_died") from None

    def read(self, slot: int, sequence: int) -> Frame:
        if self._frames is None:
            raise worker_died()
        return self._frames.read(slot, sequence)
