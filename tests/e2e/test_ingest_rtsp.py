"""Real RTSP cameras over TCP: passwords, formats, sizes that change."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fakes.media.hub import media_hub, need_rtsp
from fakes.media.odd_camera import OddCamera
from fakes.media.rtsp_server import RtspServer
from fakes.media.told import Told
from fakes.media.video import draw_clip, join
from fakes.patience import PATIENCE_S, until, wait_until
from joyvl_server.core.errors import NoFrame
from joyvl_server.ingest.audio.hearing import Hearing
from joyvl_server.ingest.audio.source_sound import SoundTeller
from joyvl_server.ingest.base import PullSpec
from joyvl_server.ingest.worker.deadlines import Deadline, Timeouts, libav_obeys
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.opening import frames, open_source
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.ingest.worker.pull import PullSource
from joyvl_server.kit.net.policy import NetPolicy

pytestmark = pytest.mark.rtsp

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_rtsp()
    return draw_clip(tmp_path_factory.mktemp("clips") / "a.mp4", size=(320, 240), gop=25, seconds=4.0)


async def shows(server: RtspServer, **settings: object) -> None:
    """It comes online, gives a picture, and its time is that of its opening."""
    async with media_hub(**settings) as hub:
        source = await hub.open("cam", PullSpec(server.url), Told())
        await until(lambda: source.state.status == "online")
        end = time.monotonic() + 30
        while True:  # on a busy machine a single picture may be late
            frame = await source.look()
            assert 0 <= frame.t <= source.now
            if source.now - frame.t < 0.7:
                break
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        assert source.state.error is None


async def test_a_camera_is_online_within_seconds(clip: Path) -> None:
    with RtspServer(clip) as server:
        await shows(server)


@pytest.mark.parametrize("digest", [False, True])
async def test_a_password_with_special_characters(clip: Path, digest: bool) -> None:
    with RtspServer(clip, auth=("cam", "p@ss/w:rd%"), digest=digest) as server:
        assert "p%40ss%2Fw%3Ard%25" in server.url
        await shows(server)


async def test_a_wrong_password_is_said_so_without_it(clip: Path) -> None:
    with RtspServer(clip, auth=("cam", "s3cret")) as server:
        wrong = server.url.replace("s3cret", "gu3ss")
        async with media_hub() as hub:
            told = Told()
            source = await hub.open("cam", PullSpec(wrong), told)
            await until(lambda: told)
            report = await hub.probe(PullSpec(wrong))
            assert told.codes[0] == report.error_code == "unauthorized"
            assert "password" in str(report.error)
            assert "gu3ss" not in f"{told[0].error} {report.error} {report.hint}"
            with pytest.raises(NoFrame) as caught:
                await source.look()
            assert caught.value.code == "offline"


async def test_a_wrong_path(clip: Path) -> None:
    with RtspServer(clip) as server:
        async with media_hub() as hub:
            report = await hub.probe(PullSpec(server.url + "/nothing/here"))
            assert report.error_code == "not_found"


async def test_sound_without_video(clip: Path) -> None:
    with RtspServer(clip, kind="audio") as server:
        async with media_hub() as hub:
            report = await hub.probe(PullSpec(server.url))
            assert report.error_code == "no_video"


async def test_a_probe_tells_what_the_camera_sends(clip: Path) -> None:
    with RtspServer(clip) as server:
        async with media_hub() as hub:
            report = await hub.probe(PullSpec(server.url))
            assert (report.ok, report.width, report.height, report.codec) == (True, 320, 240, "h264")
            assert report.fps == pytest.approx(25, abs=1)
            assert report.keyframe_interval_s == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("codec", "name"), [("mjpeg", "a.avi"), ("libx265", "a.mkv")])
async def test_other_formats(tmp_path: Path, codec: str, name: str) -> None:
    need_rtsp()
    path = draw_clip(tmp_path / name, size=(320, 240), codec=codec, seconds=2.0)
    with RtspServer(path) as server:
        await shows(server)


async def test_the_size_may_change_in_the_middle(tmp_path: Path) -> None:
    need_rtsp()
    parts = [draw_clip(tmp_path / f"{w}.h264", size=(w, 240), seconds=1.0) for w in (320, 640)]
    with RtspServer(join(tmp_path / "both.h264", parts)) as server:
        async with media_hub() as hub:
            told = Told()
            source = await hub.open("cam", PullSpec(server.url), told)
            await until(lambda: {state.width for state in told} >= {320, 640})
            assert set(told.statuses) == {"online"}
            assert (await source.look()).image.width in (320, 640)


async def test_a_stream_that_loops_keeps_its_time(tmp_path: Path) -> None:
    need_rtsp()
    path = draw_clip(tmp_path / "short.mp4", size=(160, 120), seconds=0.6)
    with RtspServer(path) as server:
        async with media_hub() as hub:
            source = await hub.open("cam", PullSpec(server.url), Told())
            await until(lambda: source.state.status == "online")
            last = 0.0
            for _ in range(30):
                frame = await source.look()
                assert frame.t >= last
                assert source.now - frame.t < 0.6
                last = frame.t
                await until(lambda reached=source.now + 0.05: source.now > reached)


async def test_a_camera_that_redirects_is_shown(clip: Path) -> None:
    with RtspServer(clip) as server:

        def answer(request: bytes) -> bytes:
            number = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"cseq"))
            return b"RTSP/1.0 302 Moved\r\n" + number + b"\r\nLocation: " + server.url.encode() + b"\r\n\r\n"

        with OddCamera(answer=answer) as front:
            async with media_hub() as hub:
                source = await hub.open("cam", PullSpec(front.url), Told())
                await until(lambda: source.state.status == "online")
                assert (await source.look()).t > 0


def test_once_it_runs_nothing_stands_between_the_camera_and_libav(clip: Path) -> None:
    """A proxy in between would cost every packet; libav keeps the session with its password by itself."""

    def proxies() -> list[str]:
        return [thread.name for thread in threading.enumerate() if "proxy" in thread.name]

    told = Told()
    with RtspServer(clip, auth=("cam", "s3cret"), digest=True) as server:
        source = PullSource(
            PullSpec(server.url),
            NetPolicy(),
            Timeouts(8.0, 2.0),
            FramePublisher(told, GreyHistory(192)),
            Hearing(SoundTeller(told), live=True),
        )
        source.start()
        try:
            told.wait(lambda reports: "online" in reports.statuses)
            wait_until(lambda: not proxies())
            newest = source.newest
            assert newest is not None
            time.sleep(3.0)  # longer than a stream that stands still may be silent
            wait_until(lambda: source.newest is not None and source.newest.number > newest.number + 20)
            assert told.statuses == ["online"]
            server.kill()
            told.wait(lambda reports: "offline" in reports.statuses)
            assert told.codes[-1] == "lost"
        finally:
            assert source.close(PATIENCE_S)


def test_the_proxy_leaves_a_dense_stream_to_a_busy_reader_too() -> None:
    """Pictures of many packets, more of which wait whenever one is decoded: there is no pause by itself."""
    command = [sys.executable, "-m", "bench.live.rtsp_camera", "1280", "720", "15"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=SCRIPTS) as camera:
        try:
            assert camera.stdout is not None
            url = f"rtsp://127.0.0.1:{int(camera.stdout.readline())}/dense"
            deadline = Deadline(time.monotonic() + PATIENCE_S)
            with libav_obeys(deadline):
                opened = open_source(NetPolicy().check(url), Timeouts(10.0, 10.0), deadline)
                try:
                    for number, _ in enumerate(frames(opened, deadline)):
                        time.sleep(0.08)  # slower than they come
                        if number > 30 and not any("proxy" in thread.name for thread in threading.enumerate()):
                            break
                        assert number < 150
                finally:
                    opened.close()
        finally:
            camera.kill()
