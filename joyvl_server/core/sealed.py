"""How a secret looks that is stored sealed; who seals and opens is `store/secrets/box.py`."""

from __future__ import annotations

PREFIX = "enc:v1:"
UNREADABLE = (
    "What is stored here is sealed with a key that is not there. Put the right key file back and start the server "
    "again, or write it again."
)


def is_sealed(text: str) -> bool:
    return text.startswith(PREFIX)
