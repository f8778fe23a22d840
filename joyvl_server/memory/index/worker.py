"""The index process: `python -I worker.py FD` holds Chroma and answers requests. Nothing else imports Chroma.

One thread reads what comes, one answers questions (of several collections at once, with a few more), one changes what
is stored, so that a question never waits for changes. A collection of Chroma holds the vectors of one embedder for one
collection of memories: ids and the day of each, no text.
"""

from __future__ import annotations

import hashlib
import os
import queue
import re
import shutil
import socket
import sqlite3
import sys
import threading
import traceback
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def find_package() -> None:
    """Make this checkout's `joyvl_server` importable, alone."""
    if "joyvl_server" not in sys.modules:
        package = types.ModuleType("joyvl_server")
        package.__path__ = [str(Path(__file__).resolve().parents[2])]
        sys.modules["joyvl_server"] = package


if __name__ == "__main__":
    find_package()

from joyvl_server.kit.processes.messages import Head, ServerConnection  # noqa: E402
from joyvl_server.memory.index.frames import FORMAT, VECTOR  # noqa: E402

NICENESS = 5
"""Sessions come first."""
QUESTIONS = ("query", "counts", "check")
MAX_WAITING = 256
MOST_AT_ONCE = 4
"""collections that are asked at once"""
FEW = 3
"""collections, from which on each need not give all that are wanted"""
FULL = re.compile(r"disk is full|no space left|os error 28|ENOSPC|SQLITE_FULL|code: 13\b", re.IGNORECASE)


def collection_name(embedder: str, collection: str) -> str:
    """As Chroma takes it: 3 to 512 letters, digits, `.`, `_` and `-`."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", collection)[:60].strip("-_") or "x"
    marks = (
        hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest() for text in (embedder, collection)
    )
    return "-".join(("joyvl", readable, *marks))


class ChromaCollections:
    """All there is, by embedder and collection of memories. Chroma's own errors reach the caller."""

    def __init__(self, options: Head) -> None:
        import chromadb
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        self._folder: Path | None = None
        if options.get("url"):
            address = urlsplit(options["url"])
            ssl = address.scheme == "https"
            key = options.get("key")
            headers = {"Authorization": f"Bearer {key}", "X-Chroma-Token": key} if key else {}
            port = address.port or (443 if ssl else 80)
            self._client = chromadb.HttpClient(address.hostname or "", port, ssl, headers, settings)
        else:
            self._client = chromadb.PersistentClient(options["folder"], settings)
            self._folder = Path(options["folder"])
        self._all: dict[tuple[str, str], Any] = {}
        self._changing = threading.Lock()
        self._several = ThreadPoolExecutor(min(MOST_AT_ONCE, os.cpu_count() or 1), thread_name_prefix="question")
        offset = 0
        while page := self._client.list_collections(limit=100, offset=offset):
            for found in page:
                about = found.metadata or {}
                if "joyvl_embedder" in about:
                    self._all[(about["joyvl_embedder"], about["joyvl_collection"])] = found
            offset += len(page)

    def check(self, request: Head, data: bytes) -> None:
        """Raises whatever Chroma raises where it cannot read what it has."""
        for found in list(self._all.values()):
            if found.count():
                peeked = found.get(limit=1, include=["embeddings"])
                found.query(query_embeddings=peeked["embeddings"], n_results=1, include=["distances"])

    def counts(self, request: Head, data: bytes) -> dict[str, int]:
        return {
            collection: found.count()
            for (embedder, collection), found in list(self._all.items())
            if embedder == request["embedder"]
        }

    def put(self, request: Head, data: bytes) -> None:
        """All of one collection."""
        found = self._get(request["embedder"], request["collection"])
        days = [{"day": day} for day in request["days"]]
        found.upsert(ids=request["ids"], embeddings=_vectors(data, len(request["ids"])), metadatas=days)

    def query(self, request: Head, data: bytes) -> list[tuple[str, float]]:
        vector = _vectors(data, 1)
        wanted, days = request["collections"], request["days"]
        where = None if not days else {"day": days[0]} if len(days) == 1 else {"day": {"$in": days}}
        asked = [
            found
            for (embedder, collection), found in list(self._all.items())
            if embedder == request["embedder"] and (not wanted or collection in wanted)
        ]
        limit = request["limit"] if len(asked) < FEW else request["limit"] // 2

        def ask(found: Any) -> list[tuple[str, float]]:
            nearest = found.query(query_embeddings=vector, n_results=limit, where=where, include=["distances"])
            return list(zip(nearest["ids"][0], map(float, nearest["distances"][0]), strict=True))

        parts = [ask(found) for found in asked] if len(asked) == 1 else list(self._several.map(ask, asked))
        return [hit for part in parts for hit in part]

    def remove(self, request: Head, data: bytes) -> None:
        for collection, ids in request["memories"].items():
            for (_, name), found in list(self._all.items()):
                if name == collection:
                    found.delete(ids=ids)

    def drop(self, request: Head, data: bytes) -> None:
        self._drop((request["embedder"], request["collection"]))

    def keep_only(self, request: Head, data: bytes) -> None:
        for key in [key for key in self._all if key[0] not in request["embedders"]]:
            self._drop(key)

    def clean(self, request: Head, data: bytes) -> None:
        """Folders of collections that are gone, and free pages of Chroma's own database."""
        if self._folder is None:
            return
        with closing(sqlite3.connect(self._folder / "chroma.sqlite3", timeout=20.0, isolation_level=None)) as database:
            database.execute("PRAGMA secure_delete = ON")
            known = {row[0] for row in database.execute("SELECT id FROM segments")}
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for left in self._folder.iterdir():
            if left.is_dir() and re.fullmatch(r"[0-9a-f-]{36}", left.name) and left.name not in known:
                shutil.rmtree(left, ignore_errors=True)

    def _drop(self, key: tuple[str, str]) -> None:
        if (found := self._all.pop(key, None)) is not None:
            self._client.delete_collection(found.name)

    def _get(self, embedder: str, collection: str) -> Any:  # Chroma's own type would import it
        with self._changing:
            if (embedder, collection) not in self._all:
                self._all[(embedder, collection)] = self._client.get_or_create_collection(
                    collection_name(embedder, collection),
                    metadata={"joyvl_embedder": embedder, "joyvl_collection": collection},
                    configuration={"hnsw": {"space": "cosine"}},
                    embedding_function=None,
                )
            return self._all[(embedder, collection)]


def _vectors(data: bytes, count: int) -> Any:
    import numpy as np

    return np.frombuffer(data, VECTOR).reshape(count, -1)


class IndexHost:
    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def run(self) -> None:
        received = self._connection.receive()
        if received is None:
            return
        try:
            collections = ChromaCollections(received[0])
            collections.check({}, b"")
        except BaseException as error:  # Chroma's panics are no Exception; whatever it is, people need the reason
            traceback.print_exc()
            self._connection.send({"event": "failed", "message": _words(error), "code": _code(error)})
            os._exit(3)
        questions: queue.Queue[tuple[Head, bytes]] = queue.Queue(MAX_WAITING)
        changes: queue.Queue[tuple[Head, bytes]] = queue.Queue(MAX_WAITING)
        for name, waiting in (("questions", questions), ("changes", changes)):
            threading.Thread(target=self._work, args=(collections, waiting), name=name, daemon=True).start()
        self._connection.send({"event": "ready"})
        while (received := self._connection.receive()) is not None:
            if received[0]["op"] == "ping":
                self._connection.send({"event": "pong"})
                continue
            try:
                (questions if received[0]["op"] in QUESTIONS else changes).put_nowait(received)
            except queue.Full:
                self._connection.send({"id": received[0]["id"], "error": "Too much waits already.", "code": "busy"})
        os._exit(0)

    def _work(self, collections: ChromaCollections, waiting: queue.Queue[tuple[Head, bytes]]) -> None:
        while True:
            head, data = waiting.get()
            try:
                result = getattr(collections, head["op"])(head, data)
                self._connection.send({"id": head["id"], "result": result})
            except BaseException as error:  # as above
                traceback.print_exc()
                self._connection.send({"id": head["id"], "error": _words(error), "code": _code(error)})


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _code(error: BaseException) -> str:
    return "full" if FULL.search(str(error)) else "failed"


if __name__ == "__main__":
    os.nice(NICENESS)
    IndexHost(ServerConnection(socket.socket(fileno=int(sys.argv[1])), FORMAT)).run()
