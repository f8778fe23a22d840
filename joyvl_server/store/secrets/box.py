"""Seals what is secret before it is kept, with AES-256-GCM: `enc:v1:KEY-ID:…`."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from joyvl_server.core.errors import ConfigError, StoreError
from joyvl_server.core.sealed import PREFIX, UNREADABLE, is_sealed
from joyvl_server.store.secrets.key_file import KEY_BYTES, KEY_FILE, KeyFile, Keys, key_id

NONCE_BYTES = 12
_SEALED = re.compile(r"enc:v1:([0-9a-f]{8}):([A-Za-z0-9_-]+)")


class SecretUnreadable(StoreError):
    """It is sealed with a key that is not there, or it was changed."""

    code = "secret_unreadable"


class SecretBox:
    """`place` (like `cameras/cam_1/url`) is bound to what is sealed: moved elsewhere it cannot be opened.

    The key is read when it is first needed, and made where there is none; `prepare` says what is sealed already, so
    that none is made in place of one that is lost. While there is a `fault` nothing is sealed. Thread-safe.
    """

    def __init__(self, file: KeyFile | None) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._loaded = False
        self._ciphers: dict[str, AESGCM] = {}
        self._newest = ""
        self._given_up: frozenset[str] = frozenset()
        self._fault: str | None = None

    @classmethod
    def of_folder(cls, folder: Path, key_file: Path | None = None) -> SecretBox:
        """The box of a data folder. `key_file`: where its key is, when not in the folder."""
        return cls(KeyFile(key_file or folder / KEY_FILE))

    @classmethod
    def passing(cls) -> SecretBox:
        """One whose key is kept nowhere: what it seals is read by this process alone."""
        box = cls(None)
        box._take(Keys((secrets.token_bytes(KEY_BYTES),)))
        return box

    @property
    def fault(self) -> str | None:
        """Why nothing can be sealed, in words; None where it can."""
        return self._fault

    @property
    def prepared(self) -> bool:
        """Was the key looked for?"""
        return self._loaded

    @property
    def newest(self) -> str:
        """The id of the key that seals."""
        self._load()
        return self._newest

    def prepare(self, sealed_with: Iterable[str] | None) -> None:
        """Read the key, or make one. `sealed_with`: ids of the keys with which something is sealed; None: that cannot
        be known now, and none is made. What is wrong is told by `fault`. Blocks."""
        if self.file is None:
            return
        with self._lock:
            self._loaded = True
            self._fault = None
            needed = None if sealed_with is None else frozenset(sealed_with)
            try:
                keys = self.file.read()
                if keys is None and needed == frozenset():
                    keys = self.file.make()
            except ConfigError as error:
                self._fault = str(error)
                return
            if keys is None:
                self._fault = _missing(self.file.path) if needed else f"There is no key file {self.file.path}."
                return
            self._take(keys)
            unknown = (needed or frozenset()) - self._ciphers.keys() - keys.given_up
            if unknown:
                self._fault = _another(self.file.path, unknown, self._newest)

    def seal(self, text: str, place: str) -> str:
        """The sealed text. What is sealed already stays as it is. Raises `StoreError` (secrets_locked)."""
        return text if is_sealed(text) else self.seal_bytes(text.encode("utf-8", "surrogatepass"), place)

    def seal_bytes(self, content: bytes, place: str) -> str:
        """Raises `StoreError` (secrets_locked)."""
        self._load()
        if self._fault is not None:
            raise StoreError(f"No secret can be stored now. {self._fault}", code="secrets_locked")
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._ciphers[self._newest].encrypt(nonce, content, _bound(place))
        return f"{PREFIX}{self._newest}:{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def open(self, text: str, place: str) -> str:
        """What was sealed there. Text that is not sealed, of an older version, comes back as it is. Raises
        `SecretUnreadable`."""
        if not is_sealed(text):
            return text
        try:
            return self.open_bytes(text, place).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise SecretUnreadable(UNREADABLE) from None

    def open_bytes(self, text: str, place: str) -> bytes:
        """Raises `SecretUnreadable`."""
        self._load()
        found = _SEALED.fullmatch(text)
        cipher = self._ciphers.get(found[1]) if found else None
        if found is None or cipher is None:
            raise SecretUnreadable(UNREADABLE)
        try:
            content = base64.b64decode(found[2] + "=" * (-len(found[2]) % 4), altchars=b"-_", validate=True)
            return cipher.decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], _bound(place))
        except (InvalidTag, binascii.Error, ValueError):
            raise SecretUnreadable(UNREADABLE) from None

    def _load(self) -> None:
        if not self._loaded:
            self.prepare(())

    def _take(self, keys: Keys) -> None:
        self._loaded = True
        self._ciphers = {key_id(key): AESGCM(key) for key in keys.keys}
        self._newest = key_id(keys.keys[0])
        self._given_up = keys.given_up


def sealing_key(text: str) -> str | None:
    """The id of the key with which it is sealed; None where it is not."""
    found = _SEALED.match(text)
    return found[1] if found else None


def _bound(place: str) -> bytes:
    return b"joyvl-secret-1\0" + place.encode("utf-8", "surrogatepass")


def _missing(path: Path) -> str:
    return (
        f"The key file {path} is missing, and passwords of cameras or hooks are stored that only it opens. Nothing of "
        "them is lost: put the file back and start the server again. Where it is gone for good, run `joyvl secrets "
        "give-up` and write those passwords again."
    )


def _another(path: Path, unknown: Iterable[str], newest: str) -> str:
    return (
        f"The key file {path} is another one (its key is {newest}): passwords are stored that only the key "
        f"{', '.join(sorted(unknown))} opens. Nothing of them is lost: put that file back and start the server again. "
        "Where it is gone for good, run `joyvl secrets give-up` and write those passwords again."
    )
