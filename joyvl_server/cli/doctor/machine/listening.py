"""Which process listens on which TCP port, as far as this user may see it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LISTEN = "0A"
"""a listening socket in /proc/net/tcp"""
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who listens on a port."""

    pid: int
    program: str

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid})"


def holder_of(port: int) -> Holder | None:
    """Which process listens on a TCP port; None where this user may not see it. Blocks."""
    wanted = {socket for socket, listened in _sockets() if listened == port}
    for folder in PROC.glob("[0-9]*") if wanted else ():
        if wanted.intersection(_open_files(folder)):
            with suppress(OSError):
                return Holder(int(folder.name), (folder / "comm").read_text().strip())
    return None


def ports_of(pid: int) -> list[int]:
    """The TCP ports on which a process listens; empty where this user may not see them. Blocks."""
    held = set(_open_files(PROC / str(pid)))
    return sorted({port for socket, port in _sockets() if socket in held})


def _sockets() -> Iterator[tuple[str, int]]:
    """Every listening socket, as a process's open files name it, with its port."""
    for table in ("net/tcp", "net/tcp6"):
        with suppress(OSError):
            for line in (PROC / table).read_text().splitlines()[1:]:
                parts = line.split()
                if parts[3] == LISTEN:
                    yield f"socket:[{parts[9]}]", int(parts[1].rpartition(":")[2], 16)


def _open_files(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                yield os.readlink(descriptor)
