"""Options of hooks as clients send them back: `***` stands for the secret that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from joyvl_server.kit.masking import MASK

_PORTS = {"http": 80, "https": 443}


def origin(url: object) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of a URL; None where it is none."""
    try:
        parts = urlsplit(str(url))
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, (parts.hostname or "").lower(), port or _PORTS.get(parts.scheme)


def restored(
    given: Mapping[str, Any], stored: Mapping[str, Any], name: str, *, keep: bool
) -> tuple[dict[str, Any], set[str]]:
    """`given`, where values of the object `name` that are `***` are the stored ones; and the names of those that are
    dropped, because there is none or because the receiver is another one (not `keep`)."""
    values = given.get(name)
    before = stored.get(name) or {}
    if values is None and before:
        values = dict.fromkeys(before, MASK)  # left out: as it was
    if not isinstance(values, Mapping):
        return dict(given), set()
    masked = {key for key, value in values.items() if value == MASK}
    dropped = {key for key in masked if not keep or key not in before}
    kept = {key: before[key] if key in masked else value for key, value in values.items() if key not in dropped}
    return {**given, name: kept}, dropped
