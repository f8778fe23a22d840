"""The one writer: a thread and a connection. What waits together is committed together; what fails, fails alone."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import Future
from typing import Any

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.store.sqlite import write_connection
from joyvl_server.store.sqlite.database_file import DatabaseFile
from joyvl_server.store.sqlite.errors import affects_all_writes, is_storage_fault, store_error
from joyvl_server.store.sqlite.readers import ConnectionPool
from joyvl_server.store.sqlite.write_connection import Failure, WriteConnection
from joyvl_server.store.sqlite.write_queue import PostListener, Work, WriteJob, WriteQueue

log = structlog.get_logger(__name__)

TRIES = 3
"""Tries of a job that nobody awaits and that fails while the disk takes others; then it is dropped."""


class Writer:
    """Runs jobs in order, in batches of one transaction, each job in a savepoint of its own.

    A job that fails is undone alone. When the disk fails, the awaited jobs of the batch fail with `StoreError`, and
    those that nobody awaits stay queued until it works again. Where the disk takes other writes, each job is tried
    alone, and one that goes on failing is dropped. Thread-safe.
    """

    def __init__(self, file: DatabaseFile, pool: ConnectionPool, limit: int, *, expendable: bool) -> None:
        """`pool`: the connections that read the same file. `limit`: see `WriteQueue`. `expendable`: see `Database`."""
        self._path = file.path
        self._jobs = WriteQueue(file.path.name, limit)
        self._connection = WriteConnection(file, pool, self._jobs, expendable=expendable)
        self._reported: sqlite3.Error | None = None
        self._lost = 0
        self._opened: Future[None] = Future()
        self._closed: Future[None] = Future()
        for outcome in (self._opened, self._closed):
            outcome.set_running_or_notify_cancel()  # who waits for it may be cancelled; what happens is not
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)

    @property
    def fault(self) -> str | None:
        """A sentence while the disk refuses to write, or the file is damaged or gone."""
        return self._connection.fault

    @property
    def renewed(self) -> int:
        """How often an expendable file was replaced by a new one."""
        return self._connection.renewed

    @property
    def pending(self) -> int:
        return len(self._jobs)

    @property
    def dropped(self) -> int:
        """Jobs nobody awaited that were lost: queue full, refused by the database, or left over at the end."""
        return self._jobs.refused + self._lost

    def start(self) -> Future[None]:
        """The future is done when the database is open, or has the reason why not (then the thread has ended)."""
        self._thread.start()
        return self._opened

    def submit(self, work: Work) -> Future[Any]:
        """Run it and commit. The future is done after the commit. Raises `StoreError` where closed or overloaded."""
        return self._jobs.submit(work)

    def post(self, work: Work, *, hurry: bool = True, listener: PostListener | None = None) -> bool:
        """Run it when its turn comes; nobody awaits it. False where the queue is full and it was dropped.

        Without `hurry` it waits up to `PATIENCE_S` for others, so that a steady trickle costs few commits. What the
        `listener` posts when it is called is taken also while the store closes.
        """
        late = listener is not None and threading.current_thread() is self._thread
        return self._jobs.post(WriteJob(work, None, hurry, listener), late=late)

    def report(self, damage: sqlite3.Error) -> None:
        """A reader found the file damaged."""
        self._reported = damage
        self._jobs.wake()

    def close(self) -> Future[None]:
        """Take nothing more, finish what is queued, close the database. The future is done when that is done."""
        self._jobs.close()
        return self._closed

    def join(self) -> None:
        """Wait for the thread, which ends at once after `close()`'s future."""
        self._thread.join()

    # ---------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            self._connection.open()
        except sqlite3.Error as error:
            self._end(store_error(error, self._path))
        except Exception as error:  # this thread's edge: whoever opens must learn of it
            self._end(error)
        else:
            self._opened.set_result(None)
            while (batch := self._next()) is not None:
                if batch:
                    self._execute(batch)
                else:
                    reported, self._reported = self._reported, None
                    self._connection.check(reported)
            self._connection.close()
            self._closed.set_result(None)

    def _end(self, error: Exception) -> None:
        self._jobs.close()
        self._closed.set_result(None)
        self._opened.set_exception(error)

    def _next(self) -> list[WriteJob] | None:
        if self.fault is None:
            return self._jobs.take(write_connection.CHECK_S)
        return self._jobs.take(write_connection.RETRY_S, pause_s=write_connection.RETRY_S)

    def _execute(self, batch: list[WriteJob]) -> None:
        batch = [job for job in batch if job.future is None or job.future.set_running_or_notify_cancel()]
        error = self._attempt(batch)
        if error is not None and self._connection.renew(error):
            self._reported = None  # what a reader found was in the file before
            error = self._attempt(batch)
        if error is None:
            self._connection.recover()
        elif affects_all_writes(error) or self._connection.test() is not None:
            self._refuse(batch, error)
        else:
            self._execute_one_by_one(batch)

    def _attempt(self, batch: list[WriteJob]) -> Failure | None:
        """Commit the batch and settle its jobs. Returns what hindered it; then nothing of it is written."""
        try:
            outcomes = self._transaction(batch)
        except (sqlite3.Error, StoreError) as error:
            self._connection.close()
            return error
        for job, result, failure in outcomes:
            self._settle(job, result, failure)
        return None

    def _transaction(self, batch: list[WriteJob]) -> list[tuple[WriteJob, Any, Exception | None]]:
        """Run the batch and commit it. Raises where nothing of it is kept."""
        connection = self._connection.get()
        outcomes: list[tuple[WriteJob, Any, Exception | None]] = []
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
        self._connection.commit()
        return outcomes

    def _settle(self, job: WriteJob, result: Any, failure: Exception | None) -> None:
        if isinstance(failure, sqlite3.Error):
            failure = store_error(failure, self._path)
        if job.future is None:
            if failure is not None:
                self._lost += 1
                log.error(
                    "store refused a record", store=self._path.name, error=str(failure), kind=type(failure).__name__
                )
            if job.listener is not None:
                job.listener.settled(kept=failure is None)
        elif failure is not None:
            job.future.set_exception(failure)
        else:
            job.future.set_result(result)

    # -------------------------------------------------------------------------------------------------- when it fails

    def _execute_one_by_one(self, batch: list[WriteJob]) -> None:
        """The disk takes writes, so some of these jobs are to blame: each has a transaction of its own."""
        retried: list[WriteJob] = []
        lost: list[WriteJob] = []
        for number, job in enumerate(batch):
            error = self._attempt([job])
            if error is None:
                continue
            if affects_all_writes(error):
                self._refuse([*retried, *batch[number:]], error)
                retried = []
                break
            fault = is_storage_fault(error)
            if fault:
                self._connection.mark_failed(error)
            if job.future is not None:
                job.future.set_exception(store_error(error, self._path))
                continue
            job.tries += 1
            (retried if fault and job.tries < TRIES and not self._jobs.closing else lost).append(job)
        self._jobs.put_back(retried)
        self._lose(lost)
        if not retried:
            self._connection.recover()

    def _refuse(self, batch: list[WriteJob], error: Failure) -> None:
        """The disk takes nothing: fail the awaited jobs and keep the rest."""
        unawaited = [job for job in batch if job.future is None]
        keep = not self._jobs.closing
        self._connection.mark_failed(error, kept=len(unawaited) if keep else 0)
        if keep:
            self._jobs.put_back(unawaited)
        else:
            self._lose(unawaited)
        for job in batch:
            if job.future is not None:
                job.future.set_exception(store_error(error, self._path))

    def _lose(self, jobs: list[WriteJob]) -> None:
        if not jobs:
            return
        self._lost += len(jobs)
        log.error("store lost records", store=self._path.name, count=len(jobs))
        for job in jobs:
            if job.listener is not None:
                job.listener.settled(kept=False)
