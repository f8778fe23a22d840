"""The one HTTP client: bounded connections, a timeout on each wait, nothing taken from the environment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import httpx2

from joyvl_server import __version__


def client(
    *,
    timeout_s: float = 20.0,
    connect_timeout_s: float = 5.0,
    max_connections: int = 100,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    verify: bool | ssl.SSLContext = True,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> httpx2.AsyncClient:
    """A client; the caller closes it (`async with` or `aclose`).

    `timeout_s` bounds each read, each write and the wait for a free connection, not the whole answer (answers are
    streamed). Proxies, `.netrc` and certificates of the environment are not used, and no redirect is followed: the net
    policy has checked one address, not where that sends us. `verify`: whether certificates are checked, or how.
    `transport` is for tests.
    """
    return httpx2.AsyncClient(
        base_url=base_url,
        headers={"user-agent": f"joyvl-server/{__version__}", **(headers or {})},
        timeout=httpx2.Timeout(timeout_s, connect=min(connect_timeout_s, timeout_s)),
        limits=httpx2.Limits(
            max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=30.0
        ),
        follow_redirects=False,
        trust_env=False,
        verify=verify,
        transport=transport,
    )
