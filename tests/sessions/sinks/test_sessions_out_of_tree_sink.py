"""A sink that another package brings: found by its entry point, without a line in joyvl-server."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fakes.media.media import picture
from fakes.patience import PATIENCE_S
from fakes.server.sessions import open_house
from joyvl_server.core.decisions import Score
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.watch_list import WatchDraft

SIREN = Path(__file__).parents[2] / "fakes" / "out_of_tree_sink"


def install(site: Path, module: Path, entry: str) -> None:
    """As an installer would leave it: the module and the metadata that name its entry point."""
    info = site / f"{module.stem}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.stem}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[joyvl.sinks]\n{entry}\n")
    if module.exists():
        shutil.copy(module, site)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("joyvl_siren"):
            del sys.modules[name]


async def test_a_sink_of_another_package_hears_of_alerts_asks_and_hears_of_the_end(site: Path, tmp_path: Path):
    install(site, SIREN / "joyvl_siren.py", "siren = joyvl_siren:Siren")
    install(site, site / "joyvl_gone.py", "gone = joyvl_gone:Sink")
    asked: list[str | None] = []
    with capture_logs() as logged:
        async with open_house(tmp_path / "data") as house:
            sys.modules["joyvl_siren"].Siren.file = tmp_path / "siren.txt"
            house.engine.script = lambda turn: (
                asked.append(turn.query) or ((Score(1.0), ["Smoke."]) if turn.step == 1 else Score(0.0))
            )
            watch = WatchDraft("Tell me when there is smoke")
            view = await house.registry.cameras.add(CameraDraft("stove", "rtsp://192.168.1.20/1", watches=(watch,)))
            source = house.media.sources[view.record.id]
            async with asyncio.timeout(PATIENCE_S):
                while "Is it over?" not in asked:
                    source.show(picture(source.now))
                    await house.clock.advance(0.5)
                    await asyncio.sleep(0.005)  # its file takes real time
    assert (tmp_path / "siren.txt").read_text().splitlines() == ["stove: Smoke.", "stove: over, stopped"]
    assert "Is it over?" in asked
    (line,) = [line for line in logged if line["event"] == "sink cannot be used"]
    assert line["sink"] == "gone"
