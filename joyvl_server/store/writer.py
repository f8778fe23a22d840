"""The one writer: a thread, a connection and a bounded queue. What waits together is committed together."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.store.faults import is_storage_fault, store_error

log = structlog.get_logger(__name__)

Work = Callable[[sqlite3.Connection], Any]
BATCH = 256
"""Jobs in one transaction."""
RETRY_S = 1.0
"""Seconds between two tries to write what nobody awaits, while the disk refuses."""
PATIENCE_S = 5.0
"""Seconds that posts without hurry wait for others, to share a transaction: what `kill -9` may lose of them. A commit
writes whole pages, at least one for each session that has ticks in it."""


@dataclass(slots=True)
class Job:
    work: Work
    future: Future[Any] | None
    """None: nobody awaits it."""
    hurry: bool = True
    """False: it may wait for others"""


class Writer:
    """Runs jobs in order, in batches of one transaction, each job in a savepoint of its own.

    A job that fails is undone alone. When the disk fails, the awaited jobs of the batch fail with `StoreError`, and
    those that nobody awaits stay queued until it works again. Thread-safe.
    """

    def __init__(
        self, path: Path, prepare: Callable[[], None], connect: Callable[[], sqlite3.Connection], limit: int
    ) -> None:
        """`prepare` runs once, first, in the thread; `connect` also after a fault, for a fresh connection."""
        self.path = path
        self.dropped = 0
        """jobs nobody awaited that were lost: queue full, refused by the database, or left over at the end"""
        self.fault: str | None = None
        """what the disk says, while it refuses"""
        self._prepare = prepare
        self._connect = connect
        self._limit = limit
        self._connection: sqlite3.Connection | None = None
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._overflowed = 0
        self._awaited = 0
        self._patient = 0
        self._opened: Future[None] = Future()
        self._closed: Future[None] = Future()
        for outcome in (self._opened, self._closed):
            outcome.set_running_or_notify_cancel()  # who waits for it may be cancelled; what happens is not
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)

    @property
    def pending(self) -> int:
        return len(self._queue)

    def start(self) -> Future[None]:
        """The future is done when the database is open, or has the reason why not (then the thread has ended)."""
        self._thread.start()
        return self._opened

    def submit(self, work: Work) -> Future[Any]:
        """Run it and commit. The future is done after the commit. Raises `StoreError` where closed or overloaded."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closing:
                raise StoreError("The store is closed.", code="store_closed")
            if self._awaited >= self._limit:
                raise StoreError(f"More than {self._limit} writes wait for the disk. Try again.", code="store_busy")
            self._awaited += 1
            self._queue.append(Job(work, future))
            self._changed.notify()
        return future

    def post(self, work: Work, *, hurry: bool = True) -> bool:
        """Run it when its turn comes; nobody awaits it. False where the queue is full and it was dropped.

        Without `hurry` it waits up to `PATIENCE_S` for others, so that a steady trickle costs few commits. Each kind
        has the whole limit, so that many of one never push out the other.
        """
        with self._changed:
            hurried = len(self._queue) - self._awaited - self._patient
            if self._closing or (hurried if hurry else self._patient) >= self._limit:
                self.dropped += 1
                self._overflowed += 1
                first = self._overflowed == 1
            else:
                self._queue.append(Job(work, None, hurry))
                self._patient += not hurry
                self._changed.notify()
                return True
        if first:
            log.error("store drops records", reason="closed" if self._closing else "queue full", limit=self._limit)
        return False

    def close(self) -> Future[None]:
        """Take nothing more, finish what is queued, close the database. The future is done when that is done."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        return self._closed

    def join(self) -> None:
        """Wait for the thread, which ends at once after `close()`'s future."""
        self._thread.join()

    # ---------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            self._prepare()
            self._connection = self._connect()
        except sqlite3.Error as error:
            self._end(store_error(error, self.path))
        except Exception as error:  # this thread's edge: whoever opens must learn of it
            self._end(error)
        else:
            self._opened.set_result(None)
            while batch := self._next():
                self._do(batch)
            self._disconnect()
            self._closed.set_result(None)

    def _end(self, error: Exception) -> None:
        with self._changed:
            self._closing = True
        self._closed.set_result(None)
        self._opened.set_exception(error)

    def _next(self) -> list[Job]:
        """The next jobs; empty when closing and nothing is left."""
        with self._changed:
            if self.fault is not None and not self._awaited:
                self._changed.wait_for(lambda: self._closing or self._awaited > 0, RETRY_S)
            self._changed.wait_for(lambda: self._closing or len(self._queue) > 0)
            self._changed.wait_for(self._worthwhile, PATIENCE_S)
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._awaited -= sum(job.future is not None for job in batch)
            self._patient -= sum(not job.hurry for job in batch)
            recovered = self._overflowed if len(self._queue) < self._limit // 2 and not self._closing else 0
            self._overflowed -= recovered
        if recovered:
            log.info("store keeps up again", dropped=recovered)
        return batch

    def _worthwhile(self) -> bool:
        """Is there a job in a hurry, or enough for a full transaction?"""
        return self._closing or len(self._queue) > self._patient or len(self._queue) >= BATCH

    def _do(self, batch: list[Job]) -> None:
        batch = [job for job in batch if job.future is None or job.future.set_running_or_notify_cancel()]
        try:
            outcomes = self._transaction(batch)
        except sqlite3.Error as error:
            self._failed(batch, error)
            return
        if self.fault is not None:
            log.info("store works again", queued=len(self._queue))
            self.fault = None
        for job, result, failure in outcomes:
            self._settle(job, result, failure)

    def _transaction(self, batch: list[Job]) -> list[tuple[Job, Any, Exception | None]]:
        """Run the batch and commit it. Raises `sqlite3.Error`, with nothing of the batch written, where it cannot."""
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        outcomes: list[tuple[Job, Any, Exception | None]] = []
        connection.execute("BEGIN IMMEDIATE")
        for job in batch:
            connection.execute("SAVEPOINT job")
            try:
                outcomes.append((job, job.work(connection), None))
            except Exception as failure:  # this thread's edge: a job's failure is its own, it must not end the writer
                if is_storage_fault(failure):
                    raise
                connection.execute("ROLLBACK TO job")
                outcomes.append((job, None, failure))
            connection.execute("RELEASE job")
        connection.execute("COMMIT")
        return outcomes

    def _settle(self, job: Job, result: Any, failure: Exception | None) -> None:
        if isinstance(failure, sqlite3.Error):
            failure = store_error(failure, self.path)
        if job.future is None:
            if failure is not None:
                self.dropped += 1
                log.error("store refused a record", error=str(failure), kind=type(failure).__name__)
        elif failure is not None:
            job.future.set_exception(failure)
        else:
            job.future.set_result(result)

    def _failed(self, batch: list[Job], error: sqlite3.Error) -> None:
        """Nothing of the batch was written: tell those who wait, keep the rest, begin with a fresh connection."""
        sentence = str(store_error(error, self.path))
        unawaited = [job for job in batch if job.future is None]
        with self._changed:
            keep = is_storage_fault(error) and not self._closing
            if keep:
                self._queue.extendleft(reversed(unawaited))
                self._patient += sum(not job.hurry for job in unawaited)
            else:
                self.dropped += len(unawaited)
        if self.fault is None:
            log.error("store fails", error=sentence, detail=str(error), kept=len(unawaited) if keep else 0)
        if unawaited and not keep:
            log.error("store lost records", count=len(unawaited))
        if is_storage_fault(error):
            self.fault = sentence
        self._disconnect()
        for job in batch:
            if job.future is not None:
                job.future.set_exception(store_error(error, self.path))

    def _disconnect(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error as error:
                log.warning("store did not close cleanly", error=str(error))
            self._connection = None
