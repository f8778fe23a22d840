"""Addresses that browsers are told in addition to this machine's own: names are looked up when a call begins."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from joyvl_server.kit.clock import Clock
from joyvl_server.kit.net.addresses import parse_address
from joyvl_server.kit.threads import BoundedThreads

log = logging.getLogger(__name__)

THREADS = 4
LOOKUP_S = 2.0
"""So long does a call wait for name servers at most."""
KEPT_S = 60.0
"""A name is not looked up again for so long, whether it had an address or not."""
MOST_OF_A_NAME = 4


@dataclass(slots=True)
class LookedUp:
    addresses: tuple[str, ...] = ()
    at: float | None = None
    failed: bool = False
    running: asyncio.Task[None] | None = None


class SystemNames:
    """Names as this machine knows them."""

    def addresses(self, name: str) -> list[str]:
        """Those that a packet can be sent to from elsewhere, at most `MOST_OF_A_NAME`. Blocks. Raises `OSError`."""
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        found = dict.fromkeys(str(answer[4][0]) for answer in answers)
        usable = [text for text in found if "%" not in text and not ip_address(text).is_unspecified]
        return usable[:MOST_OF_A_NAME]


class AdvertisedAddresses:
    """`entries` as in `WebRtcSettings`. A name that has no address (any more) is told once, and once that it has one
    again; meanwhile those that it had before are used."""

    def __init__(self, entries: Sequence[str], clock: Clock, names: SystemNames | None = None) -> None:
        self._entries = entries
        self._clock = clock
        self._system = names or SystemNames()
        self._threads = BoundedThreads("lookup of an advertised name", limit=THREADS, timeout_s=LOOKUP_S)
        self._names = {entry: LookedUp() for entry in entries if parse_address(entry) is None}

    async def now(self) -> list[str]:
        """In the order of the settings. Waits for name servers, `LOOKUP_S` at most; cancelled, for nothing."""
        due = [name for name, known in self._names.items() if self._is_due(known)]
        await asyncio.gather(*(asyncio.shield(self._lookup_of(name)) for name in due))
        found: list[str] = []
        for entry in self._entries:
            found += self._names[entry].addresses if entry in self._names else (entry,)
        return list(dict.fromkeys(found))

    def _is_due(self, known: LookedUp) -> bool:
        return known.at is None or self._clock.monotonic() - known.at > KEPT_S

    def _lookup_of(self, name: str) -> asyncio.Task[None]:
        """Calls that begin together wait for the same answer."""
        known = self._names[name]
        if known.running is None or known.running.done():
            known.running = asyncio.create_task(self._look_up(name), name=f"lookup of {name}")
        return known.running

    async def _look_up(self, name: str) -> None:
        known = self._names[name]
        try:
            addresses = await self._threads.run(lambda: self._system.addresses(name))
        except (OSError, RuntimeError, TimeoutError, UnicodeError):  # RuntimeError: no thread can be started
            addresses = []
        known.at = self._clock.monotonic()
        if not addresses and not known.failed and known.addresses:
            sentence = "%s of webrtc.advertised_addresses has no address now: browsers are told %s, as before"
            log.warning(sentence, name, ", ".join(known.addresses))
        elif not addresses and not known.failed:
            log.warning("%s of webrtc.advertised_addresses has no address: browsers are not told of it", name)
        elif addresses and known.failed:
            log.warning("%s of webrtc.advertised_addresses has an address again", name)
        known.failed = not addresses
        known.addresses = tuple(addresses) or known.addresses
