"""A whole repository of weights in a folder: what is listed, what is wanted of it, what is there."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from joyvl_server.kit.downloads import Downloader, DownloadError, RemoteFile, check_disk
from joyvl_server.kit.whole_files import write_whole

RECEIPT = ".joyvl-weights.json"
"""in the folder: which files of which state of the repository are there"""
CONFIG = "config.json"
WEIGHTS = ".safetensors"
SINGLE = f"model{WEIGHTS}"
INDEX = f"{SINGLE}.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
LARGEST_TEXT = 200_000_000
LARGEST_INDEX = 50_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_TEXTS = (".json", ".jinja", ".model", ".txt")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files right in a repository's root, by name. `state`: the commit, or what else names it."""

    repository: str
    revision: str
    state: str
    files: Mapping[str, RemoteFile]


class Hub(Protocol):
    """Where repositories are listed. `url` is its address."""

    @property
    def url(self) -> str: ...

    async def snapshot(self, repository: str, revision: str) -> Snapshot:
        """Raises `DownloadError`. Cancelling it changes nothing."""


class SnapshotProgress(Protocol):
    def total(self, there: Mapping[str, int], total: int) -> None:
        """Bytes of each file that are there already, and of all files. Told once, before the large ones."""


@dataclass(slots=True)
class Receipt:
    """What is in the folder. `files`: size, hash and time of change by name; `whole`: all of the repository is."""

    repository: str
    revision: str
    state: str
    whole: bool = False
    files: dict[str, tuple[int, str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Receipt | None:
        """None where there is none, or one that nobody can read. Blocks."""
        try:
            found = json.loads((folder / RECEIPT).read_text("utf-8"))
            files = {str(name): (int(size), str(hash), int(at)) for name, (size, hash, at) in found["files"].items()}
            return cls(
                str(found["repository"]), str(found["revision"]), str(found["state"]), found["whole"] is True, files
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, folder: Path) -> None:
        """Whole or not at all. Blocks. Raises `OSError`."""
        write_whole(folder / RECEIPT, json.dumps(asdict(self)).encode(), mode=0o644)

    def has(self, folder: Path, name: str, hash: str | None = None) -> bool:
        """Is the file still the one that was fetched, by its size and time? Reads nothing of it. Blocks."""
        if name not in self.files or (hash is not None and self.files[name][1] != hash):
            return False
        try:
            found = (folder / name).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.files[name][0], self.files[name][2])

    def took(self, folder: Path, name: str, file: RemoteFile) -> None:
        found = (folder / name).stat()
        self.files[name] = (found.st_size, file.wanted, found.st_mtime_ns)


def whole_receipt(folder: Path) -> Receipt | None:
    """That of a folder in which nothing is missing; None for any other. Asks nobody. Blocks, not for long."""
    receipt = Receipt.read(folder)
    if receipt is None or not receipt.whole or not all(receipt.has(folder, name) for name in receipt.files):
        return None
    return receipt


class SnapshotFetcher:
    """Fetches the root of a repository into `folder`: texts, and the weights that its index names. Never code."""

    def __init__(self, hub: Hub, downloader: Downloader, progress: SnapshotProgress, folder: Path) -> None:
        self.hub = hub
        self._downloader = downloader
        self._progress = progress
        self._folder = folder

    async def fetch(self, repository: str, revision: str, *, check: bool = False, same: Collection[str] = ()) -> bool:
        """True where something was fetched. `check`: read every file again, instead of trusting its size and time.
        `same`: other names of the repository, on other hubs.

        Raises `DownloadError`. Cancelled or killed, what was fetched stays, and the next call goes on from there.
        """
        listed = await self.hub.snapshot(repository, revision)
        receipt = await asyncio.to_thread(Receipt.read, self._folder)
        if receipt is not None and receipt.repository not in (repository, *same):
            raise DownloadError(f"{self._folder} holds {receipt.repository}; choose another folder.", code="refused")
        before = {} if receipt is None else receipt.files
        receipt = Receipt(repository, revision, listed.state, files={} if check else dict(before))
        fetched = False
        texts = _texts(listed)
        if INDEX in listed.files:  # it says which weights there are
            fetched = await self._file(receipt, INDEX, texts[INDEX])
        wanted = texts | await asyncio.to_thread(self._weights, listed)
        there = await asyncio.to_thread(self._bytes_there, receipt, wanted)
        total = sum(file.size for file in wanted.values())
        await asyncio.to_thread(check_disk, max(0, total - sum(there.values())), self._folder)
        self._progress.total(there, total)
        for name, file in wanted.items():
            fetched = await self._file(receipt, name, file) or fetched
        await asyncio.to_thread(self._finish, receipt, before.keys() - wanted.keys())
        return fetched

    async def _file(self, receipt: Receipt, name: str, file: RemoteFile) -> bool:
        if await asyncio.to_thread(receipt.has, self._folder, name, file.wanted):
            return False
        fetched = await self._downloader.fetch(file, self._folder / name)
        await asyncio.to_thread(self._note, receipt, name, file)
        return fetched

    def _note(self, receipt: Receipt, name: str, file: RemoteFile) -> None:
        try:
            receipt.took(self._folder, name, file)
            receipt.write(self._folder)
        except OSError as error:
            raise DownloadError(f"{self._folder} cannot be written: {error.strerror}.", code="disk_full") from None

    def _finish(self, receipt: Receipt, gone: Iterable[str]) -> None:
        """Files of an earlier state that this one has no more are removed: they would be loaded with the others."""
        receipt.whole = True
        try:
            for name in gone:
                receipt.files.pop(name, None)
                if _NAME.fullmatch(name):
                    (self._folder / name).unlink(missing_ok=True)
            receipt.write(self._folder)
        except OSError as error:
            raise DownloadError(f"{self._folder} cannot be written: {error.strerror}.", code="disk_full") from None

    def _bytes_there(self, receipt: Receipt, wanted: Mapping[str, RemoteFile]) -> dict[str, int]:
        """Of whole files, and of parts of others."""
        there = dict.fromkeys(wanted, 0)
        for name, file in wanted.items():
            if receipt.has(self._folder, name, file.wanted):
                there[name] = file.size
                continue
            for path in (self._folder / name, self._folder / f"{name}.part"):
                if path.is_file():
                    there[name] = min(path.stat().st_size, file.size)
                    break
        return there

    def _weights(self, listed: Snapshot) -> dict[str, RemoteFile]:
        """What the index names; without one, the single file. Raises `DownloadError`."""
        names = [SINGLE]
        if INDEX in listed.files:
            try:
                named = json.loads((self._folder / INDEX).read_text("utf-8"))["weight_map"].values()
                names = sorted({str(name) for name in named})
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                raise DownloadError(f"{INDEX} of {listed.repository} names no weights.", code="refused") from None
        for name in names:
            if not _NAME.fullmatch(name) or not name.endswith(WEIGHTS):
                raise DownloadError(f"{INDEX} of {listed.repository} names {name!r}.", code="refused")
        if missing := [name for name in names if name not in listed.files]:
            raise DownloadError(f"{listed.repository} has no {', '.join(missing)}.", code="not_found")
        return {name: listed.files[name] for name in names}


def _texts(listed: Snapshot) -> dict[str, RemoteFile]:
    """Configuration, tokenizer, template, licence. Raises `DownloadError` where the repository holds no model."""
    if CONFIG not in listed.files or not any(name in listed.files for name in TOKENIZERS):
        raise DownloadError(
            f"{listed.repository} holds no weights that vLLM reads: {CONFIG} or the tokenizer is missing.",
            code="not_found",
        )
    wanted = {
        name: file
        for name, file in sorted(listed.files.items())
        if _NAME.fullmatch(name) and (name.endswith(_TEXTS) or name.startswith(("LICENSE", "NOTICE")))
    }
    for name, file in wanted.items():
        if file.size > (LARGEST_INDEX if name == INDEX else LARGEST_TEXT):
            raise DownloadError(f"{name} of {listed.repository} has {file.size} bytes.", code="refused")
    return wanted
