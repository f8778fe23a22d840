"""A Hub with repositories, on top of a web server with files."""

from __future__ import annotations

import hashlib
import json

from fakes.server.file_server import FileServer

COMMIT = "c0ffee00" * 5


def publish(server: FileServer, repository: str, files: dict[str, bytes], *, small: tuple[str, ...] = ()) -> None:
    """`small` ones stand in Git itself, and have the id of a blob; the others have a SHA-256."""
    server.files[f"/api/models/{repository}/revision/main"] = json.dumps({"sha": COMMIT}).encode()
    folders: dict[str, list[dict]] = {}
    for path, body in files.items():
        blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        entry = {"type": "file", "path": path, "size": len(body), "oid": blob}
        if path not in small:
            entry["lfs"] = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body)}
        folders.setdefault(path.rpartition("/")[0], []).append(entry)
        server.files[f"/{repository}/resolve/{COMMIT}/{path}"] = body
    for folder, entries in folders.items():
        tree = f"/api/models/{repository}/tree/{COMMIT}" + (f"/{folder}" if folder else "")
        server.files[tree] = json.dumps(entries).encode()
