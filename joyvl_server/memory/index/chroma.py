"""The index: Chroma in a process of its own, in the data folder or at a server.

A folder that is damaged is moved aside; what was in it is put in again from the record.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from joyvl_server.kit.child import Launch
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.processes.messages import Head
from joyvl_server.kit.supervisor import Limits, Supervisor, Unhealthy
from joyvl_server.memory.base import IndexFault
from joyvl_server.memory.faults import PartFault
from joyvl_server.memory.index import worker
from joyvl_server.memory.index.connection import IndexConnection
from joyvl_server.memory.index.frames import VECTOR
from joyvl_server.store.memories.vectors import Unindexed, Vector

log = structlog.get_logger(__name__)

WORKER = Path(worker.__file__)
LIMITS = Limits(start_timeout_s=90.0, check_every_s=2.0, check_timeout_s=20.0, cooldown_max_s=30.0)
QUERY_S, CHANGE_S = 3.0, 60.0
"""Longest waits for an answer."""
LOST_S = 1.0
DAMAGED = "chroma.damaged"
KEEP_FREE = 20_000_000
"""Bytes of the disk below which nothing is put in, and no folder is taken for damaged."""
FAILED_STARTS = 2
"""in a row, without a word, that make a folder count as damaged"""


@dataclass(frozen=True, slots=True)
class IndexPlace:
    """`folder` where `url` is None. `key`: that the server asks for."""

    folder: Path
    url: str | None = None
    key: str | None = None


class ChromaIndex:
    """See `VectorIndex`; also a `Service` of `kit.supervisor`."""

    name = "memory index"

    def __init__(self, place: IndexPlace, clock: Clock, limits: Limits = LIMITS) -> None:
        self.usable = False
        self.life = 0
        self._place = place
        self._fault = PartFault("index")
        self._supervisor = Supervisor(self, limits, clock)
        self._connection = IndexConnection(self)
        self._socket: socket.socket | None = None
        self._hello: asyncio.Future[Head] | None = None
        self._pong = asyncio.Event()
        self._begun = self._closed = False
        self._suspect = False
        """a request failed: is what it holds still whole?"""
        self._damaged = False
        self._failed_starts = 0
        self._was_ready = False
        self._news = asyncio.Event()

    @property
    def fault(self) -> str | None:
        """See `VectorIndex`."""
        return self._fault.words

    @property
    def pid(self) -> int | None:
        return self._supervisor.pid

    def begin(self) -> None:
        """See `VectorIndex`."""
        if not self._begun and not self._closed:
            self._begun = True
            self._supervisor.start()

    async def up(self, timeout_s: float) -> None:
        """See `VectorIndex`. Cancelling it only ends the wait."""
        self.begin()
        try:
            async with asyncio.timeout(timeout_s):
                while not self.usable and self.fault is None and not self._closed:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            self._fault.begins(f"The index of memories was not ready within {timeout_s:g} s.")

    async def aclose(self) -> None:
        """See `VectorIndex`. Cancelled, it kills at once."""
        self._closed = True
        self._news.set()
        await self._supervisor.aclose()

    # -------------------------------------------------------------------------------------------------- what it is for

    async def counts(self, embedder: str) -> dict[str, int]:
        """See `VectorIndex`."""
        found: dict[str, int] = await self._ask("counts", {"embedder": embedder}, b"", CHANGE_S)
        return found

    async def put(self, embedder: str, vectors: Sequence[Unindexed]) -> None:
        """See `VectorIndex`. Cancelled, some may be in it."""
        if self._place.url is None and await asyncio.to_thread(self._is_full):
            full = IndexFault("The disk is full: memories are not indexed. Free some space.", code="full")
            self._fault.begins(str(full))
            raise full
        by_collection: defaultdict[str, list[Unindexed]] = defaultdict(list)
        for vector in vectors:
            by_collection[vector.collection].append(vector)
        for collection, several in by_collection.items():
            fields = {"ids": [v.id for v in several], "days": [v.day for v in several]}
            data = np.stack([v.vector for v in several]).astype(VECTOR).tobytes()
            await self._ask("put", {"embedder": embedder, "collection": collection, **fields}, data, CHANGE_S)
        if not self._suspect:
            self._fault.ends()

    async def query(
        self, embedder: str, vector: Vector, collections: Sequence[str], days: Sequence[int], limit: int
    ) -> list[tuple[str, float]]:
        """See `VectorIndex`. Cancelled, the answer is dropped."""
        fields = {"embedder": embedder, "collections": list(collections), "days": list(days), "limit": limit}
        hits = await self._ask("query", fields, vector.astype(VECTOR).tobytes(), QUERY_S)
        return [(str(memory_id), float(distance)) for memory_id, distance in hits]

    async def remove(self, memories: Sequence[tuple[str, str]]) -> None:
        """See `VectorIndex`. Cancelled, some may be gone."""
        by_collection: defaultdict[str, list[str]] = defaultdict(list)
        for collection, memory_id in memories:
            by_collection[collection].append(memory_id)
        await self._ask("remove", {"memories": by_collection}, b"", CHANGE_S)

    async def drop(self, embedder: str, collection: str) -> None:
        """See `VectorIndex`. Cancelled, they may be gone."""
        await self._ask("drop", {"embedder": embedder, "collection": collection}, b"", CHANGE_S)

    async def keep_only(self, embedders: Sequence[str]) -> None:
        """See `VectorIndex`. Cancelled, they may be gone."""
        await self._ask("keep_only", {"embedders": list(embedders)}, b"", CHANGE_S)

    async def clean(self) -> None:
        """See `VectorIndex`. Cancelled, it may be done all the same."""
        if self._place.url is None:
            await self._ask("clean", {}, b"", CHANGE_S)
            aside = self._place.folder.with_name(DAMAGED)
            await asyncio.to_thread(shutil.rmtree, aside, ignore_errors=True)

    async def _ask(self, op: str, fields: Head, data: bytes, timeout_s: float) -> Any:
        if not self.usable:
            raise IndexFault(self.fault or "The index of memories is not running.")
        try:
            return await self._connection.ask(op, fields, data, timeout_s)
        except IndexFault as error:
            if error.code == "full":
                self._fault.begins("The disk is full: memories are not indexed. Free some space.")
            elif error.code in ("failed", "timeout"):
                self._suspect = True  # the next check says what it is
                self._fault.begins(f"The index of memories fails: {error}")
            raise

    # ------------------------------------------------------------------------------------- what the supervisor asks

    async def launch(self) -> Launch:
        """See `Service`. Cancelled, nothing is open."""
        if self._place.url is None:
            await asyncio.to_thread(self._prepare_folder)
        ours, theirs = socket.socketpair()
        self._socket, control = ours, theirs.detach()
        env = {
            "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKIO_WORKER_THREADS": "2", "PYTHONUNBUFFERED": "1",
            # Nobody is told what is used.
            "DO_NOT_TRACK": "1", "ANONYMIZED_TELEMETRY": "False",
        }  # fmt: skip
        return Launch((sys.executable, "-I", str(WORKER), str(control)), env, (control,), family=False)

    def _prepare_folder(self) -> None:
        """Blocking. Raises `OSError`."""
        folder = self._place.folder
        if self._damaged and folder.exists() and not self._is_full() and os.access(folder.parent, os.W_OK):
            aside = folder.with_name(DAMAGED)
            shutil.rmtree(aside, ignore_errors=True)
            folder.replace(aside)
            log.error("index of memories is damaged", moved_to=str(aside), instead="it is made again from the record")
            self._damaged = False
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _is_full(self) -> bool:
        """Blocking."""
        folder = self._place.folder if self._place.folder.exists() else self._place.folder.parent
        return shutil.disk_usage(folder).free < KEEP_FREE

    async def ready(self) -> None:
        """See `Service`. Raises `Unhealthy` where Chroma cannot read what there is. Cancelled, the supervisor ends the
        process."""
        assert self._socket is not None
        end, self._socket = self._socket, None
        self._hello = asyncio.get_running_loop().create_future()
        await self._connection.connect(end)
        place = self._place
        self._connection.send({"op": "open", "folder": str(place.folder), "url": place.url, "key": place.key})
        hello = await self._hello
        if hello["event"] == "failed":
            self._damaged = self._damaged or hello.get("code") != "full"
            raise Unhealthy(str(hello["message"]))
        self._failed_starts = 0
        self._suspect = False
        self.usable = self._was_ready = True
        self.life += 1
        self._fault.ends()
        self._news.set()

    async def check(self) -> None:
        """See `Service`. Where a request has failed, Chroma reads all that it has."""
        if not self.usable:
            await asyncio.sleep(LOST_S)  # as a rule it is seen meanwhile that the process has ended
            raise Unhealthy("it no longer listens")
        if self._suspect:
            try:
                await self._connection.ask("check", {}, b"", LIMITS.check_timeout_s)
            except IndexFault as error:
                self._damaged = error.code == "failed"
                raise Unhealthy(f"it cannot read what it has: {error}") from None
            self._suspect = False
            self._fault.ends()
            return
        self._pong.clear()
        self._connection.send({"op": "ping"})
        await self._pong.wait()

    def gone(self, reason: str) -> None:
        """See `Service`."""
        self._failed_starts += not self._was_ready
        self._was_ready = False
        if self._failed_starts >= FAILED_STARTS and self._place.url is None:
            self._damaged = True  # it ends before it says a word
        self.usable = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        words = f"The index of memories cannot be used: {reason.rstrip('.')}. It is started again."
        if not self._closed:
            self._fault.begins(words)
        self._connection.close(IndexFault(words))
        self._connection = IndexConnection(self)
        self._news.set()

    # What the connection says

    def hear(self, event: Head) -> None:
        """See `IndexEvents`."""
        if event["event"] == "pong":
            self._pong.set()
        elif self._hello is not None and not self._hello.done():
            self._hello.set_result(event)

    def lost(self) -> None:
        """See `IndexEvents`. That the process is gone the supervisor sees for itself."""
        self.usable = False
        self._connection.close(IndexFault("The index of memories has ended."))
