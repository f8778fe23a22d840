"""The one writer: a thread and a connection. What waits together is committed together; what fails, fails alone."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import structlog

from joyvl_server.core.errors import StoreError
from joyvl_server.store.sqlite.errors import affects_all_writes, is_damage, is_storage_fault, store_error
from joyvl_server.store.sqlite.file_identity import GONE, FileIdentity, try_disk
from joyvl_server.store.sqlite.write_queue import Work, WriteJob, WriteQueue

log = structlog.get_logger(__name__)

RETRY_S = 1.0
"""Seconds between two tries to write what nobody awaits, while the disk refuses."""
CHECK_S = 2.0
"""Seconds between two looks whether the file is still there, while nothing is written."""
TRIES = 3
"""Tries of a job that nobody awaits and that fails while the disk takes others; then it is dropped."""
RENEW_S = 60.0
"""Seconds between two new beginnings of a file that keeps being damaged."""

Failure = sqlite3.Error | StoreError


class Writer:
    """Runs jobs in order, in batches of one transaction, each job in a savepoint of its own.

    A job that fails is undone alone. When the disk fails, the awaited jobs of the batch fail with `StoreError`, and
    those that nobody awaits stay queued until it works again. Where the disk takes other writes, each job is tried
    alone, and one that goes on failing is dropped. Thread-safe.
    """

    def __init__(
        self,
        path: Path,
        prepare: Callable[[], None],
        connect: Callable[[], sqlite3.Connection],
        limit: int,
        *,
        renew: Callable[[], None] | None = None,
    ) -> None:
        """`prepare` runs once, first, in the thread; `connect` also after a fault, for a fresh connection.

        With `renew` the file can be done without: it is called to put a damaged one aside, so that the next `prepare`
        makes a new one, and a file that cannot be opened is tried again later instead of being an error of `start`.
        """
        self.path = path
        self.fault: str | None = None
        """what the disk says, while it refuses; damage stays until the file is another one"""
        self.renewed = 0
        """times the file was begun again"""
        self._prepare = prepare
        self._connect = connect
        self._renew = renew
        self._jobs = WriteQueue(path.name, limit)
        self._identity = FileIdentity(path)
        self._connection: sqlite3.Connection | None = None
        self._prepared = False
        self._damaged = False
        self._reported: sqlite3.Error | None = None
        self._lost = 0
        self._gone_since: float | None = None
        self._try_again = 0.0
        self._renew_again = 0.0
        self._opened: Future[None] = Future()
        self._closed: Future[None] = Future()
        for outcome in (self._opened, self._closed):
            outcome.set_running_or_notify_cancel()  # who waits for it may be cancelled; what happens is not
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)

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

    def post(self, work: Work, *, hurry: bool = True, settled: Callable[[bool], None] | None = None) -> bool:
        """Run it when its turn comes; nobody awaits it. False where the queue is full and it was dropped.

        Without `hurry` it waits up to `PATIENCE_S` for others, so that a steady trickle costs few commits. `settled` is
        told in the writer's thread whether it was kept; what it posts then is taken also while the store closes.
        """
        late = settled is not None and threading.current_thread() is self._thread
        return self._jobs.post(WriteJob(work, None, hurry, settled), late=late)

    def report(self, damage: sqlite3.Error) -> None:
        """A reader found the file damaged."""
        self._reported = damage
        self._jobs.call()

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
            self._open()
        except sqlite3.Error as error:
            self._end(store_error(error, self.path))
        except Exception as error:  # this thread's edge: whoever opens must learn of it
            self._end(error)
        else:
            self._opened.set_result(None)
            while (batch := self._next()) is not None:
                if batch:
                    self._do(batch)
                else:
                    self._look()
            self._disconnect()
            self._closed.set_result(None)

    def _open(self) -> None:
        try:
            self._connected()
        except (sqlite3.Error, StoreError) as error:
            self._disconnect()
            if self._renew is None:
                raise
            if not self._begun_again(error):
                self._mark(error)

    def _end(self, error: Exception) -> None:
        self._jobs.close()
        self._closed.set_result(None)
        self._opened.set_exception(error)

    def _next(self) -> list[WriteJob] | None:
        return self._jobs.take(CHECK_S) if self.fault is None else self._jobs.take(RETRY_S, pause_s=RETRY_S)

    def _do(self, batch: list[WriteJob]) -> None:
        batch = [job for job in batch if job.future is None or job.future.set_running_or_notify_cancel()]
        error = self._attempt(batch)
        if error is not None and self._begun_again(error):
            error = self._attempt(batch)
        if error is None:
            self._recover()
        elif affects_all_writes(error) or self._trial() is not None:
            self._refuse(batch, error)
        else:
            self._one_by_one(batch)

    def _attempt(self, batch: list[WriteJob]) -> Failure | None:
        """Commit the batch and tell; or what hindered it, with nothing of it written."""
        try:
            outcomes = self._transaction(batch)
        except (sqlite3.Error, StoreError) as error:
            self._disconnect()
            return error
        for job, result, failure in outcomes:
            self._settle(job, result, failure)
        return None

    def _transaction(self, batch: list[WriteJob]) -> list[tuple[WriteJob, Any, Exception | None]]:
        """Run the batch and commit it. Raises where nothing of it is kept."""
        connection = self._connected()
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
        connection.execute("COMMIT")
        # SQLite commits without complaint into a file that has just been removed.
        self._identity.take_wal()
        self._identity.check()
        return outcomes

    def _settle(self, job: WriteJob, result: Any, failure: Exception | None) -> None:
        if isinstance(failure, sqlite3.Error):
            failure = store_error(failure, self.path)
        if job.future is None:
            if failure is not None:
                self._lost += 1
                told = {"error": str(failure), "kind": type(failure).__name__}
                log.error("store refused a record", store=self.path.name, **told)
            if job.settled is not None:
                job.settled(failure is None)
        elif failure is not None:
            job.future.set_exception(failure)
        else:
            job.future.set_result(result)

    # -------------------------------------------------------------------------------------------------- when it fails

    def _one_by_one(self, batch: list[WriteJob]) -> None:
        """The disk takes writes, so some of these jobs are to blame: each has a transaction of its own."""
        again: list[WriteJob] = []
        lost: list[WriteJob] = []
        for number, job in enumerate(batch):
            error = self._attempt([job])
            if error is None:
                continue
            if affects_all_writes(error):
                self._refuse([*again, *batch[number:]], error)
                again = []
                break
            fault = is_storage_fault(error)
            if fault:
                self._mark(error)
            if job.future is not None:
                job.future.set_exception(store_error(error, self.path))
                continue
            job.tries += 1
            (again if fault and job.tries < TRIES and not self._jobs.closing else lost).append(job)
        self._jobs.put_back(again)
        self._lose(lost)
        if not again:
            self._recover()

    def _refuse(self, batch: list[WriteJob], error: Failure) -> None:
        """The disk takes nothing: tell those who wait and keep the rest."""
        unawaited = [job for job in batch if job.future is None]
        keep = not self._jobs.closing
        self._mark(error, kept=len(unawaited) if keep else 0)
        if keep:
            self._jobs.put_back(unawaited)
        else:
            self._lose(unawaited)
        for job in batch:
            if job.future is not None:
                job.future.set_exception(store_error(error, self.path))

    def _lose(self, jobs: list[WriteJob]) -> None:
        if not jobs:
            return
        self._lost += len(jobs)
        log.error("store lost records", store=self.path.name, count=len(jobs))
        for job in jobs:
            if job.settled is not None:
                job.settled(False)

    def _mark(self, error: Failure, *, kept: int = 0) -> None:
        """From now on there is a fault; told where there was none."""
        sentence = str(store_error(error, self.path))
        if self.fault is None:
            log.error("store fails", store=self.path.name, error=sentence, detail=str(error), kept=kept)
        if self.fault is None or not self._damaged:
            self.fault = sentence
        self._damaged = self._damaged or is_damage(error)

    def _look(self) -> None:
        """Nothing waits: is the file still there, and does the disk work again?"""
        reported, self._reported = self._reported, None
        if reported is not None and not self._begun_again(reported):
            self._mark(reported)
        if self.fault is not None:
            self._recover()
            return
        try:
            self._identity.check()
        except StoreError as error:
            self._disconnect()
            if not self._begun_again(error):
                self._mark(error)

    def _recover(self) -> None:
        """Is the fault over? Asked of the disk itself, and not more often than it is tried again."""
        if self.fault is None or time.monotonic() < self._try_again:
            return
        self._try_again = time.monotonic() + RETRY_S
        if self._damaged:
            self._begun_again(None)
            return
        error = self._trial()
        if error is None:
            self._healthy()
        else:
            self._begun_again(error)

    def _healthy(self) -> None:
        if self.fault is not None:
            log.info("store works again", store=self.path.name, queued=len(self._jobs))
        self.fault, self._damaged, self._gone_since = None, False, None

    def _trial(self) -> Failure | None:
        """Write something small that touches no record. What hinders it; None where it worked."""
        try:
            connection = self._connected()
            try_disk(self.path)
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except (sqlite3.Error, StoreError) as error:
            self._disconnect()
            return error
        return None

    def _begun_again(self, error: Failure | None) -> bool:
        """A file that can be done without, and is damaged or gone, is put aside. True where there is a new one."""
        gone = isinstance(error, StoreError) and error.code == GONE
        if self._renew is None or not (self._damaged or gone or (error is not None and is_damage(error))):
            return False
        now = time.monotonic()
        if gone and self._gone_since is None:
            self._gone_since = now
        if now < self._renew_again or (gone and now < (self._gone_since or 0.0) + CHECK_S):
            return False  # a folder that is being removed loses its files first
        self._disconnect()
        try:
            self._identity.check_folder()
            self._renew_again = now + RENEW_S
            self._renew()
            self._prepared = False
            self._connected()
        except (OSError, sqlite3.Error, StoreError):
            return False  # the fault stays, and is told
        self.renewed += 1
        why = "it was removed" if gone else "it was damaged and is put aside"
        log.error("store is begun again", store=self.path.name, reason=why)
        self._healthy()
        return True

    # ------------------------------------------------------------------------------------------------- the connection

    def _connected(self) -> sqlite3.Connection:
        """To the same file as ever. Raises `sqlite3.Error`, `StoreError`."""
        if not self._prepared:
            self._identity.check_folder()
            self._prepare()
            self._identity.take()
            self._prepared = True
        self._identity.check()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _disconnect(self) -> None:
        self._identity.forget_wal()
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error as error:
                log.warning("store did not close cleanly", store=self.path.name, error=str(error))
            self._connection = None
