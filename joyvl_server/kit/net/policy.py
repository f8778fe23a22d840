"""What a source may reach. Every URL passes here when it is registered and again at each reconnect.

Cameras live in private networks, so those and loopback are allowed; what no camera ever is (link-local and metadata
addresses, multicast, the unspecified address) is refused, in every spelling and embedding of the address.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from joyvl_server.core.errors import ConfigError, NotAllowed, SourceError
from joyvl_server.kit.masking import is_masked, mask_url

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str], list[str]]
"""Host name to addresses, best first. Blocks; raises `OSError` where there is none."""

MAX_URL = 2048
_HOST_RULE = re.compile(r"(?:\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_PINNED = ("rtsp",)
"""Schemes whose URL can hold the checked address in place of the name (the others need it, for TLS or Host)."""

_REFUSED: tuple[tuple[Network, str], ...] = tuple(
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
    """The rules. Frozen, picklable, and JSON through `to_dict`: media workers get it and check again.

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
            raise SourceError("The camera redirects to something that is no RTSP address.", code="redirected")
        shown = mask_url(new)[:200]
        try:
            found = self.check(new, resolve=resolve)
        except NotAllowed as error:
            raise SourceError(f"The camera redirects to {shown}. {error}", code="not_allowed") from None
        except SourceError as error:
            raise SourceError(f"The camera redirects to {shown}. {error}", code=error.code) from None
        ours = urlsplit(registered.url)
        theirs = urlsplit(found.url)
        if (_address(ours.hostname or ""), ours.port or 554) != (_address(theirs.hostname or ""), theirs.port or 554):
            return found
        userinfo, at_sign, _ = ours.netloc.rpartition("@")
        return replace(found, url=theirs._replace(netloc=f"{userinfo}{at_sign}{theirs.netloc}").geturl())

    def _check_host(self, host: str, pinned: bool, resolve: Resolver) -> list[str]:
        """The allowed addresses of a host. Where the address cannot be pinned, all of them must be allowed."""
        named = (_exactness(self.allow, host), _exactness(self.deny, host))
        if named[1] is not None and named[1] >= (named[0] or 0):
            raise NotAllowed(f"The host {host} is on the list of what sources may not reach (setting net.deny).")
        try:
            found = [host] if _address(host) else resolve(host)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise SourceError(f"The name {host} has no address. Check how it is written.", code="unreachable")
        reasons = {address: self._why_not(host, address, named[0]) for address in found}
        good = [address for address, why in reasons.items() if why is None]
        if not good or (not pinned and len(good) < len(found)):
            raise NotAllowed(next(why for why in reasons.values() if why is not None))
        return good

    def _why_not(self, host: str, text: str, named: int | None) -> str | None:
        """Why this address is not allowed, as a sentence; None where it is."""
        shown = host if host == text else f"{host} ({text})"
        parsed = _address(text)
        if parsed is None:
            return f"{shown} is not an address that can be checked."
        allow, deny = _networks(self.allow), _networks(self.deny)
        for address in _forms(parsed):
            for network, what in _REFUSED:
                if _holds(network, address) and not any(_holds(n, address) and _within(n, network) for n in allow):
                    return f"{shown} is {what}; sources may not reach it. Name exactly it in net.allow if you must."
            allowed = max([named or -1, *(n.prefixlen for n in allow if _holds(n, address))])
            denied = max((n.prefixlen for n in deny if _holds(n, address)), default=-2)
            if denied >= allowed:
                return f"{shown} is in a network that sources may not reach (setting net.deny)."
        return None

    def _check_file(self, url: str, parts: SplitResult) -> CheckedUrl:
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise NotAllowed("A file is named by its full path, like file:///srv/media/clip.mp4.", code="bad_url")
        path = unquote(parts.path)
        if not path.startswith("/") or "\0" in path:
            raise NotAllowed("A file is named by its full path, like file:///srv/media/clip.mp4.", code="bad_url")
        real = Path(os.path.realpath(path))
        # Before asking whether it exists: nobody shall learn from our answers what lies elsewhere on the disk.
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


def _split(url: str) -> SplitResult:
    """The parts of a URL; refuses what two parsers could read in two ways."""
    if len(url) > MAX_URL:
        raise NotAllowed(f"The URL is longer than {MAX_URL} characters.", code="bad_url")
    if is_masked(url):
        raise NotAllowed("The URL says *** where its secret belongs. Write the secret itself.", code="masked_url")
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
        raise NotAllowed("That is no URL. Write it like rtsp://USER:PASSWORD@HOST:554/path.", code="bad_url")
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


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _networks(rules: Iterable[str]) -> list[Network]:
    return [rule for rule in map(parse_rule, rules) if not isinstance(rule, str)]


def _exactness(rules: Iterable[str], host: str) -> int | None:
    """How exactly the host is named in the rules: above any prefix length, longer names more; None where it is not."""
    matches = [
        1000 + len(rule)
        for rule in map(parse_rule, rules)
        if isinstance(rule, str) and (rule == host or (rule.startswith("*.") and host.endswith(rule[1:])))
    ]
    return max(matches, default=None)


def _holds(network: Network, address: Address) -> bool:
    return network.version == address.version and int(address) & int(network.netmask) == int(network.network_address)


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.prefixlen >= outer.prefixlen


def _forms(address: Address) -> list[Address]:
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
