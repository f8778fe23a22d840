"""A few threads that read, each with its own read-only connection: reads neither wait for writes nor delay them."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from joyvl_server.core.errors import StoreError
from joyvl_server.store.sqlite.database_file import DatabaseFile
from joyvl_server.store.sqlite.errors import is_damage, is_storage_fault, store_error

T = TypeVar("T")
WAITING = 256
"""Reads that may run or wait at once; more are refused."""
PATIENCE_S = 5.0
"""Seconds that running reads may take when the store closes; then they are interrupted."""


class ConnectionPool:
    """Read-only connections to one file, made when they are needed. Thread-safe."""

    def __init__(self, file: DatabaseFile) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._generation = 0
        self._idle: list[sqlite3.Connection] = []
        self._busy: dict[sqlite3.Connection, int] = {}
        self._closed = False

    def take(self) -> sqlite3.Connection:
        """Raises `sqlite3.Error`."""
        generation = self._generation
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self.file.connect(read_only=True)
        with self._lock:
            self._busy[connection] = generation
        return connection

    def give_back(self, connection: sqlite3.Connection, *, healthy: bool) -> None:
        """One that is not `healthy`, or leads to an earlier file, is closed."""
        with self._lock:
            generation = self._busy.pop(connection)
        if healthy and connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._lock:
            kept = healthy and generation == self._generation and not self._closed
            if kept:
                self._idle.append(connection)
        if not kept:
            connection.close()

    def is_current(self, connection: sqlite3.Connection) -> bool:
        """Does a connection that is in use lead to the present file?"""
        return self._busy.get(connection) == self._generation

    def renew(self) -> None:
        """The file is another one from now on: connections to the old one are closed."""
        with self._lock:
            self._generation += 1
            old, self._idle = self._idle, []
        for connection in old:
            connection.close()

    def interrupt(self) -> None:
        """End what runs on its connections."""
        with self._lock:
            for connection in self._busy:
                connection.interrupt()

    def close(self) -> None:
        """Close the idle ones; each of the others is closed when it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class DamageListener(Protocol):
    """Gets SQLite's error, in a reader's thread, where the file is found damaged."""

    def report(self, damage: sqlite3.Error) -> None: ...


class Readers:
    """A bounded number of reads at once. Only for the event loop's thread."""

    def __init__(self, pool: ConnectionPool, threads: int, listener: DamageListener) -> None:
        self._pool = pool
        self._listener = listener
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="store-read")
        self._running: set[Future[Any]] = set()
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, seen in one snapshot. Raises `StoreError`, and whatever else `work` raises.

        Cancelled while it waits for a thread, it does not run; cancelled later, it runs on and its result is dropped.
        """
        if self._closed:
            raise StoreError("The store is closed.", code="store_closed")
        if len(self._running) >= WAITING:
            raise StoreError(f"More than {WAITING} reads wait for the disk. Try again.", code="store_busy")
        future = self._executor.submit(self._read, work)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    async def aclose(self) -> None:
        """Let running reads end, interrupt them after a while, then close everything.

        Cancelled, it may leave connections open.
        """
        self._closed = True
        waiting = [asyncio.wrap_future(f) for f in list(self._running)]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=PATIENCE_S)
            if late:
                self._executor.shutdown(wait=False, cancel_futures=True)
                self._pool.interrupt()
                await asyncio.wait(late, timeout=PATIENCE_S)
            for outcome in waiting:  # whoever asked has the outcome; asyncio must not complain about it
                if outcome.done() and not outcome.cancelled():
                    outcome.exception()
        self._executor.shutdown(wait=not self._running)
        self._pool.close()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        path = self._pool.file.path
        try:
            connection = self._pool.take()
        except sqlite3.Error as error:
            if is_damage(error):
                self._listener.report(error)
            raise store_error(error, path) from error
        healthy = True
        try:
            connection.execute("BEGIN")
            return work(connection)
        except sqlite3.Error as error:
            healthy = not is_storage_fault(error)
            if is_damage(error) and self._pool.is_current(connection):
                self._listener.report(error)
            raise store_error(error, path) from error
        finally:
            self._pool.give_back(connection, healthy=healthy)
