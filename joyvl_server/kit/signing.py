"""Signed, expiring links: whoever has one may read that one address, without a key, until it is over."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import structlog

from joyvl_server.kit.whole_files import write_whole

log = structlog.get_logger(__name__)

KEY_FILE = "signing.key"
KEY_BYTES = 32
VERSION = b"joyvl-link-1"


class UrlSigner:
    """HMAC-SHA256 over path and expiry, with a key of its own in the data folder (mode 0600).

    Who may be given a link, and for which paths, others decide. Another key ends all links: delete the file. `base`:
    what stands before the path in links for others, like `https://home.example`; empty: links are paths alone.
    """

    def __init__(self, folder: Path, base: str = "") -> None:
        self._file = folder / KEY_FILE
        self._base = base.rstrip("/")
        self._key: bytes | None = None

    def prepare(self) -> None:
        """Read the key, or make one. Blocks for a moment; without it, the first link does so."""
        self._key = self._key or _read(self._file) or _make(self._file)

    def sign(self, path: str, expires_wall: float) -> str:
        """The link to `path` (as it stands in a URL, without a query), valid until `expires_wall` (Unix seconds)."""
        expires = int(expires_wall)
        return f"{self._base}{path}?expires={expires}&signature={self._signature(path, expires)}"

    def fits(self, path: str, expires: int, signature: str) -> bool:
        """Was this very link signed here? In constant time; whether it is over is not looked at."""
        return hmac.compare_digest(self._signature(path, expires).encode(), signature.encode("utf-8", "replace"))

    def _signature(self, path: str, expires: int) -> str:
        self.prepare()
        assert self._key is not None
        signed = b"\n".join((VERSION, path.encode(), str(expires).encode()))
        digest = hmac.digest(self._key, signed, hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _read(file: Path) -> bytes | None:
    """None where there is no whole key."""
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & 0o077:
                os.fchmod(opened.fileno(), 0o600)
            key = opened.read(KEY_BYTES + 1)
    except OSError:
        return None
    return key if len(key) == KEY_BYTES else None


def _make(file: Path) -> bytes:
    """A new key. Where it cannot be kept, its links are over when the process is."""
    key = secrets.token_bytes(KEY_BYTES)
    try:
        if file.is_file() and file.stat().st_size != KEY_BYTES:
            file.unlink(missing_ok=True)  # one that was cut off is no key
        write_whole(file, key, replace=False)  # of two that make one at once the first counts
    except FileExistsError:
        key = _read(file) or key
    except OSError as error:
        log.error("signed links will be over at the next start: their key cannot be kept", error=error.strerror)
    return key
