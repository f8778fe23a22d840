"""The link by which the first browser gets in."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit, urlunsplit

from joyvl_server.api.http.hosts import WILDCARDS


def login_link(url: str, code: str) -> str:
    """The page's address with the code behind the `#`, which no browser sends anywhere and no log holds.

    `url` with an address that stands for all becomes one of this machine, as others in its network see it.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in WILDCARDS:
        own = _own_address(socket.AF_INET6 if ":" in host else socket.AF_INET)
        shown = f"[{own}]" if ":" in own else own
        parts = parts._replace(netloc=f"{shown}:{parts.port}" if parts.port else shown)
    return f"{urlunsplit(parts).rstrip('/')}/#/login?code={code}"


def _own_address(family: socket.AddressFamily) -> str:
    """From which this machine would speak to others; nothing is sent. Loopback where it has no network."""
    far, loopback = ("2001:db8::1", "::1") if family == socket.AF_INET6 else ("192.0.2.1", "127.0.0.1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return loopback
