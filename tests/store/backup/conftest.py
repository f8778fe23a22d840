from __future__ import annotations

from pathlib import Path

import pytest
from backup_world import FILES, NOT_COPIED, write
from store_records import camera

from joyvl_server.store.cameras import Cameras
from joyvl_server.store.store import Store


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data folder as a server leaves it."""
    folder = tmp_path / "data"
    for name, content in FILES.items():
        write(folder, name, content)
    store = await Store.open(folder)
    await Cameras(store.main).add(camera())
    await store.aclose()
    for name in NOT_COPIED:
        write(folder, name, b"x")
    return folder
