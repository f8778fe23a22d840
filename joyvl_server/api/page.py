"""The page: plain files, without a build step. `/` is `web/index.html`, `/assets/x.js` is `web/x.js`."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

import joyvl_server
from joyvl_server.api.problems import problem

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
KEPT_FILES = 512

router = APIRouter(include_in_schema=False)


@dataclass(slots=True)
class Pages:
    """Files under `root` only. The tag is a digest of the content: times of files in a wheel say nothing."""

    root: Path
    _tags: dict[tuple[str, int, int], str] = field(default_factory=dict)

    @classmethod
    def find(cls) -> Pages | None:
        """`web/` inside the installed package, or beside it in a checkout."""
        package = Path(joyvl_server.__file__).resolve().parent
        folders = (package / "web", package.parent / "web")
        return next((cls(folder) for folder in folders if (folder / "index.html").is_file()), None)

    def read(self, name: str) -> tuple[bytes, str, str] | None:
        """(content, type, etag); None when there is no such file, or it is not ours to show. Blocks."""
        kind = TYPES.get(Path(name).suffix.lower())
        if kind is None or "\0" in name or any(part.startswith(".") for part in name.split("/")):
            return None
        try:
            path = (self.root / name).resolve(strict=True)
            if not path.is_relative_to(self.root) or not path.is_file():
                return None
            stat = path.stat()
            content = path.read_bytes()
        except OSError:
            return None
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        if key not in self._tags:
            if len(self._tags) >= KEPT_FILES:
                self._tags.clear()
            self._tags[key] = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return content, kind, self._tags[key]


@router.api_route("/", methods=["GET", "HEAD"])
async def read_index(request: Request) -> Response:
    """The page."""
    if request.app.state.api.pages is None:
        detail = "The page's files are not installed: there is no folder web/ in or beside the package."
        return problem(404, "no_page", detail)
    return await _file(request, "index.html")


@router.api_route("/assets/{path:path}", methods=["GET", "HEAD"])
async def read_asset(request: Request, path: str) -> Response:
    """A file of the page."""
    return await _file(request, path)


async def _file(request: Request, name: str) -> Response:
    pages: Pages | None = request.app.state.api.pages
    found = None if pages is None else await asyncio.to_thread(pages.read, name)
    if found is None:
        raise HTTPException(404)
    content, kind, tag = found
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    asked = [t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")]
    if tag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    return Response(content, 200, {**headers, "Content-Type": kind})
