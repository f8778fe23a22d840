"""What is kept of keys and of signed-in browsers, and how a secret is made."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

Role = Literal["ingest", "viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("ingest", "viewer", "operator", "admin")
KEY_PREFIX = "jvl_"
SECRET_BYTES = 32
ENDS_SOON_S = 14 * 86_400.0
"""So long before its end the owner of a key is warned."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """`cameras`: what it is for; empty: everything. Times are Unix seconds; `used_wall` is at most a minute old."""

    id: str
    name: str
    digest: str
    role: Role
    cameras: tuple[str, ...]
    created_wall: float
    expires_wall: float | None = None
    used_wall: float | None = None

    @property
    def is_long_lived(self) -> bool:
        """Is its end something to warn of? A key for a day or two is meant to end."""
        return self.expires_wall is None or self.expires_wall - self.created_wall > ENDS_SOON_S

    def is_over(self, wall: float) -> bool:
        return self.expires_wall is not None and self.expires_wall <= wall


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """A signed-in browser. `key`: see the table `logins`. Used, it is valid longer: `until_wall` moves on. `address`:
    from where it signed in. `used_wall`: when it was last used, at most ten minutes old."""

    digest: str
    key: str | None
    created_wall: float
    until_wall: float
    address: str = ""
    used_wall: float | None = None

    @property
    def id(self) -> str:
        """Safe to show and to log: it tells nothing of the cookie."""
        return f"login_{self.digest[:12]}"


def new_key() -> str:
    """The text of a new key: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def new_secret() -> str:
    """For a cookie or a link: 256 random bits."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: str) -> str:
    """SHA-256 in hexadecimal: all that is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
