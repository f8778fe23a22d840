"""How the store is doing: taken over into gauges and counters at every scrape."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from joyvl_server.sessions.registry import Registry


class StoreMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
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

    def take(self, registry: Registry) -> None:
        """For the event loop."""
        for name, database in registry.store:
            dropped = registry.ticks.dropped if database is registry.store.ticks else database.dropped
            self._fault.labels(name).set(database.fault is not None)
            self._pending.labels(name).set(database.pending)
            self._dropped.labels(name).inc(dropped - self._seen.get((name, "dropped"), 0))
            self._renewed.labels(name).inc(database.renewed - self._seen.get((name, "renewed"), 0))
            self._seen |= {(name, "dropped"): dropped, (name, "renewed"): database.renewed}
