"""What a source may reach. Every URL is checked when it is registered and at each reconnect.

Cameras live in private networks, so those and loopback are allowed; what no camera ever is (link-local and metadata
addresses, multicast, the unspecified address) is refused, in every spelling and embedding of the address.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from joyvl_server.core.errors import NotAllowed, SourceError
from joyvl_server.core.sealed import SHOWN, UNREADABLE, is_sealed
from joyvl_server.kit.masking import is_masked, mask_url
from joyvl_server.kit.net.addresses import (
    REFUSED,
    embedded_addresses,
    exactness,
    holds,
    networks,
    parse_address,
    parse_rule,
    within,
)

Resolver = Callable[[str], list[str]]
"""Host name to addresses, best first. Blocks; raises `OSError` where there is none."""

MAX_URL = 2048
_PINNED = ("rtsp",)
"""Schemes whose URL can hold the checked address in place of the name (the others need it, for TLS or Host)."""


@dataclass(frozen=True, slots=True)
class CheckedUrl:
    """A checked source. `url` may hold a password; `display` is the same as registered, masked.

    For rtsp `url` names the checked address, so that the name cannot point elsewhere a moment later. For files `path`
    is the real path, with symbolic links resolved.
    """

    url: str = field(repr=False)
    display: str
    policy: NetPolicy = field(repr=False)
    path: Path | None = None

    def redirected(self, location: str, at: CheckedUrl, *, resolve: Resolver | None = None) -> CheckedUrl:
        """Where the camera at `at` sends us, checked. This target is the registered one.

        The password goes along only to the registered address and port. Blocks as `check` does. Raises `SourceError`:
        code redirected for what is no RTSP address, not_allowed, unreachable.
        """
        return self.policy.follow(self, at, location, resolve or system_resolver)


def system_resolver(host: str) -> list[str]:
    """Addresses of a host name as the system knows them. Blocks, for as long as its name servers take."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # Of a name with both kinds only one address can be pinned; cameras that speak IPv6 alone are rarer.
    return sorted(dict.fromkeys(str(entry[4][0]) for entry in found), key=lambda address: ":" in address)


@dataclass(frozen=True)
class NetPolicy:
    """The rules. Frozen, picklable, and JSON through `to_dict`: media workers get it and check too.

    `allow` and `deny` hold networks, addresses and host names (`*.lan` for all below a domain). The more exact rule
    wins, and `deny` where they are alike; a name is more exact than any network. What is built in as refused opens
    only to an `allow` that names just that, like `169.254.0.0/16` for link-local cameras. `file_roots` are folders.
    """

    schemes: tuple[str, ...] = ("rtsp", "file")
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    file_roots: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for rule in (*self.allow, *self.deny):
            parse_rule(rule)

    def to_dict(self) -> dict[str, list[str]]:
        return {
            "schemes": list(self.schemes),
            "allow": list(self.allow),
            "deny": list(self.deny),
            "file_roots": list(self.file_roots),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Iterable[str]]) -> NetPolicy:
        return cls(**{name: tuple(values) for name, values in data.items()})

    def check(self, url: str, *, resolve: Resolver = system_resolver) -> CheckedUrl:
        """Is this source allowed, right now? Blocking (DNS, disk): call it in a thread.

        Raises `NotAllowed` with a sentence, and `SourceError` where nothing can be said at the moment: code
        unreachable for a name that does not resolve, not_found for a file that is not there (yet).
        """
        parts = _split(url)
        if parts.scheme not in self.schemes:
            raise NotAllowed(
                f"The scheme {parts.scheme!r} is not allowed here. Use one of: {', '.join(self.schemes)} "
                "(setting net.schemes)."
            )
        if parts.scheme == "file":
            return self._check_file(url, parts)
        host = _host(parts)
        addresses = self._check_host(host, parts.scheme in _PINNED, resolve)
        if parts.scheme not in _PINNED:
            return CheckedUrl(url, mask_url(url), self)
        at = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        userinfo, at_sign, _ = parts.netloc.rpartition("@")
        port = f":{parts.port}" if parts.port is not None else ""
        return CheckedUrl(parts._replace(netloc=f"{userinfo}{at_sign}{at}{port}").geturl(), mask_url(url), self)

    def follow(self, registered: CheckedUrl, at: CheckedUrl, location: str, resolve: Resolver) -> CheckedUrl:
        """See `CheckedUrl.redirected`."""
        # A camera names no credentials: who sends us on does not choose what we send there.
        try:
            new = _without_userinfo(urljoin(_without_userinfo(at.url), location.strip()))
        except ValueError:  # brackets that hold no address
            new = ""
        if not location.strip() or not new.lower().startswith("rtsp://"):
            raise SourceError("The camera redirects to an address that is not RTSP.", code="redirected")
        shown = mask_url(new)[:200]
        try:
            found = self.check(new, resolve=resolve)
        except NotAllowed as error:
            raise SourceError(f"The camera redirects to {shown}. {error}", code="not_allowed") from None
        except SourceError as error:
            raise SourceError(f"The camera redirects to {shown}. {error}", code=error.code) from None
        ours = urlsplit(registered.url)
        theirs = urlsplit(found.url)
        if (parse_address(ours.hostname or ""), ours.port or 554) != (
            parse_address(theirs.hostname or ""),
            theirs.port or 554,
        ):
            return found
        userinfo, at_sign, _ = ours.netloc.rpartition("@")
        return replace(found, url=theirs._replace(netloc=f"{userinfo}{at_sign}{theirs.netloc}").geturl())

    def _check_host(self, host: str, pinned: bool, resolve: Resolver) -> list[str]:
        """The allowed addresses of a host. Where the address cannot be pinned, all of them must be allowed."""
        named = (exactness(self.allow, host), exactness(self.deny, host))
        if named[1] is not None and named[1] >= (named[0] or 0):
            raise NotAllowed(f"Sources may not reach the host {host} (setting net.deny).")
        try:
            found = [host] if parse_address(host) else resolve(host)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise SourceError(f"The name {host} has no address. Check the spelling.", code="unreachable")
        reasons = {address: self._why_not(host, address, named[0]) for address in found}
        good = [address for address, why in reasons.items() if why is None]
        if not good or (not pinned and len(good) < len(found)):
            raise NotAllowed(next(why for why in reasons.values() if why is not None))
        return good

    def _why_not(self, host: str, text: str, named: int | None) -> str | None:
        """Why this address is not allowed, as a sentence; None where it is."""
        shown = host if host == text else f"{host} ({text})"
        parsed = parse_address(text)
        if parsed is None:
            return f"{shown} is not an address that can be checked."
        allow, deny = networks(self.allow), networks(self.deny)
        for address in embedded_addresses(parsed):
            for network, what in REFUSED:
                if holds(network, address) and not any(holds(n, address) and within(n, network) for n in allow):
                    return f"{shown} is {what}; sources may not reach it. Name exactly it in net.allow if you must."
            allowed = max([named or -1, *(n.prefixlen for n in allow if holds(n, address))])
            denied = max((n.prefixlen for n in deny if holds(n, address)), default=-2)
            if denied >= allowed:
                return f"{shown} is in a network that sources may not reach (setting net.deny)."
        return None

    def _check_file(self, url: str, parts: SplitResult) -> CheckedUrl:
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise NotAllowed("Give the full path of the file, like file:///srv/media/clip.mp4.", code="bad_url")
        path = unquote(parts.path)
        if not path.startswith("/") or "\0" in path:
            raise NotAllowed("Give the full path of the file, like file:///srv/media/clip.mp4.", code="bad_url")
        real = Path(os.path.realpath(path))
        # Before asking whether it exists: our answers must not show what lies elsewhere on the disk.
        if not any(real.is_relative_to(os.path.realpath(root)) for root in self.file_roots):
            raise NotAllowed(
                f"The file {path} is outside the folders that sources may play from. "
                "Move it there or add its folder to media.file_roots."
            )
        try:
            regular = stat.S_ISREG(real.stat().st_mode)
        except OSError as error:
            raise SourceError(f"The file {path} cannot be read: {error.strerror}.", code="not_found") from None
        if not regular:
            raise NotAllowed(f"{path} is not a file.")
        return CheckedUrl(f"file://{quote(str(real))}", mask_url(url), self, real)


def _split(url: str) -> SplitResult:
    """The parts of a URL; refuses what two parsers could read in two ways."""
    if len(url) > MAX_URL:
        raise NotAllowed(f"The URL is longer than {MAX_URL} characters.", code="bad_url")
    if is_sealed(url) or url == SHOWN:
        raise NotAllowed(UNREADABLE, code="secret_unreadable")
    if is_masked(url):
        raise NotAllowed("The URL contains *** in place of a secret. Write the secret itself.", code="masked_url")
    if any(c.isspace() or not c.isprintable() or c == "\\" for c in url):
        raise NotAllowed(
            "The URL holds a space, a backslash or a control character. Write those as %20, %5C and so on.",
            code="bad_url",
        )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise NotAllowed(
            "The URL cannot be read: its host or port is malformed. Escape /, ?, #, @ and : in passwords with %.",
            code="bad_url",
        ) from None
    if not parts.scheme or "://" not in url:
        raise NotAllowed("This is not a URL. Write it like rtsp://USER:PASSWORD@HOST:554/path.", code="bad_url")
    return parts


def _without_userinfo(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").rstrip(".")
    if not host or len(host) > 253:
        raise NotAllowed("The URL names no host. Write it like rtsp://USER:PASSWORD@HOST:554/path.", code="bad_url")
    return host
