"""The file of a backup: a tar archive. First what it is, then the files, at last the SHA-256 of each of them.

The last one says, too, that the archive is whole. `tar` and `sha256sum --check` of any system read it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from joyvl_server.core.errors import StoreError
from joyvl_server.store.backup.bounds import LONGEST_SUMS, ArchiveCount

FORMAT = 1
MANIFEST, SUMS = "joyvl-backup.json", "SHA256SUMS"
_PIECE = 1 << 20
_LONGEST_MANIFEST = 65_536
_LONGEST_HEADER = 65_536
"""of a name or of other words about a file: ours have a few hundred bytes, and all of them are read into memory"""
_LONG_HEADERS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
_UNREADABLE = (tarfile.TarError, zlib.error, EOFError, ValueError)
"""what reading raises where the bytes are not those that were written"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`databases`: version of each. `size`: about the bytes that all files need on a disk. `folder`: whose they are."""

    format: int
    program: str
    made_at: str
    databases: dict[str, int]
    secrets: bool
    size: int
    folder: str = ""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Raises `ValueError` for what is none."""
        found: Any = json.loads(text)
        if not isinstance(found, dict) or not isinstance(found.get("format"), int):
            raise ValueError("no manifest")
        databases = found.get("databases")
        if not isinstance(databases, dict) or not all(isinstance(v, int) for v in databases.values()):
            raise ValueError("no versions")
        return cls(
            found["format"],
            str(found.get("program")),
            str(found.get("made_at")),
            databases,
            found.get("secrets") is True,
            max(0, int(found.get("size", 0))),
            str(found.get("folder", "")),
        )


class ArchiveWriter:
    """`with ArchiveWriter(…) as archive`, and `finish()` once all is in it: without it the archive is not whole. All of
    it blocks."""

    def __init__(self, out: BinaryIO, manifest: Manifest, *, compress: bool) -> None:
        self.files = 0
        self._counted = ArchiveCount(manifest.size, MANIFEST)
        self._sums: list[str] = []
        self._packed = gzip.GzipFile("", "wb", fileobj=out) if compress else None
        self._tar = tarfile.open(fileobj=self._packed or out, mode="w")  # noqa: SIM115
        self._add_bytes(MANIFEST, manifest.to_json())

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._packed is not None:
            with suppress(OSError):  # told already
                self._packed.close()

    def add(self, name: str, path: Path) -> int | None:
        """Its size; None where the file has gone. Raises `OSError`, `StoreError` where it changes while it is read, and
        for more than could be restored."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        with file:
            found = os.fstat(file.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mtime = found.st_size, int(found.st_mtime)
            info.mode = 0o600
            if (too_much := self._counted.more(info)) is not None:
                raise StoreError(
                    f"A backup of this data folder could not be restored: {too_much}. Keep fewer pictures and clips "
                    "(timeline.days, timeline.max_gb), and take out what is none of the server's, in media/ above all.",
                    code="backup_target",
                )
            reader = _HashingReader(file)
            try:
                self._tar.addfile(info, reader)
            except OSError as error:
                if reader.ended:
                    raise StoreError(f"{path} became shorter while it was read. Try again.", code="store_io") from error
                raise
        self._note(name, reader.digest())
        self.files += 1
        return info.size

    def finish(self) -> None:
        """Raises `OSError`."""
        self._add_bytes(SUMS, "".join(self._sums).encode("utf-8", "surrogateescape"))
        self._tar.close()
        if self._packed is not None:
            self._packed.close()

    def _add_bytes(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        info.mode = 0o600
        self._tar.addfile(info, io.BytesIO(data))
        if name != SUMS:
            self._note(name, hashlib.sha256(data).hexdigest())

    def _note(self, name: str, digest: str) -> None:
        self._sums.append(f"{digest}  {name}\n")
        _forget(self._tar)


class ArchiveReader:
    """Reads from the start to the end, once. Raises `StoreError` (backup_damaged) for what is no whole backup.

    `manifest` is known at once; `files` gives each file with a reader that has to be read to its end; what `files` has
    gone through without an error is whole.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._path = path
        try:
            self._tar = tarfile.open(fileobj=file, mode="r|*", tarinfo=_ShortHeaders)  # noqa: SIM115
            first = self._tar.next()
            if first is None or first.name != MANIFEST or not _is_plain(first) or first.size > _LONGEST_MANIFEST:
                raise StoreError(f"{path} is no backup of joyvl-server.", code="backup_damaged")
            text = self._content(first).read()
            self.manifest = Manifest.from_json(text)
        except (*_UNREADABLE, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise StoreError(f"{path} cannot be read: {error.strerror}.", code="store_io") from error
            raise StoreError(
                f"{path} is no backup of joyvl-server, or it is damaged.", code="backup_damaged"
            ) from error
        self._found = {MANIFEST: hashlib.sha256(text).hexdigest()}

    def files(self) -> Iterator[tuple[str, HashedFile]]:
        """See above. The names are as they stand in the archive: whoever writes has to check them."""
        counted = ArchiveCount(self.manifest.size, MANIFEST)
        try:
            while (member := self._tar.next()) is not None:
                _forget(self._tar)
                if not _is_plain(member):
                    raise self._damaged(f"{member.name[:200]!r} in it is no plain file")
                if member.name == SUMS:
                    self._compare(member)
                    return
                if member.name in self._found:
                    raise self._damaged(f"{member.name[:200]!r} is in it twice")
                if (too_much := counted.more(member)) is not None:
                    raise self._damaged(too_much)
                file = HashedFile(self._content(member), member, self)
                yield member.name, file
                if file.left:
                    raise self._damaged("it was cut off")
                self._found[member.name] = file.digest()
        except (*_UNREADABLE, OSError) as error:
            raise self.failed(error) from error
        raise self._damaged("its end is missing")

    def _compare(self, member: tarfile.TarInfo) -> None:
        if member.size > LONGEST_SUMS:
            raise self._damaged("its list of files is too long")
        listed = {}
        # A name may hold other characters that end a line for some, but none of these; the last line is ended, too.
        for line in self._content(member).read().decode("utf-8", "surrogateescape").split("\n")[:-1]:
            digest, _, name = line.partition("  ")
            listed[name] = digest
        if listed != self._found:
            wrong = sorted(
                name for name in listed.keys() | self._found.keys() if listed.get(name) != self._found.get(name)
            )
            raise self._damaged(
                f"{len(wrong)} of its files are not as they were written, the first is {wrong[0][:200]!r}"
            )

    def _content(self, member: tarfile.TarInfo) -> IO[bytes]:
        content = self._tar.extractfile(member)
        assert content is not None  # it is a plain file
        return content

    def failed(self, error: Exception) -> Exception:
        """What is told of an error while it is read."""
        if isinstance(error, OSError) and error.errno is not None:
            return error  # the disk, not what stands in the file
        return self._damaged("it cannot be read to its end")

    def _damaged(self, why: str) -> StoreError:
        return StoreError(f"The backup {self._path} is damaged: {why}. Use another one.", code="backup_damaged")


class HashedFile:
    """A file of an archive, read piece by piece. `left`: bytes that are still to come."""

    def __init__(self, content: IO[bytes], member: tarfile.TarInfo, archive: ArchiveReader) -> None:
        self.size = self.left = member.size
        self.written_wall = member.mtime
        self._content = content
        self._archive = archive
        self._hash = hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        """Raises `StoreError` (backup_damaged), `OSError`."""
        while self.left:
            try:
                piece = self._content.read(min(_PIECE, self.left))
            except (*_UNREADABLE, OSError) as error:
                raise self._archive.failed(error) from error
            if not piece:
                return
            self._hash.update(piece)
            self.left -= len(piece)
            yield piece

    def digest(self) -> str:
        return self._hash.hexdigest()


class _HashingReader:
    def __init__(self, file: BinaryIO) -> None:
        self.ended = False
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.ended = not piece
        self._hash.update(piece)
        return piece

    def digest(self) -> str:
        return self._hash.hexdigest()


class _ShortHeaders(tarfile.TarInfo):
    def _proc_member(self, tarfile_: tarfile.TarFile) -> Any:
        if self.type in _LONG_HEADERS and self.size > _LONGEST_HEADER:
            raise tarfile.ReadError("a header is too long")
        return super()._proc_member(tarfile_)  # type: ignore[misc]


def _is_plain(member: tarfile.TarInfo) -> bool:
    """No file with holes either: a few bytes of an archive would fill the disk."""
    return member.isreg() and not member.issparse()


def _forget(tar: tarfile.TarFile) -> None:
    """It would remember every file that it has seen."""
    tar.members = []  # type: ignore[attr-defined]
