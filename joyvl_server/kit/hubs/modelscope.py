"""What a repository on ModelScope holds. Each file is listed with its SHA-256.

Its own paths: `GET /api/v1/models/OWNER/NAME/repo/files?Revision=…` lists, `GET …/repo?Revision=…&FilePath=…` sends a
file, with ranges.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import httpx2

from joyvl_server.kit.downloads import DownloadError, RemoteFile, words_of
from joyvl_server.kit.hubs.hugging_face import MAX_FILES
from joyvl_server.kit.hubs.snapshot import Snapshot

MODELSCOPE = "https://www.modelscope.cn"
REVISION = "master"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ModelScope:
    """`url`: its address, or that of a server with the same paths. `client`: as for `ModelHub`."""

    def __init__(self, client: httpx2.AsyncClient, url: str = MODELSCOPE) -> None:
        self._client = client
        self.url = url.rstrip("/")

    async def snapshot(self, repository: str, revision: str) -> Snapshot:
        """See `Hub`. A branch may move while its files are fetched: then a hash differs, and it is tried again."""
        base = f"{self.url}/api/v1/models/{repository}/repo"
        at = quote(revision, safe="")
        found = await self._list(repository, f"{base}/files?Revision={at}&Recursive=false")
        files: dict[str, RemoteFile] = {}
        for entry in found:
            if isinstance(entry, dict) and entry.get("Type") == "blob" and isinstance(name := entry.get("Path"), str):
                url = f"{base}?Revision={at}&FilePath={quote(name, safe='')}"
                try:
                    files[name] = _file(entry, url)
                except (KeyError, TypeError, ValueError):
                    raise self._garbage(repository) from None
        return Snapshot(repository, revision, revision, files)

    async def _list(self, repository: str, url: str) -> list[object]:
        try:
            answer = await self._client.get(url)
        except httpx2.HTTPError as error:
            raise DownloadError(
                f"{self.url} cannot be reached: {words_of(error)}. Is this machine online? The other hub: "
                "--from huggingface."
            ) from None
        if answer.status_code == 404:
            raise DownloadError(f"{self.url} has no {repository}.", code="not_found")
        if answer.status_code != 200:
            raise DownloadError(f"{self.url} refuses to list {repository}: {answer.status_code}.", code="refused")
        try:
            found = answer.json()
            listed = found["Data"]["Files"]
        except (ValueError, KeyError, TypeError):
            raise self._garbage(repository) from None
        if not isinstance(listed, list) or len(listed) > MAX_FILES or found.get("Code", 200) != 200:
            raise self._garbage(repository)
        return listed

    def _garbage(self, repository: str) -> DownloadError:
        return DownloadError(f"{self.url} does not list {repository} as ModelScope does.", code="refused")


def _file(entry: dict[str, Any], url: str) -> RemoteFile:
    sha256 = str(entry["Sha256"]).lower()
    if not _SHA256.fullmatch(sha256):
        raise ValueError(sha256)
    return RemoteFile(url, int(entry["Size"]), sha256=sha256)
