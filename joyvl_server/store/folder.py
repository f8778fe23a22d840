"""The data folder: for its owner alone, and for one server at a time."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joyvl_server.core.errors import StoreError

LOCK = "joyvl.lock"
MAIN = "joyvl.db"


@dataclass(frozen=True, slots=True)
class FolderHolder:
    """The process that has a data folder. `pid`: 0 where its number cannot be read.

    `started_with`: what it has told with `tell_start`; nothing while it starts.
    """

    pid: int
    started_with: dict[str, Any]


class DataFolder:
    """Held from `open` to `close`; the kernel gives it back when the process ends, however that ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """Make it where there is none. Raises `StoreError`: store_locked while another server has it, and others."""
        path = path.absolute()
        if path.exists() and not path.is_dir():
            raise StoreError(
                f"The data folder {path} is a file, not a folder. Check data_dir.", code="store_unreachable"
            )
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
            pid = _read_holder(descriptor).pid
            os.close(descriptor)
            raise held_by_another(path.parent, pid) from None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # somebody removed the file just now: another one counts


def held_by_another(path: Path, pid: int) -> StoreError:
    """What is said where the data folder `path` is taken. `pid`: 0 where it is not known."""
    return StoreError(
        f"Another joyvl-server{f' (process {pid})' if pid else ''} is using the data folder {path}. Stop it, or use "
        "another data_dir.",
        code="store_locked",
    )


def tell_start(path: Path, settings: dict[str, Any]) -> None:
    """Leave in the lock file of the data folder `path`, which this process has, what commands there should know.

    Raises `OSError`. Blocks.
    """
    with (path / LOCK).open("a") as file:
        file.write(json.dumps(settings) + "\n")


def holder_of(path: Path) -> FolderHolder | None:
    """Who has the data folder `path`; None where nobody has it. Takes it from nobody. Blocks shortly."""
    try:
        descriptor = os.open(path / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A shared lock is refused while a server has it, and does not keep one from starting for longer than this.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _read_holder(descriptor: int) -> FolderHolder:
    first, _, second = os.pread(descriptor, 4096, 0).decode(errors="replace").partition("\n")
    try:
        told = json.loads(second)
    except ValueError:
        told = {}
    return FolderHolder(int(first) if first.isdecimal() else 0, told if isinstance(told, dict) else {})
