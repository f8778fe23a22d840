"""Short-lived keys that a server hands to its browsers: each opens one call or one Realtime connection."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from joyvl_server.api.access.caller import Caller
from joyvl_server.api.http.problems import Unavailable
from joyvl_server.api.schemas.calls import CallSession
from joyvl_server.core.errors import NotAllowed
from joyvl_server.kit.clock import Clock
from joyvl_server.store.access.records import digest_of

PREFIX = "ek_"
MAX_SECRETS = 1024
MAX_OF_MAKER = 512
"""of one key: nobody keeps others from making theirs"""


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """`session` is what it opens; `maker` who made it: it is over with their key. `until` is a monotonic moment."""

    session: CallSession
    maker: Caller
    until: float


class ClientSecrets:
    """Only digests of the keys are kept, and nothing of one that was used or is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, ClientSecret] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def create(self, session: CallSession, maker: Caller, seconds: int) -> str:
        """A new key. Raises `Unavailable` while too many are valid."""
        now = self._clock.monotonic()
        self._kept = {digest: kept for digest, kept in self._kept.items() if self._opens(kept)}
        if len(self._kept) >= MAX_SECRETS:
            raise Unavailable(f"{MAX_SECRETS} client secrets are valid; use them first.", code="too_many_secrets")
        if sum(kept.maker.counted == maker.counted for kept in self._kept.values()) >= MAX_OF_MAKER:
            raise Unavailable(
                f"{MAX_OF_MAKER} client secrets of yours are valid; use them first.", code="too_many_secrets"
            )
        key = PREFIX + secrets.token_urlsafe(32)
        self._kept[digest_of(key)] = ClientSecret(session, maker, now + seconds)
        return key

    def maker_of(self, key: str) -> Caller | None:
        """Who made this key; None where it is not known or is over."""
        secret = self._find(key)
        return None if secret is None else secret.maker

    @contextmanager
    def used(self, key: str | None, wanted: CallSession) -> Iterator[CallSession]:
        """The session to open with this key. It comes with the secret where the key is one; only a secret without one
        leaves the choice to the client. Where the block fails or is cancelled, the secret may be used again.

        Raises `NotAllowed` (client_secret_used) for a secret that was used or is over, where no other key is asked for.
        """
        if key is None or not key.startswith(PREFIX):
            yield wanted
            return
        secret = self._find(key)
        if secret is None:
            raise NotAllowed("This client secret was used or is over; make a new one.", code="client_secret_used")
        del self._kept[digest_of(key)]
        try:
            yield secret.session if secret.session.model_fields_set else wanted
        except BaseException:
            self._kept[digest_of(key)] = secret
            raise

    def _find(self, key: str) -> ClientSecret | None:
        secret = self._kept.get(digest_of(key))
        return secret if secret is not None and self._opens(secret) else None

    def _opens(self, secret: ClientSecret) -> bool:
        maker = secret.maker
        over = maker.until_wall is not None and maker.until_wall <= self._clock.wall()
        return not over and not maker.ended.is_set() and secret.until > self._clock.monotonic()
