"""The labelled footage the whole way: `joyvl watch` on the files, and real RTSP cameras registered over REST."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.media import rtsp_server
from fakes.media.footage import assert_bottles, assert_people, judge, labels
from fakes.patience import PATIENCE_S
from fakes.server.server import ServerProcess

pytestmark = pytest.mark.clips
CHECKS = {"people-one-by-one.mp4": assert_people, "bottles.mp4": assert_bottles}


@pytest.mark.slow
@pytest.mark.parametrize("video", CHECKS)
def test_watching_the_file(clips: Path, video: str):
    command = [sys.executable, "-m", "joyvl_server.cli", "watch", str(clips / video), "--speed", "max", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [t["t"] for t in ticks] == sorted(t["t"] for t in ticks)
    assert not [t for t in ticks if t["skipped"]]
    CHECKS[video](ticks, clips)


@pytest.mark.slow
def test_a_watch_for_arrivals_fires_at_arrivals_only(clips: Path):
    clip = clips / "people-one-by-one.mp4"
    command = [sys.executable, "-m", "joyvl_server.cli", "watch", str(clip), "--speed", "max", "--json"]
    command += ["--watch", "Tell me when someone comes in"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    spoken = [t for t in map(json.loads, done.stdout.splitlines()) if t["decision"] != "silent"]
    want = labels(clips, clip.name)
    verdict = judge(spoken, "enter", want.responses, want.must_stay_silent)
    assert (verdict.missed, verdict.extra, verdict.loud) == ((), (), ())
    assert [t["kind"] for t in spoken] == ["enter"] * 6


@pytest.mark.slow
@pytest.mark.rtsp
def test_watching_rtsp_cameras_in_real_time(clips: Path, tmp_path: Path):
    """Both clips at once, at real speed, for their whole length."""
    missing = rtsp_server.available()
    if missing:
        pytest.skip(missing)
    with ServerProcess(tmp_path) as server:
        cameras, ticks = {}, {}
        servers = [rtsp_server.RtspServer(clips / video, loop=False) for video in CHECKS]
        try:
            for video, rtsp in zip(CHECKS, servers, strict=True):
                rtsp.start()
                cameras[video] = server.camera(video, rtsp.url, watches=[{"text": "Tell me everything"}])
            for camera in cameras.values():
                server.wait_online(camera["id"])
            for video, length in (("bottles.mp4", 43), ("people-one-by-one.mp4", 143)):
                session = cameras[video]["session_id"]
                server.wait(lambda s=session, n=length: len(server.ticks(s)) >= n)
                ticks[video] = server.ticks(session)
        finally:
            for rtsp in servers:
                rtsp.kill()
        for video, check in CHECKS.items():
            begun = first_picture(server, cameras[video]["id"])
            seen = [{**t, "t": t["t"] - begun} for t in ticks[video] if t["t"] > begun + 1]
            print(video, f"begins at {begun:.2f} s", [(round(t["t"], 1), t["kind"]) for t in seen if t["kind"]])
            assert {t["skipped"] for t in seen} <= {None, "offline", "no_frame"}  # offline: after the end of the clip
            check(seen, clips)
        assert server.call("GET", "/v1/events?type=watch_fired")["data"]


def first_picture(server: ServerProcess, camera_id: str) -> float:
    """Stream seconds at which the first picture came: the RTSP server plays the clip from there."""
    events = server.call("GET", f"/v1/events?camera_id={camera_id}&type=camera_online")["data"]
    return float(events[-1]["t"])
