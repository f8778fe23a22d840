from __future__ import annotations

from pathlib import Path

import pytest

from fakes.media import rtsp_server
from joyvl_server.ingest.demo import draw_demo


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = rtsp_server.available()
    if missing:
        pytest.skip(missing)
    return draw_demo(tmp_path_factory.mktemp("clip") / "clip.mp4")
