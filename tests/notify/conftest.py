"""A store, a clock that stands still, and hooks whose sender the test steers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes.alerting import Alerting, alerting


@pytest.fixture
async def a(tmp_path: Path) -> AsyncIterator[Alerting]:
    async with alerting(tmp_path) as opened:
        yield opened
