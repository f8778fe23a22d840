"""UDP ports of calls. The system itself says which ones are free, so that no worker can take another one's."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterable, Sequence

from joyvl_server.core.errors import SourceError

TRIES = 16
"""Ports of the system's choice that are tried until one is free on all addresses."""


class UdpPorts:
    """`first_and_last`: the ports that calls may have; None: any that the system gives."""

    def __init__(self, first_and_last: tuple[int, int] | None) -> None:
        self._ports = None if first_and_last is None else range(first_and_last[0], first_and_last[1] + 1)

    def bind(self, addresses: Sequence[str]) -> list[socket.socket]:
        """One socket for each address, all on the same port; an address that can't be used is left out.

        It begins anywhere in the range: what still comes for the call before reaches nobody. Raises `SourceError`
        (no_udp_port) where no port is free, or no address can be used.
        """
        if not addresses:
            return []
        faults: dict[str, OSError] = {}
        for port in self._order():
            opened = _bind_all(addresses, port, faults)
            if opened:
                return opened
            if len(faults) == len(addresses):
                why = next(iter(faults.values())).strerror or "no address of this machine can be used"
                raise SourceError(f"No UDP port can be opened for a call: {why}.", code="no_udp_port")
        if self._ports is None:
            raise SourceError("This machine has no free UDP port for a call.", code="no_udp_port")
        raise SourceError(
            f"All UDP ports for calls are taken ({len(self._ports)}, webrtc.udp_ports). Hang up another call first.",
            code="no_udp_port",
        )

    def free(self, addresses: Sequence[str]) -> int:
        """How many ports of the range calls could take now; 0 without a range. It tries each one of them."""
        count = 0
        for port in self._ports or ():
            opened = _bind_all(addresses, port, {})
            count += bool(opened)
            _close(opened)
        return count

    def _order(self) -> Iterable[int]:
        if self._ports is None:
            return [0] * TRIES
        begin = random.randrange(len(self._ports))
        return [*self._ports[begin:], *self._ports[:begin]]


def _bind_all(addresses: Sequence[str], port: int, faults: dict[str, OSError]) -> list[socket.socket]:
    """Empty where the port is taken on one of the addresses. `faults`: addresses that can't be used, added to."""
    opened: list[socket.socket] = []
    for address in addresses:
        if address in faults:
            continue
        try:
            opened.append(_bind(address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                _close(opened)
                return []
            faults[address] = error
            continue
        port = port or opened[0].getsockname()[1]
    return opened


def _bind(address: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.bind((address, port))
    except OSError:
        opened.close()
        raise
    return opened


def _close(opened: Iterable[socket.socket]) -> None:
    for one in opened:
        one.close()
