"""What a repository on ModelScope holds. Each file is listed with its SHA-256.

Its own paths: `GET /api/v1/models/OWNER/NAME/repo/files?Revision=…` lists, `GET …/repo?Revision=…&FilePath=…` sends a
file, with ranges.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import httpx2

from joyvl_server.kit.downloads import RemoteFile
from joyvl_server.kit.hubs.listing import HubListings
from joyvl_server.kit.hubs.snapshot import Snapshot

MODELSCOPE = "https://www.modelscope.cn"
REVISION = "master"
INSTEAD = "The other hub: --from huggingface."
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ModelScope:
    """`url`: its address, or that of a server with the same paths. `client`: as for `ModelHub`."""

    def __init__(self, client: httpx2.AsyncClient, url: str = MODELSCOPE) -> None:
        self._listings = HubListings(client, url, "ModelScope", INSTEAD)
        self.url = self._listings.url

    async def snapshot(self, repository: str, revision: str) -> Snapshot:
        """See `Hub`. A branch may move while its files are fetched: then a hash differs, and it is tried again."""
        base = f"/api/v1/models/{repository}/repo"
        at = quote(revision, safe="")
        found = await self._listings.read(f"{base}/files?Revision={at}&Recursive=false", repository)
        try:
            listed = found["Data"]["Files"] if found.get("Code", 200) == 200 else None  # type: ignore[index, attr-defined]
        except (KeyError, TypeError, AttributeError):
            listed = None
        files: dict[str, RemoteFile] = {}
        for entry in self._listings.checked(listed, repository):
            if isinstance(entry, dict) and entry.get("Type") == "blob" and isinstance(name := entry.get("Path"), str):
                url = f"{self.url}{base}?Revision={at}&FilePath={quote(name, safe='')}"
                try:
                    files[name] = _file(entry, url)
                except (KeyError, TypeError, ValueError):
                    raise self._listings.garbage(repository) from None
        return Snapshot(repository, revision, revision, files)


def _file(entry: dict[str, Any], url: str) -> RemoteFile:
    sha256 = str(entry["Sha256"]).lower()
    if not _SHA256.fullmatch(sha256):
        raise ValueError(sha256)
    return RemoteFile(url, int(entry["Size"]), sha256=sha256)
