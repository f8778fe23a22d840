"""Memories and embedders for tests."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np

from joyvl_server.memory.base import EmbedderError, MemoryDraft
from joyvl_server.memory.embedders.lexical import vector
from joyvl_server.store.memories.records import MemoryRecord

NOON = 1_764_590_400.0
"""noon in UTC, 1 December 2025"""


def memory(number: int, text: str = "A courier left a parcel.", **changes) -> MemoryRecord:
    base = MemoryRecord(
        id=f"mem_{number:03}",
        collection="cam_a",
        camera_id="cam_a",
        session_id="ses_a",
        kind="said",
        text=text,
        t=float(number),
        wall=NOON + number,
        until_wall=NOON + number,
        kept=False,
        event_id=None,
        source="said",
        created_wall=NOON + number,
        data={},
    )
    return replace(base, **changes)


def draft(text: str, wall: float = NOON, collection: str = "cam_a", **changes) -> MemoryDraft:
    return MemoryDraft(collection, changes.pop("kind", "said"), text, wall, **changes)


class FakeEmbedder:
    """The lexical one under another name, which can be told to fail or to hang; it counts what it embeds."""

    crowded = False

    def __init__(self, name: str = "fake:1") -> None:
        self.name = name
        self.dimensions = 384
        self.embedded: list[str] = []
        self.failure: EmbedderError | None = None
        self.poison = ""
        self.hangs = False
        self.closed = False

    async def embed(self, texts, kind="passage"):
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        if self.poison and any(self.poison in text for text in texts):
            raise EmbedderError("It chokes.")
        self.embedded += texts
        return np.stack([vector(text) for text in texts])

    async def aclose(self):
        self.closed = True


class Progress:
    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def progress(self, done, total):
        self.told.append((done, total))
