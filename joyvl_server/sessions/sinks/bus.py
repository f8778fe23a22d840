"""The bus of one session: what happens in it goes to every sink that wants it. A sink that fails hurts no other.

Each sink has a failure edge: what it raises is logged when that starts and when it is over, and counted. A sink that
waits has a bounded queue and a task of its own; what does not fit is dropped, counted and told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.sinks.base import QueuedSink, Sink
from joyvl_server.sessions.sinks.messages import Message, SessionEnded

log = structlog.get_logger(__name__)

HANDLE_S = 30.0
"""how long a sink may take over one message"""
CLOSE_S = 2.0
"""how long the sinks of a session that has ended may take, all together, for what they still hold"""
WELL_S = 60.0
"""a fault is over when a sink works and nothing has failed for so long"""


class SinkHealth:
    """Whether one sink works, over all sessions of a server. Each kind of fault is logged once until it works again."""

    def __init__(self, name: str, clock: Clock, metrics: Metrics) -> None:
        self.name = name
        self.failing = False
        self._clock = clock
        self._metrics = metrics
        self._failed_at = float("-inf")
        self._told: set[tuple[str, str]] = set()
        metrics.sink_failing.labels(name).set(0)

    def failed(self, session_id: str, error: Exception, doing: str = "message") -> None:
        """`doing`: what it did then, a word for the log."""
        self._metrics.sink_failures.labels(self.name).inc()
        self._fault(session_id, doing, f"{type(error).__name__}: {error}", error)

    def dropped(self, session_id: str) -> None:
        """A message was lost: there was no room for it."""
        self._metrics.sink_dropped.labels(self.name).inc()
        self._fault(session_id, "queue", "It does not keep up: messages are dropped.")

    def worked(self) -> None:
        if self.failing and self._clock.monotonic() - self._failed_at >= WELL_S:
            self.failing = False
            self._told.clear()
            self._metrics.sink_failing.labels(self.name).set(0)
            log.info("sink works again", sink=self.name)

    def _fault(self, session_id: str, doing: str, what: str, error: Exception | None = None) -> None:
        self._failed_at = self._clock.monotonic()
        kind = (doing, type(error).__name__)
        if kind in self._told:
            return
        self._told.add(kind)
        self.failing = True
        self._metrics.sink_failing.labels(self.name).set(1)
        unexpected = None if isinstance(error, JoyvlError | TimeoutError) else error
        log.error("sink fails", sink=self.name, session=session_id, doing=doing, error=what, exc_info=unexpected)


class Bus:
    """`publish` from the event loop only. Messages reach each sink in the order in which they were published."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._routes: dict[type, tuple[_Feed, ...]] = {}
        self._queued: list[_QueuedFeed] = []
        self._waiting: deque[Message] = deque()
        self._publishing = False
        self._ended = False

    def attach(self, sink: Sink | QueuedSink, health: SinkHealth) -> None:
        """From now on it gets what it wants; what was published before is gone."""
        feed: _Feed
        if isinstance(sink, QueuedSink):
            feed = _QueuedFeed(self._session_id, sink, health)
            self._queued.append(feed)
        else:
            feed = _DirectFeed(self._session_id, sink, health)
        for wanted in dict.fromkeys(sink.wants):
            self._routes[wanted] = (*self._routes.get(wanted, ()), feed)

    def publish(self, message: Message) -> None:
        """Hand it to every sink that wants it. Never waits, never raises; what a sink publishes comes after it.

        `SessionEnded` is the last message: what a sink still publishes while it finishes goes to nobody.
        """
        if self._ended:
            return
        self._ended = isinstance(message, SessionEnded)
        self._waiting.append(message)
        if self._publishing:
            return
        self._publishing = True
        try:
            while self._waiting:
                message = self._waiting.popleft()
                for feed in self._routes.get(type(message), ()):
                    feed.put(message)
        finally:
            self._publishing = False

    def start(self) -> None:
        """Begin to work off the queues. `aclose` ends it."""
        for feed in self._queued:
            feed.start()

    async def aclose(self) -> None:
        """Let every sink finish what it holds, within `CLOSE_S`; what is left then is lost, and counted.

        Cancelled, it ends them at once.
        """
        await asyncio.gather(*(feed.aclose() for feed in self._queued))


class _Feed(Protocol):
    def put(self, message: Message) -> None: ...


class _DirectFeed:
    def __init__(self, session_id: str, sink: Sink, health: SinkHealth) -> None:
        self._session_id = session_id
        self._sink = sink
        self._health = health

    def put(self, message: Message) -> None:
        try:
            self._sink.take(message)
        except Exception as error:  # the sink's edge: whatever it was, the others still get the message
            self._health.failed(self._session_id, error)
        else:
            if self._health.failing:
                self._health.worked()


class _QueuedFeed:
    def __init__(self, session_id: str, sink: QueuedSink, health: SinkHealth) -> None:
        self._session_id = session_id
        self._sink = sink
        self._health = health
        self._queue: asyncio.Queue[Message] = asyncio.Queue(max(1, sink.capacity))
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def put(self, message: Message) -> None:
        if self._closed or self._queue.full():
            self._drop(message)
        else:
            self._queue.put_nowait(message)

    def _drop(self, message: Message) -> None:
        self._health.dropped(self._session_id)
        try:
            self._sink.dropped(message)
        except Exception as error:  # the sink's edge
            self._health.failed(self._session_id, error)

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"sink {self._health.name} of {self._session_id}")

    async def aclose(self) -> None:
        self._closed = True
        try:
            if self._task is not None:
                await self._within_limit(self._queue.join())
        finally:
            try:
                await self._end()
            finally:
                await self._within_limit(self._sink.aclose())

    async def _within_limit(self, finishing: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await finishing
        except TimeoutError:
            self._health.failed(self._session_id, TimeoutError(f"It did not finish within {CLOSE_S:g} s."), "close")
        except Exception as error:  # the sink's edge
            self._health.failed(self._session_id, error, "close")

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSE_S)  # somebody else's code may not let itself be cancelled
        while not self._queue.empty():
            self._drop(self._queue.get_nowait())

    async def _run(self) -> None:
        while True:
            message = await self._queue.get()
            try:
                async with asyncio.timeout(HANDLE_S):
                    await self._sink.handle(message)
            except TimeoutError:
                self._health.failed(self._session_id, TimeoutError(f"It took longer than {HANDLE_S:g} s."))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self._health.failed(self._session_id, RuntimeError("Something that it waited for was cancelled."))
            except Exception as error:  # the sink's edge: it hears of the next message all the same
                self._health.failed(self._session_id, error)
            else:
                if self._health.failing:
                    self._health.worked()
            finally:
                self._queue.task_done()
