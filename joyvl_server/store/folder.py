"""The data folder: for its owner alone, and for one server at a time."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from joyvl_server.core.errors import StoreError

LOCK = "joyvl.lock"
MAIN = "joyvl.db"


class DataFolder:
    """Held from `open` to `close`; the kernel gives it back when the process ends, however that ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """Make it where there is none. Raises `StoreError`: store_locked while another server has it, and others."""
        path = path.absolute()
        try:
            make(path)
            descriptor = _lock(path / LOCK)
        except OSError as error:
            raise StoreError(
                f"The data folder {path} cannot be used: {error.strerror}. Check data_dir and who owns it.",
                code="store_unreachable",
            ) from error
        return cls(path, descriptor)

    def close(self) -> None:
        """Let others have it. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def make(path: Path) -> None:
    """Make the data folder where there is none, for its owner alone. Raises `OSError`."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _close_to_others(path)


def _close_to_others(path: Path) -> None:
    """Passwords of cameras lie in it. A folder that is shared with other things is left as it is."""
    found = path.stat()
    ours = found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX
    if ours and found.st_mode & 0o077 and ((path / MAIN).exists() or not any(path.iterdir())):
        path.chmod(0o700)


def _lock(path: Path) -> int:
    """A descriptor that holds the lock. Raises `StoreError`, `OSError`."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(descriptor)):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
                return descriptor
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            raise StoreError(
                f"Another joyvl-server{f' (process {holder})' if holder.isdigit() else ''} is using the data folder "
                f"{path.parent}. Stop it, or use another data_dir.",
                code="store_locked",
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # somebody removed the file just now: another one counts
