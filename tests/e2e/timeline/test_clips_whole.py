"""Clips from real RTSP cameras, the whole way: the labelled footage, an event, its clip, a browser that plays it."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Browser

from fakes.media.clips import Seen, look_into
from fakes.media.footage import labels
from fakes.media.hub import need_rtsp
from fakes.media.rtsp_server import RtspServer
from fakes.server.browser import chromium
from fakes.server.server import ServerProcess

pytestmark = [pytest.mark.clips, pytest.mark.rtsp]

VIDEO = "people-one-by-one.mp4"
SECONDS = 16.0
AFTER_S = 3.0
KINDS = {"h264": ("libx264", 0), "h264 b": ("libx264", 2), "h265": ("libx265", 0)}
PLAY = """async ([url, at]) => {
  const video = document.createElement("video");
  video.muted = true;
  video.src = url;
  document.body.replaceChildren(video);
  const failed = new Promise(done => video.addEventListener("error", () => done(video.error.message)));
  const seen = (async () => {
    await video.play();
    const shown = () => video.getVideoPlaybackQuality().totalVideoFrames;
    while (!video.ended && (video.currentTime < 1 || (video.videoWidth && shown() < 5)))
      await new Promise(done => setTimeout(done, 50));
    const played = video.currentTime, frames = shown();
    const sought = new Promise(done => video.addEventListener("seeked", done));
    video.currentTime = at;
    await sought;
    return {played, frames, at: video.currentTime, seconds: video.duration, width: video.videoWidth,
            sound: video.webkitAudioDecodedByteCount};
  })();
  const late = new Promise(done => setTimeout(() => done({late: video.readyState, at: video.currentTime}), 60000));
  return await Promise.race([late, failed.then(error => ({error})), seen.catch(() => failed.then(error => ({error})))]);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--autoplay-policy=no-user-gesture-required") as browser:
        yield browser


def encode(source: Path, target: Path, codec: str, bframes: int) -> Path:
    """The first seconds of the footage, with a keyframe each second."""
    with av.open(str(source)) as read, av.open(str(target), "w") as out:
        picture = read.streams.video[0]
        stream = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = picture.width, picture.height, "yuv420p", 10
        stream.max_b_frames = bframes
        quiet = {"x265-params": "log-level=none:bframes=0"} if codec == "libx265" else {"sc_threshold": "0"}
        stream.options = {"preset": "ultrafast" if codec == "libx265" else "veryfast", **quiet}
        for number, frame in enumerate(read.decode(picture)):
            if number >= SECONDS * 10:
                break
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode())
    return target


def write_tone(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes((6000 * np.sin(np.arange(16_000 * seconds) * 0.2)).astype(np.int16).tobytes())
    return path


def greys(path: Path, seconds: float) -> list[np.ndarray]:
    """Small pictures of a file, ten a second."""
    found = []
    with av.open(str(path)) as read:
        for frame in read.decode(video=0):
            found.append(frame.reformat(96, 54, "gray").to_ndarray().astype(float))
            if len(found) >= seconds * 10:
                break
    return found


def begins_at(clip: Path, served: list[np.ndarray]) -> float:
    """Second of the footage with which a clip begins: by its pictures alone."""
    seen = greys(clip, 2.0)
    costs = [
        sum(float(np.abs(a - b).mean()) for a, b in zip(seen, served[start : start + len(seen)], strict=True))
        for start in range(len(served) - len(seen))
    ]
    return int(np.argmin(costs)) / 10


def first_with_clip(server: ServerProcess, camera_id: str) -> dict[str, Any] | None:
    """The first arrival, once it is known what became of its clip."""
    events = server.call("GET", f"/v1/events?camera_id={camera_id}&type=watch_fired")["data"]
    return events[-1] if events and events[-1]["clip"]["state"] not in ("none", "recording") else None


def test_clips_of_real_cameras_show_the_onset_and_play(clips: Path, tmp_path: Path, browser: Browser) -> None:
    need_rtsp()
    onset = labels(clips, VIDEO).responses[0]
    files = {kind: encode(clips / VIDEO, tmp_path / f"{kind}.mp4", *how) for kind, how in KINDS.items()}
    tone = write_tone(tmp_path / "tone.wav", 600.0)
    sounds = {"h264": "pcmu", "h264 b": "aac", "h265": "opus"}
    events: dict[str, dict[str, Any]] = {}
    env = {"JOYVL_TIMELINE__AFTER_S": str(AFTER_S)}
    with ServerProcess(tmp_path / "data", env=env) as server, ExitStack() as cameras:
        for kind, path in files.items():
            rtsp = cameras.enter_context(RtspServer(path, sound=(sounds[kind], tone)))
            watch = {"text": "Tell me each time a person enters the room."}
            events[kind] = server.camera(kind, rtsp.url, watches=[watch])
        for kind, camera in events.items():
            server.wait(lambda c=camera: first_with_clip(server, c["id"]))
            events[kind] = first_with_clip(server, camera["id"]) or {}
        page = browser.new_page()
        page.goto(server.url)
        for kind, event in events.items():
            clip = event["clip"]
            assert clip["state"] == "ready", clip
            copy = tmp_path / f"clip of {kind}.mp4"
            copy.write_bytes(server.call("GET", clip["url"]))
            seen = look_into(copy)
            start = begins_at(copy, greys(files[kind], SECONDS))
            print(
                kind, clip, f"begins at {start} s of the footage, the onset is at {onset}; {seen.times[-1]:.1f} s long"
            )
            check(seen, start, onset, clip)
            assert (seen.sound or "").removeprefix("lib").startswith("opus" if sounds[kind] == "opus" else "aac")
            result = page.evaluate(PLAY, [clip["url"], onset - start])
            print(kind, result)
            assert clip["reason"] == ("It is H.265, which many browsers do not play." if kind == "h265" else "")
            if kind == "h265" and ("error" in result or result["width"] == 0):
                continue  # this one does not: it plays the sound alone, or nothing
            assert result["played"] >= 1
            assert result["frames"] >= 5
            assert result["at"] == pytest.approx(onset - start, abs=0.1)
            assert result["width"] == 768
            assert result["seconds"] == pytest.approx(seen.times[-1], abs=0.5)
            assert result["sound"] > 0
        page.close()
        left = server.call("GET", "/metrics").decode()
        assert "joyvl_clip_memory_bytes" in left


def check(seen: Seen, start: float, onset: float, clip: dict[str, Any]) -> None:
    assert seen.first_is_key
    assert onset - start >= 3.0
    assert start + seen.times[-1] > onset
    assert clip["seconds_before"] >= 5.0
    assert max(seen.steps) < 0.7  # no picture of the camera is missing, whatever its clock does when sound comes
