"""What engines behind a server have sent and what of it was cached: taken over into counters at every scrape."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from prometheus_client import CollectorRegistry, Counter

from joyvl_server.sessions.registry import Registry

FIELDS = {
    "requests": ("joyvl_engine_requests", "Requests to an engine."),
    "prompt": ("joyvl_prompt_tokens", "Prompt tokens of all requests, as the engine counts them."),
    "cached": ("joyvl_cached_tokens", "Prompt tokens that were found in the engine's prefix cache."),
    "images": ("joyvl_prompt_images", "Pictures sent by their bytes."),
    "bytes": ("joyvl_prompt_bytes", "Bytes of all messages sent."),
    "forgotten": ("joyvl_forgotten_images", "Requests that named a picture which the engine no longer had."),
}


@runtime_checkable
class Counted(Protocol):
    """An engine that counts what it sends; its `usage` has the fields above, which only grow."""

    @property
    def usage(self) -> object: ...


class UsageMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._counters = {
            field: Counter(name, words, ["engine"], registry=registry) for field, (name, words) in FIELDS.items()
        }
        self._seen: dict[tuple[str, str], int] = {}

    def take(self, registry: Registry) -> None:
        """Add what has come since the last time. For the event loop: engines count there."""
        for scheduler in registry.schedulers():
            name = scheduler["engine"]
            engine = registry.engines.get(name)
            if isinstance(engine, Counted):
                for field, counter in self._counters.items():
                    now = int(getattr(engine.usage, field, 0))
                    before = self._seen.get((name, field), 0)
                    # An engine that was made anew counts from zero.
                    counter.labels(name).inc(now - before if now >= before else now)
                    self._seen[name, field] = now
