"""What a repository on the Hugging Face Hub holds, with the hashes that the Hub itself names."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import httpx2

from joyvl_server.kit.downloads import RemoteFile
from joyvl_server.kit.hubs.listing import HubListings
from joyvl_server.kit.hubs.snapshot import Snapshot
from joyvl_server.kit.net.redirects import HostToken

HUB = "https://huggingface.co"
INSTEAD = "A mirror with the same paths: --mirror, or HF_ENDPOINT."
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ModelHub:
    """`url` may name a mirror with the same paths. `client`: of `kit.net.http`, which the caller closes. `token`: for
    repositories that are private or ask for terms to be accepted."""

    def __init__(self, client: httpx2.AsyncClient, url: str = HUB, token: HostToken | None = None) -> None:
        self._listings = HubListings(client, url, "the Hub", INSTEAD, token)
        self.url = self._listings.url

    def file_url(self, repository: str, revision: str, path: str) -> str:
        return f"{self.url}/{repository}/resolve/{quote(revision, safe='')}/{quote(path)}"

    async def commit(self, repository: str, revision: str) -> str:
        """The commit that a branch names now: all files are then of one state. Raises `DownloadError`."""
        if _COMMIT.fullmatch(revision):
            return revision
        path = f"/api/models/{repository}/revision/{quote(revision, safe='')}"
        found = await self._listings.read(path, f"{repository} at {revision}")
        commit = found.get("sha") if isinstance(found, dict) else None
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise self._listings.garbage(repository)
        return commit

    async def files(self, repository: str, commit: str, folder: str = "") -> dict[str, RemoteFile]:
        """The files right in one folder, by their paths in the repository. Raises `DownloadError`."""
        path = f"/{quote(folder)}" if folder else ""
        listed = await self._listings.read(f"/api/models/{repository}/tree/{commit}{path}", f"{repository} at {commit}")
        found: dict[str, RemoteFile] = {}
        for entry in self._listings.checked(listed, repository):
            if isinstance(entry, dict) and entry.get("type") == "file" and isinstance(name := entry.get("path"), str):
                try:
                    found[name] = self._file(entry, self.file_url(repository, commit, name))
                except (KeyError, TypeError, ValueError):
                    raise self._listings.garbage(repository) from None
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
