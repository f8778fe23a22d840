"""A few threads, each read with a read-only connection of its own: reads neither wait for writes nor hold them up."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from joyvl_server.core.errors import StoreError
from joyvl_server.store.sqlite.errors import is_damage, is_storage_fault, store_error

T = TypeVar("T")
WAITING = 256
"""Reads that may run or wait at once; more are refused."""
PATIENCE_S = 5.0
"""Seconds that running reads may take when the store closes; then they are interrupted."""


class Readers:
    """Bounded, lazily connected. Only for use from the event loop."""

    def __init__(
        self,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        size: int,
        *,
        on_damage: Callable[[sqlite3.Error], None] = lambda error: None,
    ) -> None:
        """`on_damage` gets SQLite's error, in the reader's thread, where the file is found damaged."""
        self._path = path
        self._on_damage = on_damage
        self._generation = 0
        self._connect = connect
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="store-read")
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._busy: set[sqlite3.Connection] = set()
        self._running: set[Future[Any]] = set()
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, seen in one snapshot. Raises `StoreError`, and whatever else `work` raises."""
        if self._closed:
            raise StoreError("The store is closed.", code="store_closed")
        if len(self._running) >= WAITING:
            raise StoreError(f"More than {WAITING} reads wait for the disk. Try again.", code="store_busy")
        future = self._pool.submit(self._read, work)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    def renew(self) -> None:
        """The file is another one now: connections to the old one are closed. Thread-safe."""
        with self._lock:
            self._generation += 1
            old, self._idle = self._idle, []
        for connection in old:
            connection.close()

    async def aclose(self) -> None:
        """Let running reads end, interrupt them after a while, then close everything."""
        self._closed = True
        waiting = [asyncio.wrap_future(f) for f in list(self._running)]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=PATIENCE_S)
            if late:
                self._pool.shutdown(wait=False, cancel_futures=True)
                with self._lock:
                    for connection in self._busy:
                        connection.interrupt()
                await asyncio.wait(late, timeout=PATIENCE_S)
            for outcome in waiting:  # whoever asked has the outcome; here it is only taken note of
                if outcome.done() and not outcome.cancelled():
                    outcome.exception()
        self._pool.shutdown(wait=not self._running)
        while self._idle:
            self._idle.pop().close()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        generation = self._generation
        connection = self._take()
        healthy = True
        try:
            connection.execute("BEGIN")
            return work(connection)
        except sqlite3.Error as error:
            healthy = not is_storage_fault(error)
            if is_damage(error) and generation == self._generation:
                self._on_damage(error)
            raise store_error(error, self._path) from error
        finally:
            with self._lock:
                self._busy.discard(connection)
            if healthy and connection.in_transaction:
                connection.execute("ROLLBACK")
            with self._lock:
                kept = healthy and not self._closed and generation == self._generation
                if kept:
                    self._idle.append(connection)
            if not kept:
                connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            try:
                connection = self._connect()
            except sqlite3.Error as error:
                if is_damage(error):
                    self._on_damage(error)
                raise store_error(error, self._path) from error
        with self._lock:
            self._busy.add(connection)
        return connection
