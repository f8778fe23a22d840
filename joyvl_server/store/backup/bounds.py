"""How much an archive may hold, whatever it says of itself: a small one that unpacks to a full disk helps nobody."""

from __future__ import annotations

import tarfile

LONGEST_SUMS = 1 << 29
"""bytes of the list of all files; while it is read, all of it is in memory"""
MOST_FILES = 3_000_000
"""in an archive: a million events with picture and clip, and a third more"""
MOST_EMPTY = 100_000
"""files without a byte: each costs a disk more than the archive"""
MOST_FOLDERS = 200_000
SPARE_BYTES = 10_000_000_000
"""by which all files may be more than twice what the archive says of them: they grew while it was made"""


class ArchiveCount:
    """How much an archive holds so far; who writes one and who reads one count the same. `said`: the bytes that it says
    itself; `first`: the name of its first file, which is not counted but listed."""

    def __init__(self, said: int, first: str) -> None:
        self._most_bytes = 2 * said + SPARE_BYTES
        self._files = self._empty = self._bytes = 0
        self._list_bytes = _line_bytes(first)
        self._folders: set[int] = set()
        """hashes of their names, which may be long"""

    def more(self, member: tarfile.TarInfo) -> str | None:
        """One more file; why that is too much, or None."""
        if self._bytes > self._most_bytes:  # a single one that is too large does not fit on the disk
            return "it holds far more than it says in its beginning"
        self._files += 1
        self._empty += not member.size
        self._bytes += member.size
        self._list_bytes += _line_bytes(member.name)
        self._add_folders(member.name)
        if self._files > MOST_FILES:
            return f"it holds more than {MOST_FILES:,} files"
        if self._list_bytes > LONGEST_SUMS:
            return "its names are too long together"
        if self._empty > MOST_EMPTY:
            return f"it holds more than {MOST_EMPTY:,} empty files"
        if len(self._folders) > MOST_FOLDERS:
            return f"it holds more than {MOST_FOLDERS:,} folders"
        return None

    def _add_folders(self, name: str) -> None:
        """Those above the file. One that is known is so with all that are above it."""
        folder = name.rpartition("/")[0]
        while folder and len(self._folders) <= MOST_FOLDERS and (known := hash(folder)) not in self._folders:
            self._folders.add(known)
            folder = folder.rpartition("/")[0]


def _line_bytes(name: str) -> int:
    """Of a file in the list of all."""
    return 67 + len(name.encode("utf-8", "surrogateescape"))
