"""Short-lived keys that a server hands to its browsers: each opens one call or one Realtime connection."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from joyvl_server.api.http.problems import Unavailable
from joyvl_server.api.schemas.calls import CallSession
from joyvl_server.core.errors import NotAllowed
from joyvl_server.kit.clock import Clock

PREFIX = "ek_"
MAX_SECRETS = 1024


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """`session` is what it opens; `caller` who made it. `until` is a monotonic moment."""

    session: CallSession
    caller: str
    until: float


class ClientSecrets:
    """Only digests of the keys are kept, and nothing of one that was used or is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, ClientSecret] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def create(self, session: CallSession, caller: str, seconds: int) -> str:
        """A new key. Raises `Unavailable` while too many are valid."""
        now = self._clock.monotonic()
        self._kept = {digest: kept for digest, kept in self._kept.items() if kept.until > now}
        if len(self._kept) >= MAX_SECRETS:
            raise Unavailable(f"{MAX_SECRETS} client secrets are valid; use them first.", code="too_many_secrets")
        key = PREFIX + secrets.token_urlsafe(32)
        self._kept[_digest(key)] = ClientSecret(session, caller, now + seconds)
        return key

    def caller_of(self, key: str) -> str | None:
        """See `EphemeralKeys`."""
        secret = self._find(key)
        return None if secret is None else secret.caller

    def take(self, key: str | None) -> ClientSecret | None:
        """Use it up; `give_back` where nothing came of it. None: it is no such key.

        Raises `NotAllowed` (client_secret_used) where it was used or is over, and no other key is asked for.
        """
        if key is None or not key.startswith(PREFIX):
            return None
        secret = self._find(key)
        if secret is None:
            raise NotAllowed("This client secret was used or is over; make a new one.", code="client_secret_used")
        del self._kept[_digest(key)]
        return secret

    def give_back(self, key: str, secret: ClientSecret) -> None:
        self._kept[_digest(key)] = secret

    def _find(self, key: str) -> ClientSecret | None:
        secret = self._kept.get(_digest(key))
        return None if secret is None or secret.until <= self._clock.monotonic() else secret


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
