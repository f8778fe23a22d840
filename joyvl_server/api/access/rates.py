"""How often one client may ask: a key with all its browsers, a browser of a link, or an address without either."""

from __future__ import annotations

from collections import OrderedDict

from joyvl_server.kit.clock import Clock

BURST_S = 10.0
"""A client that was quiet may ask at once what it may ask in this time: a page loads a hundred files."""
MAX_CLIENTS = 4096


class RequestRates:
    """A token bucket for each client. `per_s` 0: no limit. The table forgets the client that was quiet longest."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._per_s = per_s
        self._most = per_s * BURST_S
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def wait_s(self, client: str) -> float:
        """Count one request: 0 where it may pass, else the seconds until the next one may."""
        if not self._per_s:
            return 0.0
        now = self._clock.monotonic()
        left, at = self._left.get(client, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_s)
        passes = left >= 1.0
        self._left[client] = (left - 1.0 if passes else left, now)
        self._left.move_to_end(client)
        while len(self._left) > MAX_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if passes else (1.0 - left) / self._per_s
