"""The file with the keys that seal what is secret in the database. Who has both can read it; who has one cannot."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from joyvl_server.core.errors import ConfigError
from joyvl_server.store.sqlite.copying import sync

KEY_FILE = "secret.key"
KEY_BYTES = 32
MOST_BYTES = 65_536
GIVEN_UP = "given-up"
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_ID = re.compile(r"[0-9a-f]{8}")
_HEAD = "# joyvl-server seals passwords with this key. Without it they cannot be read: keep a copy.\n"


@dataclass(frozen=True, slots=True)
class Keys:
    """`keys`: the first seals, all open. `given_up`: ids of lost keys; what they sealed is to be written again."""

    keys: tuple[bytes, ...] = field(repr=False)
    given_up: frozenset[str] = frozenset()


def key_id(key: bytes) -> str:
    """Eight hexadecimal digits that name a key and tell nothing about it."""
    return hashlib.sha256(b"joyvl-secret-key-id" + key).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One key a line, as base64 or hexadecimal digits (`openssl rand -base64 32`). All methods block."""

    path: Path

    def read(self) -> Keys | None:
        """None where there is no such file. Raises `ConfigError` in words without a key."""
        try:
            with self.path.open("rb") as opened:
                if os.fstat(opened.fileno()).st_mode & 0o077:
                    with contextlib.suppress(OSError):  # another's, or on a disk that takes no writes
                        os.fchmod(opened.fileno(), 0o600)
                text = opened.read(MOST_BYTES + 1).decode("ascii", "replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"The key file {self.path} cannot be read: {error.strerror}. Who owns it?") from None
        found, given_up = [], set()
        for number, line in enumerate(text[:MOST_BYTES].splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            words = line.split()
            if len(words) == 2 and words[0] == GIVEN_UP and _ID.fullmatch(words[1]):
                given_up.add(words[1])
                continue
            key = _key(line)
            if key is None:
                raise ConfigError(
                    f"The key file {self.path} is damaged: line {number} is no key of 32 bytes (base64). Put back the "
                    "copy that you have kept."
                )
            found.append(key)
        if not found:
            raise ConfigError(f"The key file {self.path} holds no key. Put back the copy that you have kept.")
        return Keys(tuple(dict.fromkeys(found)), frozenset(given_up))

    def make(self) -> Keys:
        """A new file with a new key, unless another process was faster. Raises `ConfigError`."""
        with contextlib.suppress(FileExistsError):
            self._put(Keys((secrets.token_bytes(KEY_BYTES),)), replace=False)
        found = self.read()
        if found is None:
            raise ConfigError(f"The key file {self.path} was removed just now.")
        return found

    def write(self, keys: Keys) -> None:
        """Replace its content, whole or not at all. Raises `ConfigError`."""
        self._put(keys, replace=True)

    def _put(self, keys: Keys, *, replace: bool) -> None:
        """Raises `FileExistsError` where it is there and not to be replaced."""
        lines = [base64.b64encode(key).decode() for key in keys.keys]
        lines += [f"{GIVEN_UP} {name}" for name in sorted(keys.given_up)]
        unfinished = self.path.with_name(f".{self.path.name}-{secrets.token_hex(8)}")
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                out.write(_HEAD + "\n".join(lines) + "\n")
                out.flush()
                os.fsync(out.fileno())
            if replace:
                unfinished.replace(self.path)
            else:
                os.link(unfinished, self.path)
            sync(self.path.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise ConfigError(
                f"The key file {self.path} cannot be written: {error.strerror}. Make one yourself with "
                "`openssl rand -base64 32`, or name another place with the setting secret_key_file."
            ) from None
        finally:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)


def _key(text: str) -> bytes | None:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None
