"""A real server and real RTSP cameras, broken one after the other: what comes back, and who notices nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.media.rtsp_server import RtspServer, free_port
from fakes.patience import PATIENCE_S
from fakes.server.server import ServerProcess

pytestmark = [pytest.mark.rtsp, pytest.mark.slow]

BACK_S = 5.0
"""A camera is asked again within so many seconds, however long it was away."""
GOES_ON = 5
"""decisions of another session that must come while a camera is away"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(
        tmp_path, env={"JOYVL_MEDIA__STALL_TIMEOUT_S": "3", "JOYVL_MEDIA__OPEN_TIMEOUT_S": "3"}
    ) as server:
        yield server


def goes_on(server: ServerProcess, session_id: str) -> None:
    """This session decides as if nothing had happened: some decisions later it was never without its camera."""
    before = len(server.ticks(session_id))

    def since() -> list[str | None]:
        return [tick["skipped"] for tick in server.ticks(session_id)[before:]]

    server.wait(lambda: since().count(None) >= GOES_ON)
    assert "offline" not in since()


def pids(server: ServerProcess) -> list[int]:
    return [worker.pid for worker in server.media_workers()]


def asks_again_soon(server: ServerProcess, camera_id: str) -> None:
    state = server.call("GET", f"/v1/cameras/{camera_id}")["state"]
    assert 0 < state["retry_in_s"] <= BACK_S


def _settled(server: ServerProcess, session_id: str) -> None:
    """Online and ticking; the first ticks after opening may have met no picture yet."""
    server.wait(lambda: [t["skipped"] for t in server.ticks(session_id)[-2:]] == [None, None])


def _offline(server: ServerProcess, camera_id: str) -> str:
    server.wait(lambda: server._status(camera_id) == "offline")
    return str(server.call("GET", f"/v1/cameras/{camera_id}")["state"]["error"])


def test_a_server_killed_and_restarted(server: ServerProcess, clip: Path):
    with RtspServer(clip) as steady, RtspServer(clip, auth=("cam", "s3cret")) as broken:
        other = server.camera("other", steady.url)
        camera = server.camera("broken", broken.url)
        _settled(server, other["session_id"])
        server.wait_online(camera["id"])
        broken.kill()
        error = _offline(server, camera["id"])
        assert "s3cret" not in error
        goes_on(server, other["session_id"])
        asks_again_soon(server, camera["id"])
        broken.start()
        server.wait_online(camera["id"])
        kinds = [e["type"] for e in server.call("GET", f"/v1/events?camera_id={camera['id']}")["data"]]
        assert kinds.count("camera_offline") == 1
        assert kinds.count("camera_online") == 2


def test_a_server_that_freezes_and_resumes(server: ServerProcess, clip: Path):
    with RtspServer(clip) as steady, RtspServer(clip) as broken:
        other, camera = server.camera("other", steady.url), server.camera("broken", broken.url)
        _settled(server, other["session_id"])
        server.wait_online(camera["id"])
        broken.freeze()
        _offline(server, camera["id"])
        goes_on(server, other["session_id"])
        asks_again_soon(server, camera["id"])
        broken.resume()
        server.wait_online(camera["id"])


def test_a_first_connect_that_fails(server: ServerProcess, clip: Path):
    port = free_port()
    camera = server.camera("late", f"rtsp://127.0.0.1:{port}/cam")
    assert "refuses connections" in _offline(server, camera["id"])
    server.wait(lambda: server.call("GET", f"/v1/cameras/{camera['id']}")["state"]["attempts"] >= 3)
    asks_again_soon(server, camera["id"])
    with RtspServer(clip, port=port):
        server.wait_online(camera["id"])
        _settled(server, camera["session_id"])


def test_a_media_worker_killed(tmp_path: Path, clip: Path):
    """With one camera a worker, the other camera sits in another process and loses nothing."""
    with (
        ServerProcess(tmp_path, env={"JOYVL_MEDIA__WORKER_CAMERAS": "1"}) as server,
        RtspServer(clip) as first,
        RtspServer(clip) as second,
    ):
        camera = server.camera("first", first.url)
        server.wait_online(camera["id"])
        (worker,) = server.media_workers()
        other = server.camera("second", second.url)
        _settled(server, other["session_id"])
        worker.kill()
        worker.wait(PATIENCE_S)
        goes_on(server, other["session_id"])
        server.wait(lambda: server._status(camera["id"]) == "online" and worker.pid not in pids(server))
        assert len(server.media_workers()) == 2


def test_kill_9_in_mid_stream(tmp_path: Path, clip: Path):
    """Cameras, watches and events are there again; nothing that was told is lost."""
    with RtspServer(clip) as rtsp:
        with ServerProcess(tmp_path) as server:
            zones = [{"name": "door", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}]
            camera = server.camera("door", rtsp.url, watches=[{"text": "anything", "zones": []}], zones=zones)
            added = server.call(
                "POST", f"/v1/sessions/{camera['session_id']}/watches", {"text": "the door", "zones": ["door"]}
            )
            path = f"/v1/events?camera_id={camera['id']}&type=watch_fired"
            server.wait(lambda: server.call("GET", path)["data"])
            told = server.call("GET", "/v1/events?limit=500")["data"]
            workers = server.media_workers()
            server.kill()
        for worker in workers:
            worker.wait(PATIENCE_S)  # a killed server leaves no worker behind
        with ServerProcess(tmp_path) as server:
            (again,) = server.call("GET", "/v1/cameras")["data"]
            assert {k: again[k] for k in ("id", "name", "session_id", "zones")} == {
                k: camera[k] for k in ("id", "name", "session_id", "zones")
            }
            assert [w["text"] for w in again["watches"]] == ["anything", "the door"]
            assert again["watches"][1]["id"] == added["id"]
            kept = {e["id"] for e in server.call("GET", "/v1/events?limit=500")["data"]}
            assert {e["id"] for e in told} <= kept
            server.wait_online(camera["id"])
            _settled(server, camera["session_id"])
