"""Redirects followed by rule: to https, or from http to the same host. A token goes to the one place it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import httpx2

MOST_REDIRECTS = 5
_PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int | None]


class RedirectRefused(Exception):
    """Where an answer sends us nobody should go: a sentence without its subject, like `redirects to …`."""


@dataclass(frozen=True, slots=True)
class HostToken:
    """A bearer token, and the only scheme, host and port that get it."""

    token: str = field(repr=False)
    origin: Origin

    @classmethod
    def of(cls, url: str, token: str) -> HostToken:
        """For whatever lies under the origin of `url`."""
        return cls(token, _origin(url))

    def headers(self, url: str) -> dict[str, str]:
        """What a request for `url` carries: nothing for any other place."""
        return {"authorization": f"Bearer {self.token}"} if _origin(url) == self.origin else {}


async def get(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str], token: HostToken | None = None
) -> httpx2.Response:
    """The answer, whose body is not read yet: the caller closes it.

    `headers` must hold no credential: every host on the way gets them. Raises `RedirectRefused`, `HTTPError`.
    Cancelled, nothing stays open.
    """
    at = url
    for _ in range(MOST_REDIRECTS):
        own = {} if token is None else token.headers(at)
        answer = await client.send(client.build_request("GET", at, headers={**headers, **own}), stream=True)
        if not answer.is_redirect:
            return answer
        await answer.aclose()
        at = _followed(at, answer.headers.get("location", ""))
    raise RedirectRefused(f"redirects {MOST_REDIRECTS} times, and again")


def _followed(at: str, location: str) -> str:
    """Raises `RedirectRefused`."""
    try:
        to = urljoin(at, location)
        before, after = urlsplit(at), urlsplit(to)
        same_host = before.hostname == after.hostname
        if after.scheme == "https" and after.hostname:
            return to
        if after.scheme == "http" and before.scheme == "http" and same_host:
            return to
    except ValueError:  # no address at all
        raise RedirectRefused("redirects to what is no address") from None
    raise RedirectRefused("redirects to an address without TLS")


def _origin(url: str) -> Origin:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None
