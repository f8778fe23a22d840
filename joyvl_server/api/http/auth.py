"""API keys: compared in constant time, and an address that guesses is slowed down."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import HTTPConnection

from joyvl_server.kit.clock import Clock
from joyvl_server.store.access.records import digest_of

SUBPROTOCOL = "joyvl.v1"
KEY_SUBPROTOCOL = "joyvl.bearer."
"""A browser cannot set headers on a WebSocket, so the key travels as `joyvl.bearer.<base64url of the key>`."""

OPENAI_KEY_SUBPROTOCOL = "openai-insecure-api-key."
"""… and as OpenAI's clients do it in a browser: the key as it is, next to the subprotocol `realtime`."""

MAX_FAILURES = 10
WINDOW_S = 60.0
MAX_ADDRESSES = 4096


class ApiKeys:
    """Only digests are kept; every key is compared with every digest, however early one fits."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [digest_of(key) for key in keys if key]

    def __bool__(self) -> bool:
        return bool(self._digests)

    @property
    def names(self) -> list[str]:
        """Short names of all of them, as `check` gives them."""
        return [_name(digest) for digest in self._digests]

    def check(self, key: str) -> str | None:
        """A short name of the key (safe to log and store) when it is one of ours."""
        mine = digest_of(key)
        found: str | None = None
        for digest in self._digests:
            if hmac.compare_digest(digest, mine):
                found = _name(digest)
        return found


class FailedKeyLimiter:
    """At most `MAX_FAILURES` wrong keys a minute per address; the table forgets the oldest address when it is full."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def blocked_for(self, address: str) -> float:
        """Seconds until the address may try again; 0 when it may now."""
        begun, count = self._failures.get(client_of(address), (0.0, 0))
        left = begun + WINDOW_S - self._clock.monotonic()
        return max(0.0, left) if count >= MAX_FAILURES else 0.0

    def add(self, address: str) -> None:
        group = client_of(address)
        now = self._clock.monotonic()
        begun, count = self._failures.get(group, (now, 0))
        if now - begun >= WINDOW_S:
            begun, count = now, 0
        self._failures[group] = (begun, count + 1)
        self._failures.move_to_end(group)
        while len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)


def bearer(header: str | None) -> str | None:
    """The key of an Authorization header."""
    scheme, _, key = (header or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def bearer_of_subprotocols(offered: Iterable[str]) -> str | None:
    for name in offered:
        if name.startswith(KEY_SUBPROTOCOL):
            text = name.removeprefix(KEY_SUBPROTOCOL)
            try:
                return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            except (binascii.Error, ValueError):
                return None
        if name.startswith(OPENAI_KEY_SUBPROTOCOL):
            return name.removeprefix(OPENAI_KEY_SUBPROTOCOL) or None
    return None


def key_of(connection: HTTPConnection) -> str | None:
    """The key that a request or a WebSocket came with."""
    key = bearer(connection.headers.get("authorization"))
    if key is None and connection.scope["type"] == "websocket":
        key = bearer_of_subprotocols(connection.scope.get("subprotocols", ()))
    return key


def _name(digest: str) -> str:
    return digest[:12]


def client_of(address: str) -> str:
    """Whom an address belongs to: one IPv6 customer has a whole /64."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return (
        str(ip_network((ip, 64), strict=False)) if isinstance(ip, IPv6Address) and ip.ipv4_mapped is None else str(ip)
    )
