"""A data folder as the first version left it: only its own migration was applied."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from joyvl_server.store.sqlite.migrate import MIGRATIONS, statements

START_WALL = 1_790_000_000.0
CAMERAS = ("front", "back")
WATCHES = ("when someone comes in", "a parcel is brought")


def make(folder: Path, events: int) -> list[dict[str, Any]]:
    """Two cameras that are switched off, with watches, a call that has ended, and so many events, which it returns."""
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "joyvl.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in statements((MIGRATIONS / "0001_initial.sql").read_text("utf-8")):
        connection.execute(statement)
    connection.execute("PRAGMA user_version = 1")
    connection.execute("BEGIN")
    zones = json.dumps([["door", [[0, 0], [0.5, 0], [0.5, 1]]]])  # as it wrote them
    for n, name in enumerate(CAMERAS, 1):
        row = (f"cam_{n:026d}", name, f"rtsp://cam:geheim{n}@127.0.0.1:9/{name}", zones, f"ses_{n:026d}")
        connection.execute("INSERT INTO cameras VALUES (?, ?, ?, 0, 0, 1.0, NULL, 0.25, ?, ?, 100.0, 200.0)", row)
        connection.execute(
            "INSERT INTO sessions VALUES (?, 'camera', ?, ?, 'motion', NULL, 100.0, NULL, NULL)",
            (f"ses_{n:026d}", name, f"cam_{n:026d}"),
        )
        for m, text in enumerate(WATCHES, 1):
            connection.execute(
                "INSERT INTO watches VALUES (?, ?, ?, ?, '[\"door\"]', 0.5, 0, 150.0)",
                (f"wch_{n}{m:025d}", f"ses_{n:026d}", f"watch {m}", text),
            )
    connection.execute(
        "INSERT INTO sessions VALUES (?, 'call', 'Browser call', NULL, 'motion', 'key-1', 100.0, 300.0, 'hung up')",
        (f"ses_{9:026d}",),
    )
    connection.execute(
        "INSERT INTO idempotency VALUES ('key', 'POST /v1/cameras', 201, '{}', x'7b7d', 'hash', ?)", (START_WALL,)
    )
    rows = [
        {
            "id": f"evt_{n:026d}",
            "session_id": f"ses_{1 + n % 2:026d}",
            "camera_id": f"cam_{1 + n % 2:026d}",
            "type": "spoke",
            "t": float(n),
            "wall": START_WALL + n,
            "text": f"parcel number {n} 包裹",
            "data": json.dumps({"score": 0.5, "n": n}),
        }
        for n in range(events)
    ]
    connection.executemany(
        "INSERT INTO events (id, session_id, camera_id, type, t, wall, text, data) "
        "VALUES (:id, :session_id, :camera_id, :type, :t, :wall, :text, :data)",
        rows,
    )
    connection.execute("COMMIT")
    connection.close()
    return rows
