"""What this machine is called and where others may reach it."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

IF_INET6 = Path("/proc/net/if_inet6")
PASSING = 0x01 | 0x20 | 0x40
"""Flags of an IPv6 address that does not last: temporary (of the privacy extensions), deprecated, tentative."""
_DNS_NAME = re.compile(r"(?=.{1,253}$)(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")

Address = IPv4Address | IPv6Address


def is_dns_name(name: str) -> bool:
    return _DNS_NAME.fullmatch(name) is not None


def host_names() -> list[str]:
    """The machine's own name, also as multicast DNS has it (`nas` and `nas.local`), in small letters."""
    name = socket.gethostname().lower().rstrip(".")
    if not is_dns_name(name):
        return []
    return [name] if "." in name else [name, f"{name}.local"]


def host_addresses() -> list[str]:
    """Addresses of all interfaces that others can call, IPv4 first: no loopback, no link-local one, none that is over
    in a day. Without a network: none."""
    of_adapters = _of_adapters()
    found = dict.fromkeys(text for text in of_adapters if isinstance(text, str) and _reachable(ip_address(text)))
    sixes = _lasting_ipv6()
    if sixes is None:
        sixes = [ip_address(text[0]) for text in of_adapters if isinstance(text, tuple)]
    return [*found, *dict.fromkeys(str(six) for six in sixes if _reachable(six))]


def _of_adapters() -> list[str | tuple[str, int, int]]:
    """Texts for IPv4, tuples that begin with the text for IPv6."""
    import ifaddr  # it starts a process (ldconfig) as soon as it is imported

    try:
        return [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    except OSError:
        return []


def _reachable(address: Address) -> bool:
    return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast)


def _lasting_ipv6() -> list[Address] | None:
    """None where the kernel does not tell."""
    try:
        lines = IF_INET6.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found: list[Address] = []
    for line in lines:
        address, _, _, _, flags, *_ = line.split()
        if not int(flags, 16) & PASSING:
            found.append(IPv6Address(int(address, 16)))
    return found
