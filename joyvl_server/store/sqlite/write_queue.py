"""The writer's bounded queue: which jobs are awaited, which are in a hurry, and what is dropped where it is full."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from joyvl_server.core.errors import StoreError

log = structlog.get_logger(__name__)

BATCH = 256
"""Jobs in one transaction."""
PATIENCE_S = 5.0
"""Seconds that posts without hurry wait for others, to share a transaction: what `kill -9` may lose of them. A commit
writes whole pages."""


class Work(Protocol):
    """Runs in the writer's thread, inside a transaction. It neither begins nor commits anything."""

    def __call__(self, connection: sqlite3.Connection, /) -> Any: ...


class PostListener(Protocol):
    """Called in the writer's thread once a posted write has its outcome."""

    def settled(self, *, kept: bool) -> None:
        """`kept`: it is written. Otherwise it is lost."""


@dataclass(slots=True)
class WriteJob:
    """One write, to be committed together with others."""

    work: Work
    future: Future[Any] | None
    """None: nobody awaits it."""
    hurry: bool = True
    """False: it may wait for others"""
    listener: PostListener | None = None
    tries: int = 0


class WriteQueue:
    """In order, at most `limit` of each kind: awaited, posted, posted without hurry. Thread-safe."""

    def __init__(self, name: str, limit: int) -> None:
        self.refused = 0
        """posts dropped because it was full or closed"""
        self._name = name
        self._limit = limit
        self._jobs: deque[WriteJob] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._woken = False
        self._overflowed = 0
        self._awaited = 0
        self._patient = 0

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def closing(self) -> bool:
        return self._closing

    def submit(self, work: Work) -> Future[Any]:
        """Raises `StoreError` where closed or overloaded."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closing:
                raise StoreError("The store is closed.", code="store_closed")
            if self._awaited >= self._limit:
                raise StoreError(f"More than {self._limit} writes wait for the disk. Try again.", code="store_busy")
            self._awaited += 1
            self._jobs.append(WriteJob(work, future))
            self._changed.notify()
        return future

    def post(self, job: WriteJob, *, late: bool = False) -> bool:
        """False where it is full, or closed and not `late`, and the job was dropped."""
        with self._changed:
            hurried = len(self._jobs) - self._awaited - self._patient
            if (self._closing and not late) or (hurried if job.hurry else self._patient) >= self._limit:
                self.refused += 1
                self._overflowed += 1
                first = self._overflowed == 1
            else:
                self._jobs.append(job)
                self._patient += not job.hurry
                self._changed.notify()
                return True
        if first:
            reason = "closed" if self._closing else "queue full"
            log.error("store drops records", store=self._name, reason=reason, limit=self._limit)
        return False

    def put_back(self, jobs: Iterable[WriteJob]) -> None:
        """Put jobs that nobody awaits back to the front, in their order."""
        returned = list(jobs)
        with self._changed:
            self._jobs.extendleft(reversed(returned))
            self._patient += sum(not job.hurry for job in returned)

    def close(self) -> None:
        """Take nothing more."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def wake(self) -> None:
        """Make `take` return at once, without a job."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def take(self, wait_s: float, *, pause_s: float = 0.0) -> list[WriteJob] | None:
        """The next jobs; none where nothing has come for `wait_s`; None when closed and nothing is left.

        Until `pause_s` are over only an awaited job ends the wait.
        """
        with self._changed:
            if pause_s and not self._awaited:
                self._changed.wait_for(lambda: self._closing or self._awaited > 0, pause_s)
            self._changed.wait_for(lambda: self._closing or self._woken or len(self._jobs) > 0, wait_s)
            woken, self._woken = self._woken, False
            if woken or not self._jobs:
                return None if self._closing and not self._jobs else []
            self._changed.wait_for(self._worthwhile, PATIENCE_S)
            batch = [self._jobs.popleft() for _ in range(min(BATCH, len(self._jobs)))]
            self._awaited -= sum(job.future is not None for job in batch)
            self._patient -= sum(not job.hurry for job in batch)
            recovered = self._overflowed if len(self._jobs) < self._limit // 2 and not self._closing else 0
            self._overflowed -= recovered
        if recovered:
            log.info("store keeps up again", store=self._name, dropped=recovered)
        return batch

    def _worthwhile(self) -> bool:
        """Is there a job in a hurry, or enough for a full transaction?"""
        return self._closing or len(self._jobs) > self._patient or len(self._jobs) >= BATCH
