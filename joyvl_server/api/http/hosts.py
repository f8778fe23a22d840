"""Which Host names we answer to, which pages may call us, and which proxies we believe.

A page elsewhere must not drive a local server.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from joyvl_server.kit.net.own_names import host_names
from joyvl_server.settings import ServerSettings

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
WILDCARDS = ("0.0.0.0", "::", "")
DEFAULT_PORTS = {"http": 80, "https": 443}

HostPort = tuple[str, int | None]


def parse_host(value: str) -> HostPort | None:
    """(lower-case name without brackets, port or None) of a Host header; None when it is none."""
    if not value or any(c in value for c in "/\\?#@, \t"):
        return None
    try:
        parts = urlsplit(f"//{value}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or value.endswith(":"):
        return None
    return name.rstrip("."), port


def is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """`names` hold with any port, `pairs` with exactly that port. `addresses`: any IP literal will do.

    A name that resolves to us may belong to a stranger (DNS rebinding), an IP literal cannot: so when the server
    listens on every address, it answers to every literal.
    """

    names: frozenset[str]
    pairs: frozenset[HostPort]
    addresses: bool
    any: bool

    @classmethod
    def of(cls, settings: ServerSettings) -> HostPolicy:
        names = {*LOOPBACK_NAMES, settings.host.strip("[]").lower().rstrip(".")} - set(WILDCARDS)
        pairs: set[HostPort] = set()
        for entry in settings.allowed_hosts:
            # A bare IPv6 address has colons of its own.
            parsed = (entry.lower(), None) if is_address(entry) else parse_host(entry.lower())
            if parsed is not None and parsed[1] is None:
                names.add(parsed[0])
            elif parsed is not None:
                pairs.add(parsed)
        everywhere = settings.host in WILDCARDS
        if everywhere:
            # `nas` and `nas.local` stand in no public DNS: nobody elsewhere can make them lead here.
            names.update(name for name in host_names() if "." not in name or name.endswith(".local"))
        if settings.public_url:
            names.add((urlsplit(settings.public_url).hostname or "").rstrip("."))
        return cls(frozenset(names), frozenset(pairs), everywhere, "*" in settings.allowed_hosts)

    def answers_to(self, host: HostPort) -> bool:
        name = host[0]
        return self.any or name in self.names or host in self.pairs or (self.addresses and is_address(name))


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    allowed: frozenset[str]

    @classmethod
    def of(cls, settings: ServerSettings) -> OriginPolicy:
        return cls(frozenset(o.lower().rstrip("/") for o in settings.allowed_origins))

    def is_listed(self, origin: str) -> bool:
        return origin.lower() in self.allowed


@dataclass(frozen=True, slots=True)
class ProxyPolicy:
    """Whose word on the real client's address counts."""

    networks: tuple[IPv4Network | IPv6Network, ...]

    @classmethod
    def of(cls, settings: ServerSettings) -> ProxyPolicy:
        return cls(tuple(ip_network(network) for network in settings.trusted_proxies))

    def trusts(self, address: str) -> bool:
        return is_address(address) and any(ip_address(address) in network for network in self.networks)


def same_origin(origin: str, host: HostPort, *, secure: bool) -> bool:
    """Is `origin` the page this server itself serves under `host`?

    Behind a proxy that ends TLS we see http while the page is https: then the scheme may differ, the host and the port
    may not. Over TLS an http origin is foreign.
    """
    parts = urlsplit(origin)
    if parts.scheme not in DEFAULT_PORTS or (secure and parts.scheme == "http"):
        return False
    page = parse_host(parts.netloc)
    if page is None:
        return False
    # Both leave out the standard port of the scheme the browser used, which is the origin's.
    standard = DEFAULT_PORTS[parts.scheme]
    return page[0] == host[0] and (page[1] or standard) == (host[1] or standard)
