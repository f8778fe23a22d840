"""Under which addresses a server is opened that listens on all addresses of its machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from joyvl_server.api.http.hosts import WILDCARDS
from joyvl_server.kit.net.own_names import host_addresses

MANY = 4


def on_this_machine(url: str) -> str:
    """`url`, or that of loopback where it names all addresses: nobody can open those."""
    host = urlsplit(url).hostname
    return _with_host(url, "::1" if host == "::" else "127.0.0.1") if host in WILDCARDS else url


def in_the_network(url: str) -> list[str]:
    """Where others open a server that listens at `url`: the first few of its addresses; none where it has one only."""
    host = urlsplit(url).hostname or ""
    if host not in WILDCARDS:
        return []
    same_family = [one for one in host_addresses() if (":" in one) == (":" in host)]  # one socket has one of both
    return [_with_host(url, one) for one in same_family[:MANY]]


def _with_host(url: str, host: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{f'[{host}]' if ':' in host else host}:{parts.port}").geturl()
