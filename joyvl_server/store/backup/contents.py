"""What of a data folder is in a backup, and what is not and why."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from joyvl_server.store.sqlite.migrate import MIGRATIONS

DATABASES = {"joyvl.db": MIGRATIONS, "ticks.db": MIGRATIONS / "ticks"}
"""with the folder of their migrations; each is copied as one moment"""
COPIED = ("timeline", "media", "hooks", "agents/files", "agents/waiting")
SECRETS = ("secret.key", "signing.key", "tls")
"""keys: of passwords that are kept, of signed links, of HTTPS"""
LEFT_OUT = {
    "joyvl.lock": "",
    "chroma": "the index of memories is made again from the database",
    "models": "fetch them again: joyvl models get",
    "environments": "make them again: joyvl engine install",
    "agents/home": "agents have to log in again: joyvl agents login",
    "agents/work": "what agents work on right now",
}
"""with what to do about it; nothing where nobody misses it"""
_LEFT_OVER = re.compile(
    r"(?:joyvl|ticks)(?:\.damaged)?\.db(?:-wal|-shm|-journal)?(?:\.before-\d+)?(?:\.unfinished)?|\..*"
)
_LONGEST = 1000
_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class FoundFile:
    """`name`: below the data folder, with `/`."""

    name: str
    path: Path
    bytes: int


def files(folder: Path, *, secrets: bool) -> Iterator[FoundFile]:
    """The files that are copied, but for the databases. What is not finished, and links, are passed over.

    Raises `OSError` for a folder that cannot be read; a file that goes away meanwhile is no error. Blocks.
    """
    for part in COPIED + (SECRETS if secrets else ()):
        root = folder / part
        if root.is_symlink():
            continue
        if root.is_file():
            yield FoundFile(part, root, root.stat().st_size)
            continue
        for parent, folders, names in os.walk(root, onerror=_raise):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(parent, name)
                if name.startswith(".") or path.is_symlink() or not path.is_file():
                    continue
                try:
                    yield FoundFile(path.relative_to(folder).as_posix(), path, path.stat().st_size)
                except FileNotFoundError:
                    continue


def links(folder: Path) -> list[str]:
    """Places that are copied and lie elsewhere: links are not followed."""
    return [part for part in (*COPIED, *SECRETS) if (folder / part).is_symlink()]


def unknown(folder: Path) -> list[str]:
    """Names in the data folder that are none of ours: they are not in a backup. Raises `OSError`."""
    ours = {name.partition("/")[0] for name in (*DATABASES, *COPIED, *SECRETS, *LEFT_OUT)}
    names = (entry.name for entry in os.scandir(folder))
    return sorted(name for name in names if name not in ours and not _LEFT_OVER.fullmatch(name))


def is_safe(name: str) -> bool:
    """May a backup have a file of that name? Only below the places that are copied, and nowhere else on the disk."""
    path = PurePosixPath(name)
    inside = name == str(path) and not path.is_absolute() and not {"..", "."} & set(path.parts)
    short = len(name) <= _LONGEST and len(path.parts) <= _DEEPEST
    known = any(name == part or name.startswith(f"{part}/") for part in (*COPIED, *SECRETS))
    return inside and short and not {"\0", "\n"} & set(name) and (known or name in DATABASES)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
