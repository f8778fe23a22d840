"""The sinks of a server: ours in one list, and those that other packages bring."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import structlog

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import plugins
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.threads import BoundedThreads
from joyvl_server.sessions.memory.asking import RecallSink
from joyvl_server.sessions.memory.sink import MemorySink
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.sinks.base import QueuedSink, Sink, SinkContext
from joyvl_server.sessions.sinks.bus import SinkHealth
from joyvl_server.sessions.sinks.queries import QuerySink
from joyvl_server.sessions.sinks.tasks import TaskSink
from joyvl_server.sessions.sinks.timeline import TimelineSink
from joyvl_server.sessions.sinks.updates import UpdateSink
from joyvl_server.sessions.sinks.voice import VoiceSink
from joyvl_server.sessions.sinks.watches import WatchSink

log = structlog.get_logger(__name__)

GROUP = "joyvl.sinks"
IMPORT_S = 30.0
"""how long the import of a sink may take"""

BuildSink = Callable[[SinkContext], Sink | QueuedSink]

BUILT_IN: dict[str, BuildSink] = {
    "timeline": TimelineSink, "updates": UpdateSink, "queries": QuerySink, "watches": WatchSink, "tasks": TaskSink,
    "voice": VoiceSink, "memory": MemorySink, "recall": RecallSink,
}  # fmt: skip


class SinkRegistry:
    """`load` finds the sinks of other packages; `attach` gives a session one of each."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._builders: dict[str, BuildSink] = dict(BUILT_IN)
        self._health = {name: SinkHealth(name, clock, metrics) for name in BUILT_IN}

    async def load(self) -> None:
        """Import what is installed, off the loop. A package that cannot be used is told, and left out.

        Cancelled, an import that has begun goes on by itself.
        """
        threads = BoundedThreads("import of a sink", limit=4, timeout_s=IMPORT_S)
        for name in plugins.names(GROUP):
            error: Exception
            if name in BUILT_IN:
                error = ConfigError("joyvl-server has a sink of that name.")
            else:
                try:
                    found = await threads.run(lambda name=name: plugins.load(GROUP, name))  # type: ignore[misc]
                    self.add(name, cast(BuildSink, found))
                    continue
                except ConfigError as raised:
                    error = raised
                except TimeoutError:
                    error = ConfigError(f"It was not imported within {IMPORT_S:g} s.")
            self._metrics.sink_failures.labels(name).inc()
            self._metrics.sink_failing.labels(name).set(1)
            log.error("sink cannot be used", sink=name, error=str(error))

    def add(self, name: str, build: BuildSink) -> None:
        """Every session that begins from now on gets this sink too."""
        self._builders[name] = build
        self._health[name] = SinkHealth(name, self._clock, self._metrics)

    def attach(self, context: SinkContext) -> None:
        """One sink of each kind joins the session's bus. One that cannot be built is told, and left out."""
        for name, build in self._builders.items():
            health = self._health[name]
            try:
                sink = build(context)
                context.bus.attach(sink, health)
            except Exception as error:  # somebody else's code: the session goes on without it
                health.failed(context.record.id, error, "build")
