"""Hubs with repositories, on top of a web server with files: as Hugging Face has them, and as ModelScope has them."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import quote

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


def publish_modelscope(server: FileServer, repository: str, files: dict[str, bytes]) -> None:
    """Every file has a SHA-256; ranges come with status 200."""
    base = f"/api/v1/models/{repository}/repo"
    listed = [
        {"Name": path, "Path": path, "Type": "blob", "Size": len(body), "Sha256": hashlib.sha256(body).hexdigest(),
         "IsLFS": len(body) > 1000, "Revision": "b" * 40, "Mode": "33188"}
        for path, body in files.items()
    ]  # fmt: skip
    listed.append({"Name": "assets", "Path": "assets", "Type": "tree", "Size": 0, "Sha256": ""})
    answer = {"Code": 200, "Success": True, "Message": "success", "Data": {"Files": listed}}
    server.files[f"{base}/files?Revision=master&Recursive=false"] = json.dumps(answer).encode()
    for path, body in files.items():
        server.files[f"{base}?Revision=master&FilePath={quote(path, safe='')}"] = body
    server.range_status = 200


def weights(*shards: bytes) -> dict[str, bytes]:
    """A repository of a large model: what belongs to it, and what nobody needs."""
    names = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    index = {"metadata": {}, "weight_map": {f"layer.{n}": name for n, name in enumerate(names)}}
    return {
        "config.json": b'{"architectures": ["Qwen3VLForConditionalGeneration"]}',
        "tokenizer.json": b'{"model": {}}',
        "chat_template.jinja": b"{{ messages }}",
        "LICENSE": b"Apache",
        "model.safetensors.index.json": json.dumps(index).encode(),
        **dict(zip(names, shards, strict=True)),
        "README.md": b"a card",
        "modeling.py": b"import os",
        "pytorch_model.bin": b"the same as a pickle",
    }
