from __future__ import annotations

from pathlib import Path

import pytest

from fakes.server.sessions import open_house


@pytest.fixture
async def house(tmp_path: Path):
    async with open_house(tmp_path) as opened:
        yield opened
