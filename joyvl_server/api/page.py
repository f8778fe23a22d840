"""The page: plain files, without a build step. `/` is `web/index.html`, `/assets/x.js` is `web/x.js`."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import posixpath
import re
import threading
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
COMPRESSED = (".html", ".js", ".mjs", ".css", ".json", ".webmanifest", ".svg", ".txt", ".md")
KEPT_FILES = 512
VERSION = re.compile(r"v-[0-9a-f]{16}/")
IMPORT = re.compile(r'^(?:import|export)\b[^"();]*"(\.[^"]+)"', re.MULTILINE)
"""A static import or re-export, which browsers load before they run a module."""
YEAR_S = 31_536_000

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent. The tag is a digest of the content: times of files in a wheel say nothing."""

    content: bytes
    gzipped: bytes | None
    kind: str
    digest: str


@dataclass(slots=True)
class Pages:
    """Files under `root` only. Everything here blocks.

    The page names its files by a path that holds a digest of all of them, `/assets/v-…/main.js`: browsers keep those
    for good, and after an update they fetch every file again. Relative imports stay below that path.
    """

    root: Path
    current: str | None = None
    """the version that the page was given out with last"""
    _kept: dict[tuple[str, int, int], Asset] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def find(cls) -> Pages | None:
        """`web/` inside the installed package, or beside it in a checkout."""
        package = Path(joyvl_server.__file__).resolve().parent
        folders = (package / "web", package.parent / "web")
        return next((cls(folder) for folder in folders if (folder / "index.html").is_file()), None)

    def read(self, name: str) -> Asset | None:
        """None when there is no such file, or it is not ours to show."""
        kind = TYPES.get(Path(name).suffix.lower())
        if kind is None or "\0" in name or any(part.startswith(".") for part in name.split("/")):
            return None
        try:
            path = (self.root / name).resolve(strict=True)
            if not path.is_relative_to(self.root) or not path.is_file():
                return None
            stat = path.stat()
            key = (str(path), stat.st_mtime_ns, stat.st_size)
            asset = self._kept.get(key) or _asset(path.read_bytes(), kind, path.suffix.lower())
        except OSError:
            return None
        with self._lock:
            if len(self._kept) >= KEPT_FILES:
                self._kept.clear()
            self._kept[key] = asset
        return asset

    def index(self) -> Asset | None:
        """The page itself. It names all modules: a browser fetches them at once instead of one after another."""
        plain = self.read("index.html")
        if plain is None:
            return None
        self.current = self.version()
        base = f"/assets/{self.current}"
        links = "".join(f'<link rel="modulepreload" href="{base}{name}">\n  ' for name in self.modules("main.js"))
        text = plain.content.decode().replace("/assets/", base)
        text = text.replace('<script type="module"', links + '<script type="module"', 1)
        return _asset(text.encode(), plain.kind, ".html")

    def version(self) -> str:
        """The part of the path that stands for the content of all files, as `VERSION` describes it."""
        names = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.suffix in TYPES)
        found = [(name, asset.digest) for name in names if (asset := self.read(name)) is not None]
        return f"v-{hashlib.sha256(repr(found).encode()).hexdigest()[:16]}/"

    def modules(self, first: str) -> list[str]:
        """This module and all that it imports, directly or not; the nearest first."""
        names = [first]
        for name in names:
            asset = self.read(name)
            for target in IMPORT.findall(asset.content.decode()) if asset else ():
                imported = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
                if imported not in names:
                    names.append(imported)
        return names


def _asset(content: bytes, kind: str, suffix: str) -> Asset:
    gzipped = gzip.compress(content, mtime=0) if suffix in COMPRESSED else None
    return Asset(content, gzipped, kind, hashlib.sha256(content).hexdigest()[:32])


@router.api_route("/", methods=["GET", "HEAD"])
async def read_index(request: Request) -> Response:
    """The page."""
    api = request.app.state.api
    pages: Pages | None = api.pages
    if pages is None:
        detail = "The page's files are not installed: there is no folder web/ in or beside the package."
        return problem(404, "no_page", detail)
    if request.headers.get("sec-fetch-dest") == "document":  # somebody opens it in a browser
        api.registry.expect_call()
    return _answer(request, await asyncio.to_thread(pages.index), "no-cache")


@router.api_route("/assets/{path:path}", methods=["GET", "HEAD"])
async def read_asset(request: Request, path: str) -> Response:
    """A file of the page."""
    pages: Pages | None = request.app.state.api.pages
    if pages is None:
        raise HTTPException(404)
    versioned = VERSION.match(path)
    name = path[versioned.end() :] if versioned else path
    asset = await asyncio.to_thread(pages.read, name)
    # A page of an older version gets what there is now, but must not keep it under the old name.
    current = versioned is not None and versioned[0] == pages.current
    return _answer(request, asset, f"public, max-age={YEAR_S}, immutable" if current else "no-cache")


def _answer(request: Request, asset: Asset | None, keep: str) -> Response:
    if asset is None:
        raise HTTPException(404)
    zipped = asset.gzipped is not None and "gzip" in request.headers.get("accept-encoding", "")
    tag = f'"{asset.digest}-gzip"' if zipped else f'"{asset.digest}"'
    headers = {"ETag": tag, "Cache-Control": keep}
    if asset.gzipped is not None:
        headers["Vary"] = "Accept-Encoding"
    asked = [t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")]
    if tag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.gzipped if zipped else asset.content, 200, {**headers, "Content-Type": asset.kind})
