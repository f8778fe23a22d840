"""Fetches big files: resumed where they broke off, checked against their hash, in place only once they are whole."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

import httpx2

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.masking import mask_url
from joyvl_server.kit.net import redirects

BLOCK = 1 << 20
KEEP_FREE = 200_000_000
"""Bytes of the disk that a download leaves free."""
LARGEST = 20_000_000_000
TRIES = 5
TOKEN_NEEDED = (
    " Files that are private, and those whose terms must be accepted on the hub's page first, need a token of the hub: "
    "HF_TOKEN, or --token-file."
)
CODES = {401: "unauthorized", 403: "forbidden"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-")


class Hash(Protocol):
    """As hashlib makes them."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class DownloadError(JoyvlError):
    """A file that could not be fetched. Codes: unreachable, not_found, refused, unauthorized (status 401), forbidden
    (403), checksum, disk_full, busy."""

    code = "unreachable"


@dataclass(frozen=True)
class RemoteFile:
    """One file and how it is known to be the right one: its SHA-256, or (small files of a Git repository) its blob id.

    One of the two is needed: what cannot be checked is not fetched.
    """

    url: str
    size: int
    sha256: str | None = None
    blob_id: str | None = None

    def __post_init__(self) -> None:
        if self.sha256 is None and self.blob_id is None:
            raise ValueError(f"{mask_url(self.url)} has no hash to be checked against")
        if not 0 <= self.size <= LARGEST:
            raise ValueError(f"{mask_url(self.url)} has {self.size} bytes")

    @property
    def wanted(self) -> str:
        return (self.sha256 or self.blob_id or "").lower()

    def hash(self) -> Hash:
        """One that has taken in nothing of the file yet."""
        if self.sha256 is not None:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


class PartFile:
    """A file that grows, and the hash of what is in it. Blocking."""

    def __init__(self, file: RemoteFile, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self.name = path.name.removesuffix(".part")
        self.length = 0
        self._file = file
        self._stream = stream
        self._hash = file.hash()

    def read(self) -> None:
        """What is there already. Longer than the whole file, it is begun again from nothing."""
        while data := self._stream.read(BLOCK):
            self.length += len(data)
            self._hash.update(data)
            if self.length > self._file.size:
                self.restart()
                return

    def restart(self) -> None:
        self._stream.seek(0)
        self._stream.truncate(0)
        self.length, self._hash = 0, self._file.hash()

    def append(self, data: bytes) -> None:
        self._stream.write(data)
        self.length += len(data)
        self._hash.update(data)

    def sync(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())

    @property
    def fits(self) -> bool:
        return self.length == self._file.size and self._hash.hexdigest() == self._file.wanted


class DownloadProgress(Protocol):
    def progress(self, name: str, done: int, total: int) -> None:
        """Bytes so far. Called often."""


class Downloader:
    """`client`: of `kit.net.http`, which the caller closes. `tries`: in a row without a byte, pauses of up to 8 s.
    `token`: for files that not everybody may fetch."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        progress: DownloadProgress,
        tries: int = TRIES,
        token: redirects.HostToken | None = None,
    ) -> None:
        self._client = client
        self._progress = progress
        self._tries = tries
        self._token = token

    async def fetch(self, file: RemoteFile, target: Path) -> bool:
        """Make `target` that file; False where it was there already. Raises `DownloadError`.

        What was fetched stays next to it as `.part`, also when this is cancelled, and the next call goes on from there.
        """
        if await asyncio.to_thread(_is_there, file, target):
            self._progress.progress(target.name, file.size, file.size)
            return False
        part = target.with_name(f"{target.name}.part")
        try:
            stream = await asyncio.to_thread(_open, part)
        except OSError as error:
            raise DownloadError(f"{part} cannot be written: {error.strerror}.", code="refused") from None
        with stream:
            await self._complete(file, PartFile(file, part, stream))
            part.replace(target)
        return True

    async def _complete(self, file: RemoteFile, part: PartFile) -> None:
        """Until all is there and right."""
        await asyncio.to_thread(part.read)
        check_disk(file.size - part.length, part.path.parent)
        backoff, tries = Backoff(0.5, 8.0), 0
        while part.length < file.size:
            before = part.length
            problem = "it sends nothing"
            try:
                await self._transfer(file, part)
            except httpx2.HTTPError as error:
                problem = words_of(error)
            except OSError as error:
                raise DownloadError(f"{part.path} cannot be written: {error.strerror}.", code="disk_full") from None
            tries = 0 if part.length > before else tries + 1
            if tries >= self._tries:
                raise DownloadError(f"{_host(file.url)} cannot be reached: {problem}.")
            if part.length < file.size:
                await asyncio.sleep(backoff.failed())
        if not part.fits:
            await asyncio.to_thread(part.path.unlink)
            raise DownloadError(
                f"{part.name} from {_host(file.url)} is not the file that was expected: its hash is another one. It "
                "was thrown away; try again, or another mirror.",
                code="checksum",
            )
        await asyncio.to_thread(part.sync)

    async def _transfer(self, file: RemoteFile, part: PartFile) -> None:
        """One answer of the server, appended. Where it ends too early the caller asks for the rest."""
        answer = await self._get(file.url, part.length)
        try:
            if part.length and not _continues(answer, part.length):
                await asyncio.to_thread(part.restart)
            async for data in answer.aiter_bytes(BLOCK):
                if part.length + len(data) > file.size:
                    await asyncio.to_thread(part.path.unlink)
                    raise DownloadError(
                        f"{_host(file.url)} sends more than the {file.size} bytes of {part.name}.", code="checksum"
                    )
                await asyncio.to_thread(part.append, data)
                self._progress.progress(part.name, part.length, file.size)
        finally:
            await answer.aclose()

    async def _get(self, url: str, begin: int) -> httpx2.Response:
        """Follows redirects, by the rule of `kit.net.redirects`. Raises `DownloadError`, `HTTPError`."""
        # Compressed on the way, a range would count other bytes.
        headers = {"accept-encoding": "identity"} | ({"range": f"bytes={begin}-"} if begin else {})
        try:
            answer = await redirects.get(self._client, url, headers, self._token)
        except redirects.RedirectRefused as error:
            raise DownloadError(f"{_host(url)} {error}.", code="refused") from None
        if answer.status_code in (200, 206):
            return answer
        await answer.aclose()
        if answer.status_code == 416:  # what we have is no beginning of theirs
            return await self._get(url, 0)
        if answer.status_code in (404, 410):
            raise DownloadError(f"{_host(url)} has no {mask_url(url)} (any more).", code="not_found")
        if answer.status_code >= 500 or answer.status_code == 429:
            raise httpx2.ReadError(f"it answers {answer.status_code}")
        status = answer.status_code
        why = TOKEN_NEEDED if status in CODES else ""
        code = CODES.get(status, "refused")
        raise DownloadError(f"{_host(url)} refuses {mask_url(url)}: status {status}.{why}", code=code)


def _is_there(file: RemoteFile, target: Path) -> bool:
    with suppress(OSError):
        if target.stat().st_size == file.size:
            with target.open("rb") as stream:
                part = PartFile(file, target, stream)
                part.read()
                return part.fits
    return False


def _open(part: Path) -> BinaryIO:
    """Opened at its beginning, and locked. Raises `DownloadError` (busy), `OSError`."""
    part.parent.mkdir(parents=True, exist_ok=True)
    stream = part.open("r+b") if part.exists() else part.open("w+b")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise DownloadError(f"{part} is being fetched by another process.", code="busy") from None
    return stream


def _continues(answer: httpx2.Response, begin: int) -> bool:
    """The range it names counts, not the status: ModelScope sends ranges with status 200."""
    found = _CONTENT_RANGE.match(answer.headers.get("content-range", ""))
    return found is not None and int(found[1]) == begin


def check_disk(needed: int, folder: Path) -> None:
    """Raises `DownloadError` (disk_full) where that many bytes do not fit next to what is to stay free. Blocks."""
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if free < needed + KEEP_FREE:
        raise DownloadError(
            f"{folder} has {free / 1e6:.0f} MB free; {(needed + KEEP_FREE) / 1e6:.0f} MB are needed.",
            code="disk_full",
        )


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the server"


def words_of(error: Exception) -> str:
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)).rstrip(".") or type(error).__name__
