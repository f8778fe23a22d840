"""What the HTTP edge counts, and what it takes over from engines and store when metrics are read."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from joyvl_server.sessions.registry import Registry

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
USAGE_FIELDS = {
    "requests": ("joyvl_engine_requests", "Requests to an engine."),
    "prompt": ("joyvl_prompt_tokens", "Prompt tokens of all requests, as the engine counts them."),
    "cached": ("joyvl_cached_tokens", "Prompt tokens that were found in the engine's prefix cache."),
    "images": ("joyvl_prompt_images", "Pictures sent by their bytes."),
    "bytes": ("joyvl_prompt_bytes", "Bytes of all messages sent."),
    "forgotten": ("joyvl_forgotten_images", "Requests that named a picture which the engine no longer had."),
}


class HttpMetrics:
    """Labels are bounded: the route's template, never the path; an unknown method is `other`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "joyvl_http_requests",
            "Requests by method, route template and status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.duration = Histogram(
            "joyvl_http_request_duration_seconds",
            "From a request's headers to the first byte of its answer.",
            ["method", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.streams = Gauge("joyvl_update_streams", "Update streams open now.", ["transport"], registry=registry)
        self.slow = Counter(
            "joyvl_update_streams_slow", "Update streams closed because the client read too slowly.", registry=registry
        )
        self.certificate_end = Gauge(
            "joyvl_tls_certificate_expiry_timestamp_seconds",
            "When the certificate of https is over, Unix time; 0: there is none.",
            registry=registry,
        )
        self.key_end = Gauge(
            "joyvl_api_key_expiry_timestamp_seconds",
            "When the next of the API keys made for long is over, Unix time; 0: none ends.",
            registry=registry,
        )


@runtime_checkable
class CountsUsage(Protocol):
    """An engine that counts what it sends; its `metrics` has the fields of `USAGE_FIELDS`, which only grow."""

    @property
    def usage(self) -> object: ...


class EngineUsageMetrics:
    """What engines behind a server have sent and what of it was cached: taken over into counters at every scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counters = {
            field: Counter(name, words, ["engine"], registry=registry) for field, (name, words) in USAGE_FIELDS.items()
        }
        self._seen: dict[tuple[str, str], int] = {}

    def take(self, registry: Registry) -> None:
        """Add what has come since the last time. For the event loop: engines count there."""
        for scheduler in registry.schedulers():
            name = scheduler["engine"]
            engine = registry.engines.get(name)
            if isinstance(engine, CountsUsage):
                for field, counter in self._counters.items():
                    now = int(getattr(engine.usage, field, 0))
                    before = self._seen.get((name, field), 0)
                    # A new engine of that name counts from zero.
                    counter.labels(name).inc(now - before if now >= before else now)
                    self._seen[name, field] = now


class HostMetrics:
    """The disk under the data folder, and the server's own process. Media workers are processes of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._free = Gauge(
            "joyvl_disk_free_bytes", "Free for the server on the disk of the data folder.", registry=registry
        )
        self._size = Gauge("joyvl_disk_size_bytes", "Size of the disk of the data folder.", registry=registry)
        self._memory = Gauge("joyvl_process_resident_bytes", "Memory of the server's own process.", registry=registry)
        self._files = Gauge("joyvl_process_open_files", "Open files of the server's own process.", registry=registry)
        self._started = Gauge("joyvl_process_start_seconds", "When the process began, Unix time.", registry=registry)
        self._cpu = Counter("joyvl_process_cpu_seconds", "Processor time of the server's process.", registry=registry)
        self._cpu_seen = 0.0

    def look(self, folder: Path) -> None:
        """Blocks. What cannot be read keeps its last value."""
        with suppress(OSError):
            usage = shutil.disk_usage(folder)
            self._free.set(usage.free)
            self._size.set(usage.total)
        with suppress(OSError, ValueError, IndexError):
            self._files.set(len(os.listdir("/proc/self/fd")))
            self._memory.set(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
            ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
            boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
            self._started.set(boot + ticks / os.sysconf("SC_CLK_TCK"))
        now = time.process_time()
        self._cpu.inc(max(0.0, now - self._cpu_seen))
        self._cpu_seen = now


class StoreMetrics:
    """How store, memory and hooks are doing: taken over into gauges and counters at every scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.host = HostMetrics(registry)
        self._memory_fault = Gauge(
            "joyvl_memory_fault", "1 while memories are not found by meaning: embedder or index is away.",
            registry=registry,
        )  # fmt: skip
        self._hooks = Gauge(
            "joyvl_hooks", "Enabled hooks, by whether the last message arrived.", ["state"], registry=registry
        )
        self._hook_failing = Gauge(
            "joyvl_hook_failing_seconds", "How long the hook that fails longest has failed.", registry=registry
        )
        self._fault = Gauge(
            "joyvl_store_fault",
            "1 while a database cannot be written, or is damaged or gone.",
            ["store"],
            registry=registry,
        )
        self._pending = Gauge("joyvl_store_pending", "Writes that wait for the disk.", ["store"], registry=registry)
        self._dropped = Counter("joyvl_store_dropped", "Records that were lost.", ["store"], registry=registry)
        self._renewed = Counter(
            "joyvl_store_renewed",
            "How often a damaged database was renamed and an empty one made.",
            ["store"],
            registry=registry,
        )
        self._seen: dict[tuple[str, str], int] = {}
        self._files_fault = Gauge(
            "joyvl_timeline_fault", "1 while pictures of events cannot be written.", registry=registry
        )
        self._files_bytes = Gauge(
            "joyvl_timeline_bytes", "Bytes of all pictures and clips of events.", registry=registry
        )
        self._files_waiting = Gauge("joyvl_timeline_pending", "Pictures that wait for the disk.", registry=registry)
        self._files_dropped = Counter("joyvl_timeline_dropped", "Pictures that were not written.", registry=registry)

    def take(self, registry: Registry) -> None:
        """For the event loop."""
        self._memory_fault.set(registry.memory.ready() is not None)
        failing = registry.alerts.failing_for()
        self._hooks.labels("failing").set(sum(seconds > 0 for seconds in failing))
        self._hooks.labels("working").set(sum(seconds == 0 for seconds in failing))
        self._hook_failing.set(max(failing, default=0.0))
        files, seen = registry.timeline.files, self._seen.get(("files", "dropped"), 0)
        self._files_fault.set(files.fault is not None)
        self._files_bytes.set(files.quota.used)
        self._files_waiting.set(files.waiting)
        self._files_dropped.inc(files.dropped - seen)
        self._seen["files", "dropped"] = files.dropped
        for name, database in registry.store:
            dropped = registry.ticks.dropped if database is registry.store.ticks else database.dropped
            self._fault.labels(name).set(database.fault is not None)
            self._pending.labels(name).set(database.pending)
            self._dropped.labels(name).inc(dropped - self._seen.get((name, "dropped"), 0))
            self._renewed.labels(name).inc(database.renewed - self._seen.get((name, "renewed"), 0))
            self._seen |= {(name, "dropped"): dropped, (name, "renewed"): database.renewed}
