"""What the sessions count. Base units, prefix `joyvl_`; docs/reference/metrics.md describes each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from joyvl_server.sessions.machine.tick_timer import TickTracer

# From a millisecond (a tick waiting for the wire) to ten seconds (an engine out of breath).
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One set per server: no module global, so that two servers in one process count apart."""

    def __init__(self) -> None:
        self.traces: TickTracer | None = None
        """hears of every tick, where traces are on"""
        self.registry = r = CollectorRegistry(auto_describe=True)
        self.sessions = Gauge("joyvl_sessions", "Sessions that run now.", ["kind"], registry=r)
        self.sources = Gauge("joyvl_sources", "Sources of running sessions by status.", ["status"], registry=r)
        self.decisions = Counter("joyvl_decisions", "Ticks that took a decision.", ["decision"], registry=r)
        self.skipped = Counter("joyvl_ticks_skipped", "Ticks that took no decision, by reason.", ["reason"], registry=r)
        self.suppressed = Counter(
            "joyvl_remarks_suppressed",
            "Remarks the engine wanted to make and the session did not.",
            ["reason"],
            registry=r,
        )
        self.garbage = Counter(
            "joyvl_garbage_answers", "Answers outside the protocol; they count as silence.", registry=r
        )
        self.engine_failures = Counter(
            "joyvl_engine_failures", "Failed calls of an engine.", ["engine", "code"], registry=r
        )
        self.engine_pressure = Gauge(
            "joyvl_engine_pressure",
            "Degradation step: 0 none, 1 glances, 2 slower, 3 full.",
            ["engine"],
            registry=r,
        )
        self.engine_load = Gauge(
            "joyvl_engine_load",
            "Requested work as a share of the engine's time; above 1 it cannot keep up.",
            ["engine"],
            registry=r,
        )
        self.breaker_open = Gauge(
            "joyvl_breaker_open", "1 while an engine is away and gets no requests.", ["engine"], registry=r
        )
        self.waiting = Histogram(
            "joyvl_waiting_seconds",
            "From the moment when a tick is due to its turn at the engine.",
            buckets=SECONDS,
            registry=r,
        )
        self.slices = Counter(
            "joyvl_slices", "Slices of background work by outcome.", ["engine", "outcome"], registry=r
        )
        self.frame_age = Histogram(
            "joyvl_frame_age_seconds", "Age of the frame when its tick was due.", buckets=SECONDS, registry=r
        )
        self.request_delay = Histogram(
            "joyvl_request_delay_seconds",
            "From the moment when a tick is due to its request to the engine.",
            buckets=SECONDS,
            registry=r,
        )
        self.decision_latency = Histogram(
            "joyvl_decision_latency_seconds",
            "From the capture of a frame to its decision.",
            buckets=SECONDS,
            registry=r,
        )
        self.events = Counter("joyvl_events", "Entries written to the timeline.", ["type"], registry=r)
        self.alerts = Counter("joyvl_alerts", "New alerts.", ["kind"], registry=r)
        self.alert_messages = Counter(
            "joyvl_alert_messages",
            "Tries to send an alert to a hook, by what came of them.",
            ["hook", "outcome"],
            registry=r,
        )
        self.sink_failing = Gauge(
            "joyvl_sink_failing", "1 while a sink of sessions fails or drops messages.", ["sink"], registry=r
        )
        self.sink_failures = Counter(
            "joyvl_sink_failures", "Messages that a sink of sessions failed to handle.", ["sink"], registry=r
        )
        self.sink_dropped = Counter(
            "joyvl_sink_dropped", "Messages for which a sink of sessions had no room.", ["sink"], registry=r
        )
        self.clips = Counter("joyvl_clips", "Clips of events by outcome.", ["outcome"], registry=r)
        self.clip_bytes = Gauge("joyvl_clip_memory_bytes", "Packets of cameras kept for clips.", registry=r)
        self.crashes = Counter("joyvl_session_crashes", "Sessions restarted after an internal error.", registry=r)
