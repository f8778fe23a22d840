"""Percentiles of what a bench measured."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """By nearest rank. Raises `IndexError` where there is no value: nothing was measured."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(values: Sequence[float]) -> dict[str, float]:
    """`p50_ms`, `p95_ms`, `max_ms`; empty where there is no value."""
    if not values:
        return {}
    return {"p50_ms": percentile(values, 50), "p95_ms": percentile(values, 95), "max_ms": max(values)}
