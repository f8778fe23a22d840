"""What a repository on the Hugging Face Hub holds, with the hashes that the Hub itself names."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import httpx2

from joyvl_server.kit.downloads import DownloadError, RemoteFile, words_of
from joyvl_server.kit.hubs.snapshot import Snapshot

HUB = "https://huggingface.co"
MAX_FILES = 2000
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ModelHub:
    """`url` may name a mirror with the same paths. `client`: of `kit.net.http`, which the caller closes."""

    def __init__(self, client: httpx2.AsyncClient, url: str = HUB) -> None:
        self._client = client
        self.url = url.rstrip("/")

    def file_url(self, repository: str, revision: str, path: str) -> str:
        return f"{self.url}/{repository}/resolve/{quote(revision, safe='')}/{quote(path)}"

    async def commit(self, repository: str, revision: str) -> str:
        """The commit that a branch names now: all files are then of one state. Raises `DownloadError`."""
        if _COMMIT.fullmatch(revision):
            return revision
        found = await self._get(f"/api/models/{repository}/revision/{quote(revision, safe='')}")
        commit = found.get("sha") if isinstance(found, dict) else None
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise self._garbage(repository)
        return commit

    async def files(self, repository: str, commit: str, folder: str = "") -> dict[str, RemoteFile]:
        """The files right in one folder, by their paths in the repository. Raises `DownloadError`."""
        path = f"/{quote(folder)}" if folder else ""
        listed = await self._get(f"/api/models/{repository}/tree/{commit}{path}")
        if not isinstance(listed, list) or len(listed) > MAX_FILES:
            raise self._garbage(repository)
        found: dict[str, RemoteFile] = {}
        for entry in listed:
            if isinstance(entry, dict) and entry.get("type") == "file" and isinstance(name := entry.get("path"), str):
                try:
                    found[name] = self._file(entry, self.file_url(repository, commit, name))
                except (KeyError, TypeError, ValueError):
                    raise self._garbage(repository) from None
        return found

    async def snapshot(self, repository: str, revision: str) -> Snapshot:
        """See `Hub`."""
        commit = await self.commit(repository, revision)
        return Snapshot(repository, revision, commit, await self.files(repository, commit))

    @staticmethod
    def _file(entry: dict[str, Any], url: str) -> RemoteFile:
        large = entry.get("lfs")
        if isinstance(large, dict):
            sha256 = str(large["oid"]).removeprefix("sha256:")
            if not _SHA256.fullmatch(sha256):
                raise ValueError(sha256)
            return RemoteFile(url, int(large["size"]), sha256=sha256)
        if not _COMMIT.fullmatch(str(entry["oid"])):
            raise ValueError(entry["oid"])
        return RemoteFile(url, int(entry["size"]), blob_id=str(entry["oid"]))

    async def _get(self, path: str) -> object:
        try:
            answer = await self._client.get(self.url + path)
        except httpx2.HTTPError as error:
            raise DownloadError(
                f"{self.url} cannot be reached: {words_of(error)}. Is this machine online? A mirror with the same "
                "paths: --mirror, or HF_ENDPOINT."
            ) from None
        if answer.status_code == 404:
            raise DownloadError(f"{self.url} has no {path.split('/', 3)[-1]}.", code="not_found")
        if answer.status_code != 200:
            raise DownloadError(f"{self.url} refuses to list {path}: status {answer.status_code}.", code="refused")
        try:
            found: object = answer.json()
        except ValueError:
            found = None
        return found

    def _garbage(self, repository: str) -> DownloadError:
        return DownloadError(f"{self.url} does not list {repository} as the Hub does. Is it a mirror?", code="refused")
