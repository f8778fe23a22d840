"""What hooks may reach: public addresses, and what `alerts.allow` names. A name is resolved once for each connection,
and the checked address is what is connected to."""

from __future__ import annotations

from collections.abc import Sequence

from joyvl_server.core.errors import NotAllowed
from joyvl_server.kit.net.addresses import (
    REFUSED,
    embedded_addresses,
    exactness,
    holds,
    networks,
    parse_address,
    within,
)
from joyvl_server.kit.net.policy import Resolver, system_resolver
from joyvl_server.kit.threads import BoundedThreads
from joyvl_server.notify.base import DeliveryFailed

THREADS = 8
RESOLVE_S = 5.0


class HookReach:
    """See `NetCheck`. `allow`: the setting."""

    def __init__(self, allow: Sequence[str], *, resolve: Resolver = system_resolver) -> None:
        self._allow = tuple(allow)
        self._resolve = resolve
        self._threads = BoundedThreads("address of a hook", limit=THREADS, timeout_s=RESOLVE_S)

    async def address(self, host: str) -> str:
        """See `NetCheck.address`."""
        name = host.strip("[]").rstrip(".").lower()
        try:
            found = [name] if parse_address(name) else await self._threads.run(lambda: self._resolve(name))
        except TimeoutError:
            raise DeliveryFailed(f"The name server did not answer for {host} within {RESOLVE_S:g} s.") from None
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise DeliveryFailed(f"The name {host} has no address. Check the spelling.")
        reasons = {address: self._why_not(name, address) for address in found}
        good = next((address for address, why in reasons.items() if why is None), None)
        if good is None:
            raise NotAllowed(next(why for why in reasons.values() if why is not None))
        return good

    def _why_not(self, host: str, text: str) -> str | None:
        """Why this address is not allowed, as a sentence; None where it is."""
        shown = host if host == text else f"{host} ({text})"
        parsed = parse_address(text)
        if parsed is None:
            return f"{shown} is not an address that can be checked."
        allow = networks(self._allow)
        named = exactness(self._allow, host) is not None
        for address in embedded_addresses(parsed):
            for network, what in REFUSED:
                if holds(network, address) and not any(holds(n, address) and within(n, network) for n in allow):
                    return f"{shown} is {what}; hooks may not reach it. Name exactly it in alerts.allow if you must."
            if not address.is_global and not named and not any(holds(network, address) for network in allow):
                return f"{shown} is a private address; hooks reach only those that the setting alerts.allow names."
        return None
