from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.mqtt import Mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    running = Mosquitto(tmp_path)
    running.start()
    yield running
    running.stop()
