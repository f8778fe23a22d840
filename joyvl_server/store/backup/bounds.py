"""How much an archive may hold, whatever it says of itself: a small one that unpacks to a full disk helps nobody."""

from __future__ import annotations

import tarfile

LONGEST_SUMS = 1 << 29
"""bytes of the list of all files; while it is read, all of it is in memory"""
MOST_FILES = 3_000_000
"""in an archive: a million events with picture and clip, and a third more"""
MOST_EMPTY = 100_000
"""files without a byte: each costs a disk more than the archive"""
SPARE_BYTES = 10_000_000_000
"""by which all files may be more than twice what the archive says of them: they grew while it was made"""


class ArchiveCount:
    """How much an archive holds so far, whatever it says of itself. `said`: the bytes that it says."""

    def __init__(self, said: int) -> None:
        self._most_bytes = 2 * said + SPARE_BYTES
        self._files = self._empty = self._bytes = self._list_bytes = 0

    def more(self, member: tarfile.TarInfo) -> str | None:
        """One more file; why that is too much, or None."""
        if self._bytes > self._most_bytes:  # a single one that is too large does not fit on the disk
            return "it holds far more than it says"
        self._files += 1
        self._empty += not member.size
        self._bytes += member.size
        self._list_bytes += line_bytes(member.name)
        if self._files > MOST_FILES:
            return f"it holds more than {MOST_FILES:,} files"
        if self._list_bytes > LONGEST_SUMS:
            return "its names are too long together"
        if self._empty > MOST_EMPTY:
            return f"it holds more than {MOST_EMPTY:,} empty files"
        return None


def line_bytes(name: str) -> int:
    """Of a file in the list of all."""
    return 67 + len(name.encode("utf-8", "surrogateescape"))
