"""How a secret looks that is stored sealed; who seals and opens is `store/secrets/box.py`."""

from __future__ import annotations

PREFIX = "enc:v1:"
SHOWN = "*** (the key of this address is not there)"
"""what people see of it where it cannot be opened"""
UNREADABLE = (
    "What is stored here is sealed with a key that is not there. Put the right key file back and start the server "
    "again. Where it is gone for good, stop the server, run `joyvl secrets give-up`, start it, and write this again."
)


def is_sealed(text: str) -> bool:
    return text.startswith(PREFIX)
