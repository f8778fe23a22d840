"""DATA_DIR/timeline on disk: a folder for each day (UTC), in it `EVENT_ID.jpg` and `EVENT_ID.mp4`. All of it blocks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

Suffix = Literal[".jpg", ".mp4"]
SUFFIXES: tuple[Suffix, ...] = (".jpg", ".mp4")
UNFINISHED = ".unfinished"
_DAY = re.compile(r"\d{4,6}-\d\d-\d\d")
_ID = re.compile(r"[a-z]{1,16}_[0-9a-z]{1,40}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`written_wall`: Unix seconds at which it was written."""

    path: Path
    event_id: str
    bytes: int
    written_wall: float


class DayFolders:
    """Nothing is made before the first file. A file is there whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unfinished = root / UNFINISHED

    def path(self, event_id: str, wall: float, suffix: Suffix) -> Path:
        """Where the file of an event of that time (Unix seconds) lies. Raises `ValueError` for what is no id."""
        if not _ID.fullmatch(event_id):
            raise ValueError(f"{event_id[:80]!r} is no id of an event")
        try:
            day = datetime.fromtimestamp(wall, UTC).date().isoformat()
        except (ValueError, OverflowError, OSError):
            day = "0001-01-01"  # a clock that is far off
        return self.root / day / f"{event_id}{suffix}"

    def write(self, path: Path, data: bytes) -> None:
        """Raises `OSError`; then nothing of it is left."""
        self._make(self.unfinished)
        temporary = self.unfinished / path.name
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(data)
            self.take_over(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def take_over(self, temporary: Path, path: Path) -> int:
        """Give a finished file its place; its size in bytes. Raises `OSError`."""
        self._make(path.parent)
        size = temporary.stat().st_size
        temporary.replace(path)
        return size

    def temporary(self, event_id: str, suffix: Suffix) -> Path:
        """Where a file may be written until it is whole. Raises `OSError`, `ValueError`."""
        if not _ID.fullmatch(event_id):
            raise ValueError(f"{event_id[:80]!r} is no id of an event")
        self._make(self.unfinished)
        return self.unfinished / f"{event_id}{suffix}"

    def remove(self, paths: list[Path]) -> int:
        """How many bytes that gave back. What is not there is no error; one that cannot be removed stays."""
        freed = 0
        for path in paths:
            with suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                freed += size
        for folder in {path.parent for path in paths} - {self.unfinished}:
            with suppress(OSError):
                folder.rmdir()  # only where it is empty
        return freed

    def of(self, event_id: str, wall: float) -> list[Path]:
        """All places where something of an event may lie."""
        begun = self.unfinished / event_id
        return [
            *(self.path(event_id, wall, suffix) for suffix in SUFFIXES),
            *(begun.with_name(f"{event_id}{end}") for end in (".mp4", ".mp4.part")),
        ]

    def clear_unfinished(self, before: float = float("inf")) -> None:
        """Remove what was not finished, and written before that time (Unix seconds): of an earlier run, or given up."""
        with suppress(OSError):
            old = [Path(entry.path) for entry in os.scandir(self.unfinished) if entry.stat().st_mtime < before]
            self.remove(old)

    def days(self) -> list[Path]:
        """Oldest first. Raises `OSError`."""
        try:
            entries = list(os.scandir(self.root))
        except FileNotFoundError:
            return []
        return [self.root / e.name for e in sorted(entries, key=lambda e: e.name) if _DAY.fullmatch(e.name)]

    def files(self, day: Path) -> Iterator[StoredFile]:
        """What is ours in the folder of a day, oldest first; other things are left alone. Raises `OSError`."""
        found = []
        try:
            entries = list(os.scandir(day))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)
            if suffix in SUFFIXES and _ID.fullmatch(stem) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    info = entry.stat(follow_symlinks=False)
                    found.append(StoredFile(day / entry.name, stem, info.st_size, info.st_mtime))
        yield from sorted(found, key=lambda file: (file.event_id, file.path.name))

    def _make(self, folder: Path) -> None:
        self.root.mkdir(mode=0o700, exist_ok=True)  # not its parents: a data folder that is gone stays gone
        folder.mkdir(mode=0o700, exist_ok=True)
