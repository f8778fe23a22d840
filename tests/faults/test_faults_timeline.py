"""A real server whose disk is full: events go on without pictures, nothing of them is lost, and it is told once."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from test_faults_store import readiness, told

from fakes.patience import PATIENCE_S
from fakes.server.server import ServerProcess
from fakes.server.small_disk import small_disk

pytestmark = pytest.mark.slow


def events(server: ServerProcess, query: str = "") -> list[dict]:
    return server.call("GET", f"/v1/events?limit=500&type=spoke&type=watch_fired{query}")["data"]


def remarks(server: ServerProcess, session: str) -> list[float]:
    """What was said, by its moment."""
    return [tick["t"] for tick in server.ticks(session) if tick["decision"] == "speak"]


def test_events_go_on_without_pictures_on_a_full_disk(tmp_path: Path):
    with small_disk(tmp_path / "disk", "24m") as disk, ServerProcess(disk.path, demo=True) as server:
        server.wait(lambda: server.call("GET", "/v1/cameras")["data"])
        (camera,) = server.call("GET", "/v1/cameras")["data"]
        session = camera["session_id"]
        server.wait(lambda: events(server))
        (first, *_) = events(server)[::-1]
        with urllib.request.urlopen(server.url + first["picture_url"], timeout=PATIENCE_S) as answer:
            assert answer.read(2) == b"\xff\xd8"
        disk.fill()
        before = len(remarks(server, session))
        server.wait(lambda: len(remarks(server, session)) >= before + 2)  # the loop goes on
        server.wait(lambda: not readiness(server)[1]["parts"]["timeline"]["ready"])
        assert "No space left" in readiness(server)[1]["parts"]["timeline"]["reason"]
        disk.free()
        server.wait(lambda: readiness(server)[0] == 200)
        server.wait(lambda: readiness(server)[1]["parts"]["timeline"]["ready"])
        said = remarks(server, session)
        server.wait(lambda: {round(event["t"], 3) for event in events(server)} >= set(said))  # none is lost
        pictures = [event["picture_url"] is not None for event in events(server)[::-1]]
        assert pictures[0]
        assert pictures[-1]
        assert not all(pictures)
        for line in ("events stay without pictures", "pictures of the timeline are written again"):
            assert sum(f'"{line}"' in entry for entry in server.log) == 1
        assert told(server, "store fails") <= 1
