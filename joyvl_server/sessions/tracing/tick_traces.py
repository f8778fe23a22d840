"""Ticks as OpenTelemetry spans, made when a tick is over from the times that were taken of it. The extra `otel`."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

import structlog

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.machine.tick_timer import TickTimes
from joyvl_server.settings.traces import TraceSettings
from joyvl_server.store.ticks.records import TickRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = structlog.get_logger(__name__)

QUEUE, BATCH = 2048, 512
"""spans that may wait; what comes beyond is dropped"""
EXPORT_S = 10.0


class TickTraces:
    """`took` for each tick that was decided; `close` sends what waits."""

    def __init__(self, provider: TracerProvider, clock: Clock, share: float = 1.0) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("joyvl_server")
        self._clock = clock
        self._share = share

    def took(self, record: TickRecord, times: TickTimes) -> None:
        """Returns at once: spans are sent in a thread of their own."""
        if self._share < 1 and random.random() >= self._share:
            return
        from opentelemetry import trace

        end = self._clock.monotonic()
        offset = self._clock.wall() - end
        phases = [("look", times.look_began, times.look_ended), ("lease", times.due, times.began)]
        if times.asked is not None:
            phases.append(("append", times.began, times.asked))
            phases.append(("score", times.asked, times.scored or end))
        if times.scored is not None and record.decision != "silent":
            phases.append(("say", times.scored, end))
        shown = [
            (name, begin, max(begin, until)) for name, begin, until in phases if begin is not None and until is not None
        ]
        whole = self._tracer.start_span(
            "tick", start_time=_ns(min(begin for _, begin, _ in shown), offset), attributes=_attributes(record)
        )
        context = trace.set_span_in_context(whole)
        for name, begin, until in shown:
            self._tracer.start_span(name, context, start_time=_ns(begin, offset)).end(_ns(until, offset))
        whole.end(_ns(end, offset))

    def close(self) -> None:
        """Send what waits, within some seconds. Blocks."""
        self._provider.shutdown()


def open_traces(settings: TraceSettings, clock: Clock) -> TickTraces | None:
    """None where traces are off: then nothing of OpenTelemetry is imported. Raises `ConfigError` without the extra."""
    if not settings.endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError("traces.endpoint needs the extra otel: scripts/run --with otel.") from None
    exporter = OTLPSpanExporter(endpoint=settings.endpoint, timeout=EXPORT_S)
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a fault is told once, by us
    provider = open_provider(settings)
    provider.add_span_processor(
        BatchSpanProcessor(_told_once(exporter), max_queue_size=QUEUE, max_export_batch_size=BATCH)
    )
    return TickTraces(provider, clock, settings.share)


def open_provider(settings: TraceSettings) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    from joyvl_server import __version__

    resource = Resource({"service.name": settings.service, "service.version": __version__})
    return TracerProvider(resource=resource, shutdown_on_exit=False)


def _told_once(exporter: SpanExporter) -> SpanExporter:
    """The same exporter, whose faults are logged when they begin and when they end."""
    from opentelemetry.sdk.trace.export import SpanExportResult

    export, failing = exporter.export, False

    def guarded(spans: object) -> object:
        nonlocal failing
        try:
            result = export(spans)  # type: ignore[arg-type]
        except Exception as error:  # the sender's thread goes on
            result = SpanExportResult.FAILURE
            log.debug("traces", error=type(error).__name__)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not failing:
            log.warning("traces cannot be sent")
        elif failing and not failed:
            log.info("traces are sent again")
        failing = failed
        return result

    exporter.export = guarded  # type: ignore[method-assign, assignment]
    return exporter


def _attributes(record: TickRecord) -> dict[str, str | float | int]:
    """No words of people, no address, no picture."""
    found: dict[str, str | float | int | None] = {
        "joyvl.session": record.session_id,
        "joyvl.tick": record.id,
        "joyvl.decision": record.decision,
        "joyvl.look": record.look,
        "joyvl.score": record.score,
        "joyvl.threshold": record.threshold,
        "joyvl.suppressed": record.suppressed,
        "joyvl.frame_age_ms": record.frame_age_ms,
        "joyvl.total_ms": record.total_ms,
    }
    return {name: value for name, value in found.items() if value is not None}


def _ns(monotonic: float, offset: float) -> int:
    return int((monotonic + offset) * 1e9)
