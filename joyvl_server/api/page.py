"""The page: plain files, without a build step. `/` is `web/index.html`, `/assets/x.js` is `web/x.js`."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import math
import posixpath
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

import joyvl_server
from joyvl_server.api.http.problems import problem

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
VERSION = re.compile(r"v-[0-9a-f]{16}/")
IMPORT = re.compile(r'^(?:import|export)\b[^"();]*"(\.[^"]+)"', re.MULTILINE)
"""A static import or re-export, which browsers load before they run a module."""
STYLE = re.compile(r'[ \t]*<link rel="stylesheet" href="/assets/([^"]+)">\n')
STYLES = "css/all.css"
"""All style sheets of the page, one after another; only this module knows of it."""
YEAR_S = 31_536_000
LOOKED_FOR_S = 1.0
"""Seconds for which the files are taken for unchanged: to look at all of them takes longer than to answer."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent. The tag is a digest of the content: times of files in a wheel say nothing."""

    content: bytes
    gzipped: bytes | None
    kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class AssetBundle:
    """All files as they were at one moment, in memory, with the page that names them.

    The page names them by a path that holds a digest of all of them, `/assets/v-…/main.js`: browsers keep those for
    good, and after an update they fetch every file again. Relative imports stay below that path.
    """

    signature: tuple[tuple[str, int, int], ...]
    version: str
    files: dict[str, Asset]
    page: Asset


@dataclass(slots=True)
class PageFiles:
    """Files under `root` only. `bundle`: the one that was given out last; None before the first."""

    root: Path
    bundle: AssetBundle | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _looked_at: float = -math.inf

    @classmethod
    def find(cls) -> PageFiles | None:
        """`web/` inside the installed package, or beside it in a checkout."""
        package = Path(joyvl_server.__file__).resolve().parent
        folders = (package / "web", package.parent / "web")
        return next((cls(folder) for folder in folders if (folder / "index.html").is_file()), None)

    def read(self, name: str) -> Asset | None:
        """None when there is no such file, or it is not ours to show. Blocks."""
        kind = TYPES.get(Path(name).suffix.lower())
        if kind is None or "\0" in name or any(part.startswith(".") for part in name.split("/")):
            return None
        try:
            path = (self.root / name).resolve(strict=True)
            if not path.is_relative_to(self.root) or not path.is_file():
                return None
            return _asset(path.read_bytes(), kind, path.suffix.lower())
        except OSError:
            return None

    async def newest(self, now: float) -> AssetBundle | None:
        """The bundle of the files as they are `now` (monotonic); None where the page itself is missing.

        Cancelling it ends the wait; the files are read to the end all the same.
        """
        if self.bundle is None or now - self._looked_at >= LOOKED_FOR_S:
            self._looked_at = now
            return await asyncio.to_thread(self._look)
        return self.bundle

    def _look(self) -> AssetBundle | None:
        with self._lock:
            signature = self._signature()
            if self.bundle is None or self.bundle.signature != signature:
                self.bundle = self._bundle(signature)
            return self.bundle

    def _signature(self) -> tuple[tuple[str, int, int], ...]:
        found = []
        for path in self.root.rglob("*"):
            if path.suffix.lower() in TYPES:
                with suppress(OSError):
                    stat = path.stat()
                    found.append((path.relative_to(self.root).as_posix(), stat.st_mtime_ns, stat.st_size))
        return tuple(sorted(found))

    def _bundle(self, signature: tuple[tuple[str, int, int], ...]) -> AssetBundle | None:
        files = {name: asset for name, _, _ in signature if (asset := self.read(name)) is not None}
        plain = files.get("index.html")
        if plain is None:
            return None
        text = plain.content.decode()
        styles = [name for name in STYLE.findall(text) if name in files]
        if styles:
            joined = b"\n".join(files[name].content for name in styles)
            files[STYLES] = _asset(joined, TYPES[".css"], ".css")
            text = STYLE.sub("", text).replace(
                "</head>", f'  <link rel="stylesheet" href="/assets/{STYLES}">\n</head>', 1
            )
        digests = repr([(name, files[name].digest) for name in sorted(files)])
        version = f"v-{hashlib.sha256(digests.encode()).hexdigest()[:16]}/"
        # Browsers find imports one module after another; named here they are all fetched at once.
        links = "".join(f'  <link rel="modulepreload" href="/assets/{name}">\n' for name in modules(files, "main.js"))
        text = text.replace("</head>", links + "</head>", 1).replace("/assets/", f"/assets/{version}")
        return AssetBundle(signature, version, files, _asset(text.encode(), plain.kind, ".html"))


def modules(files: dict[str, Asset], first: str) -> list[str]:
    """This module and all that it imports, directly or not; the nearest first."""
    names = [first] if first in files else []
    for name in names:
        for target in IMPORT.findall(files[name].content.decode()):
            imported = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            if imported in files and imported not in names:
                names.append(imported)
    return names


def _asset(content: bytes, kind: str, suffix: str) -> Asset:
    gzipped = gzip.compress(content, mtime=0) if suffix in COMPRESSED else None
    return Asset(content, gzipped, kind, hashlib.sha256(content).hexdigest()[:32])


@router.api_route("/", methods=["GET", "HEAD"])
async def read_index(request: Request) -> Response:
    """The page."""
    api = request.app.state.api
    pages: PageFiles | None = api.pages
    if pages is None:
        detail = "The page's files are not installed: there is no folder web/ in or beside the package."
        return problem(404, "no_page", detail)
    if request.headers.get("sec-fetch-dest") == "document":  # somebody opens it in a browser
        api.registry.expect_call()
    bundle = await pages.newest(api.clock.monotonic())
    return _answer(request, bundle.page if bundle else None, "no-cache")


@router.api_route("/assets/{path:path}", methods=["GET", "HEAD"])
async def read_asset(request: Request, path: str) -> Response:
    """A file of the page."""
    api = request.app.state.api
    pages: PageFiles | None = api.pages
    if pages is None:
        raise HTTPException(404)
    versioned = VERSION.match(path)
    if versioned is None:
        return _answer(request, await asyncio.to_thread(pages.read, path), "no-cache")
    bundle = pages.bundle or await pages.newest(api.clock.monotonic())
    # A page of another version gets what there is now, but must not keep it under the old name.
    current = bundle is not None and bundle.version == versioned[0]
    keep = f"public, max-age={YEAR_S}, immutable" if current else "no-cache"
    return _answer(request, bundle.files.get(path[versioned.end() :]) if bundle else None, keep)


def _answer(request: Request, asset: Asset | None, keep: str) -> Response:
    if asset is None:
        raise HTTPException(404)
    zipped = asset.gzipped is not None and "gzip" in request.headers.get("accept-encoding", "")
    tag = f'"{asset.digest}-gzip"' if zipped else f'"{asset.digest}"'
    headers = {"ETag": tag, "Cache-Control": keep}
    if asset.gzipped is not None:
        headers["Vary"] = "Accept-Encoding, Origin"
    asked = [t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")]
    if tag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(asset.gzipped if zipped else asset.content, 200, {**headers, "Content-Type": asset.kind})
