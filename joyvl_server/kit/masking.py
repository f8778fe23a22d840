"""No secret reaches a log, an answer or an error text: passwords in URLs and tokens become `***`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from joyvl_server.core.errors import NotAllowed
from joyvl_server.core.sealed import SHOWN, is_sealed

MASK = "***"
SHORTEST_SECRET = 8

_AUTHORITY_END = re.compile(r"[/?#]")
# Schemes are short; without a bound the search would start at each letter of a long word.
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,63}://[^\s<>\"`]+")
# Cameras also take passwords as parameters, some of them in the path: /user=admin&password=x&channel=1
_SECRET_PARAMETER = re.compile(
    r"(?i)((?:passw(?:or)?d|passwort|passphrase|passcode|loginpas|userpwd|secret|token|jwt|api_?key|signature|credentials?"
    r"|(?<![a-z])(?:pass|pwd|psw|pw|auth|sig|key|ticket|hash))=)"
    r"([^&;#\s\"'<>]+)"
)
# Names so short that they are secrets only in a URL, and the login in a path of its own: /admin:PASSWORD/
_IN_URL = re.compile(r"(?i)([?&;/](?:p|sid|session_?id)=)([^&;#/]+)")
_PATH_LOGIN = re.compile(r"(?i)(/(?:admin|root|user|operator|viewer|guest|service|supervisor|cam|camera)\d*:)([^/?#]+)")
TOKEN_LENGTH = 16
"""A user name without password of this many characters is a token."""
_ODD = re.compile(r"[^a-z_-]")
# What our own sentences say in place of a secret.
_PLACEHOLDER = r"(?:KEY|TOKEN|PASSWORD|SECRET|…)(?![\w~+/=-]|\.\w)"
_EXAMPLE_URL = re.compile(rf"[a-z]+://USER:{_PLACEHOLDER}")
_HEADER = re.compile(
    r"(?i:\b((?:proxy-)?authorization[\"']?+\s*+[:=]\s*+[\"']?+))"
    rf"(?!(?:[A-Za-z]+\s+)?{_PLACEHOLDER})(?:(?i:digest)\b[^\r\n]*|[^\r\n\"']+)"
)
_BEARER = re.compile(rf"(?i:\b(bearer\s++))(?!{_PLACEHOLDER})[A-Za-z0-9._~+/=-]{{4,}}")
_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_.-])(?:password|passwd|passphrase|pwd|secrets?|token|api_?keys?|authorization|cookie)$"
)


def mask_url(url: str) -> str:
    """The URL with its password, and secrets among its parameters, as `***`: `rtsp://cam:***@host/x`."""
    if is_sealed(url):  # what is stored, where its key is not there
        return SHOWN
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _mask_parameters(url)
    cut = _userinfo_end(rest)
    userinfo, tail = (rest[:cut], rest[cut:]) if cut is not None else ("", rest)
    user, colon, _ = userinfo.partition(":")
    kept = f"{user}:{MASK}" if colon else (MASK if len(user) >= TOKEN_LENGTH else user)
    tail = _IN_URL.sub(rf"\g<1>{MASK}", _PATH_LOGIN.sub(rf"\g<1>{MASK}", tail))
    return f"{scheme}://{kept}{_mask_parameters(tail)}"


def mask_text(text: str) -> str:
    """The text with the credentials of every URL, authorization header and bearer token in it as `***`.

    Placeholders stay, so that our own help is readable: `Authorization: Bearer KEY`, `rtsp://USER:PASSWORD@HOST`.
    """
    text = _URL_IN_TEXT.sub(lambda found: _unless_example(found.group()), text)
    text = _mask_parameters(text)
    text = _HEADER.sub(rf"\g<1>{MASK}", text)
    return _BEARER.sub(rf"\g<1>{MASK}", text)


def _unless_example(url: str) -> str:
    return url if _EXAMPLE_URL.match(url) else mask_url(url)


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with these secrets as `***`, also where lines were wrapped within one. Shorter ones than
    `SHORTEST_SECRET` are left alone: they would be found in other words."""
    for secret in secrets:
        if len(secret.strip()) >= SHORTEST_SECRET:
            letters = "".join(secret.split())  # else white space would be looked for in two ways at each place
            text = re.sub(r"\s*".join(map(re.escape, letters)), MASK, text)
    return text


def place_of(url: str) -> str:
    """Where a URL leads, and nothing that may let somebody in: `https://host/…`. Other text comes back as it is."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    cut = _userinfo_end(rest)
    rest = rest if cut is None else rest[cut + 1 :]
    end = _AUTHORITY_END.search(rest)
    if end is None:
        return f"{scheme}://{rest}"
    return f"{scheme}://{rest[: end.start()]}{'/…' if rest[end.start() :] != '/' else ''}"


def address_secrets(url: str) -> list[str]:
    """What of the path and the parameters of a URL may be a secret, the longest first: some services have theirs there.

    Short words in small letters alone are none.
    """
    end = _AUTHORITY_END.search(url.partition("://")[2])
    target = url.partition("://")[2][end.start() :] if end else ""
    path, _, query = target.partition("?")
    parts = [part for part in re.split(r"[/?&#=;]", target) if len(part) >= TOKEN_LENGTH or _ODD.search(part)]
    found = {*(text for text in (target, path, query) if text), *parts}
    return sorted(found | {unquote(text) for text in found}, key=len, reverse=True)


def is_secret_name(name: str) -> bool:
    """Does a field of this name (`api_key`, `server.password` …) hold a secret?"""
    return _SECRET_NAME.search(name) is not None


def is_masked(url: str) -> bool:
    """Was this URL shown by us, with its secret left out?"""
    # Where a secret would be masked too: else a file may be called ***.mp4.
    return MASK in url and mask_url(url) == url and MASK in mask_url(url.replace(MASK, "x" * TOKEN_LENGTH))


def restore_url(url: str, stored: str) -> str:
    """`url` as a client sent it back, with the secrets of `stored` where it still says `***`.

    The path may differ, the scheme, user, host and port may not: else a stored password could be sent anywhere.
    Raises `NotAllowed` (code masked_url) with a sentence. A URL that is not masked comes back unchanged.
    """
    if url == mask_url(stored):  # also one that cannot be opened, shown in words
        return stored
    if not is_masked(url):
        return url
    ours, theirs = _origin(mask_url(stored)), _origin(url)
    if ours != theirs or MASK in url[len(theirs) :]:
        raise NotAllowed(
            "The URL still contains *** in place of a secret, and it is not the stored URL. Write the secret again.",
            code="masked_url",
        )
    return _origin(stored) + url[len(theirs) :]


def _mask_parameters(text: str) -> str:
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", text)


def _userinfo_end(rest: str) -> int | None:
    """Where the userinfo of `user:password@host/path` ends (at its `@`), None where there is none."""
    end = _AUTHORITY_END.search(rest)
    authority = rest[: end.start()] if end else rest
    if "@" in authority:
        return authority.rindex("@")
    # A `/`, `?` or `#` that was not escaped inside the password: what looks like the port is no number.
    port = authority.rpartition(":")[2]
    if ":" in authority and not authority.startswith("[") and port and not port.isdigit() and "@" in rest:
        return rest.rindex("@")
    return None


def _origin(url: str) -> str:
    """`scheme://user:password@host:port` of a URL."""
    scheme, separator, rest = url.partition("://")
    start = _userinfo_end(rest) or 0
    end = _AUTHORITY_END.search(rest, start)
    return f"{scheme}{separator}{rest[: end.start()] if end else rest}"
