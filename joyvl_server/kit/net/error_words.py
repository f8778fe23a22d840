"""What a server says of an error, whichever shape it gives that."""

from __future__ import annotations


def words_of(data: object) -> str:
    """The words in `{"error": {"message": …}}`, `{"detail": …}` and the like; empty where there are none."""
    for _ in range(4):
        if isinstance(data, list) and data:
            data = data[0]
        if not isinstance(data, dict):
            break
        data = next((data[name] for name in ("error", "message", "detail", "msg") if data.get(name)), None)
    return data if isinstance(data, str) else ""
