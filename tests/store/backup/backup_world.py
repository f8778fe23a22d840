"""A data folder as a server leaves it."""

from __future__ import annotations

import base64
from pathlib import Path

FILES = {
    "timeline/2026-11-29/evt_1.jpg": b"a picture",
    "timeline/2026-11-29/evt_1.mp4": b"a clip" * 50_000,
    "media/door.mp4": b"a film",
    "hooks/hook_1.json": b"{}",
    "agents/files/task_1/answer.txt": b"an answer",
    "secret.key": base64.b64encode(b"s" * 32) + b"\n",
    "signing.key": b"k" * 32,
    "tls/key.pem": b"pem",
}
NOT_COPIED = ("chroma/index", "models/e5/weights", "timeline/.unfinished/evt_2.jpg", "agents/home/codex/login.json")


def write(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
