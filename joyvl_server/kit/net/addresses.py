"""Addresses and the rules about them: which ones no camera ever has, and what `allow` and `deny` name.

An IPv6 address may carry an IPv4 address: both count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from joyvl_server.core.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOST_RULE = re.compile(r"(?:\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("169.254.169.254/32", "a cloud metadata address"),
        ("169.254.170.2/32", "a cloud metadata address"),
        ("100.100.100.200/32", "a cloud metadata address"),
        ("168.63.129.16/32", "a cloud metadata address"),
        ("192.0.0.192/32", "a cloud metadata address"),
        ("fd00:ec2::254/128", "a cloud metadata address"),
        ("fd20:ce::254/128", "a cloud metadata address"),
        ("169.254.0.0/16", "a link-local address"),
        ("fe80::/10", "a link-local address"),
        ("0.0.0.0/8", "the unspecified address"),
        ("::/128", "the unspecified address"),
        ("224.0.0.0/4", "a multicast address"),
        ("ff00::/8", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
    )
)


def parse_rule(rule: str) -> Network | str:
    """One entry of `allow` or `deny`: a network, or a host name in lower case. Raises `ConfigError`."""
    text = rule.strip()
    try:
        return ip_network(text, strict=False)
    except ValueError:
        name = text.lower().rstrip(".")
        if "/" in text or not _HOST_RULE.fullmatch(name) or name.replace(".", "").isdigit():
            raise ConfigError(
                f"{rule!r} is neither a network (192.168.1.0/24), an address nor a host name (cam.lan, *.lan)."
            ) from None
        return name


def parse_address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def networks(rules: Iterable[str]) -> list[Network]:
    return [rule for rule in map(parse_rule, rules) if not isinstance(rule, str)]


def exactness(rules: Iterable[str], host: str) -> int | None:
    """How exactly the host is named in the rules: above any prefix length, longer names more; None where it is not."""
    matches = [
        1000 + len(rule)
        for rule in map(parse_rule, rules)
        if isinstance(rule, str) and (rule == host or (rule.startswith("*.") and host.endswith(rule[1:])))
    ]
    return max(matches, default=None)


def holds(network: Network, address: Address) -> bool:
    return network.version == address.version and int(address) & int(network.netmask) == int(network.network_address)


def within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.prefixlen >= outer.prefixlen


def embedded_addresses(address: Address) -> list[Address]:
    """The address and each IPv4 address that it carries (mapped, NAT64, 6to4, Teredo, compatible)."""
    if isinstance(address, IPv4Address):
        return [address]
    number = int(address)
    low, top = IPv4Address(number & 0xFFFFFFFF), number >> 96
    carried: list[IPv4Address] = []
    if address.ipv4_mapped or (number >> 32 == 0 and number > 0xFFFF) or top == 0x0064FF9B:
        carried.append(low)
    if number >> 80 == 0x0064FF9B0001:  # NAT64 with a local prefix: /96 or /48 (RFC 6052)
        carried += [low, IPv4Address(((number >> 64) & 0xFFFF) << 16 | (number >> 40) & 0xFFFF)]
    if address.sixtofour:
        carried.append(address.sixtofour)
    if address.teredo:
        carried += address.teredo
    return [address, *carried]
