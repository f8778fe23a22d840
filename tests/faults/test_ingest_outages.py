"""Cameras and workers that die, freeze and come back: nobody else notices, and nothing hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

from fakes.media.hub import media_hub, need_rtsp
from fakes.media.odd_camera import OddCamera, rtp
from fakes.media.rtsp_server import RtspServer
from fakes.media.told import Told
from fakes.media.video import draw_clip
from fakes.patience import PATIENCE_S, until
from joyvl_server.core.errors import NoFrame, SourceError
from joyvl_server.ingest.base import PullSpec, Source

pytestmark = pytest.mark.rtsp
BACK_S = 5.0
"""A camera is asked again within so many seconds, however long it was away."""
NEVER_S = 3600.0
"""a limit that ends no wait of a test"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_rtsp()
    return draw_clip(tmp_path_factory.mktemp("clips") / "a.mp4", size=(320, 240), gop=10, seconds=4.0)


async def goes_on(source: Source, pictures: int = 10) -> None:
    """So many new pictures come; nothing else ends the wait."""
    seen = 0
    last = (await source.look()).t
    while seen < pictures:
        await asyncio.sleep(0.05)
        newest = (await source.look()).t
        seen += newest > last
        last = newest


def online(source: Source) -> Callable[[], bool]:
    return lambda: source.state.status == "online"


async def test_killed_and_restarted_it_is_back_and_the_gap_is_a_gap(clip: Path) -> None:
    with RtspServer(clip) as server:
        async with media_hub() as hub:
            told = Told()
            source = await hub.open("cam", PullSpec(server.url), told)
            await until(online(source))
            before = await source.look()
            server.kill()
            await until(lambda: source.state.status == "offline")
            assert source.state.error_code == "lost"
            with pytest.raises(NoFrame) as caught:
                await source.look()
            assert caught.value.code == "offline"
            await until(lambda: source.state.attempts >= 2)
            assert 0 < source.state.retry_in_s <= BACK_S
            server.start()
            await until(online(source))
            after = await source.look()
            assert before.t < after.t <= source.now


async def test_frozen_it_is_stalled_and_resumed_it_is_back(clip: Path) -> None:
    with RtspServer(clip) as server:
        async with media_hub() as hub:
            source = await hub.open("cam", PullSpec(server.url), Told())
            await until(online(source))
            server.freeze()
            await until(lambda: source.state.status == "offline")
            assert source.state.error_code == "stalled"
            assert 0 < source.state.retry_in_s <= BACK_S
            server.resume()
            await until(online(source))


async def test_away_at_first_it_comes_when_it_comes(clip: Path) -> None:
    server = RtspServer(clip)
    async with media_hub() as hub:
        told = Told()
        source = await hub.open("cam", PullSpec(server.url), told)
        await until(lambda: len(told) >= 3)
        assert set(told.codes) == {"refused"}
        assert told[1].retry_in_s == pytest.approx(1.0, rel=0.21)
        with server:
            await until(online(source))


async def test_frozen_at_first_it_comes_when_it_thaws(clip: Path) -> None:
    with RtspServer(clip) as server:
        server.freeze()
        async with media_hub(open_timeout_s=1.0) as hub:
            told = Told()
            source = await hub.open("cam", PullSpec(server.url), told)
            await until(lambda: told)
            assert told.codes[0] == "timeout"
            server.resume()
            await until(online(source))


async def test_a_bad_neighbour_costs_the_others_nothing(clip: Path) -> None:
    def garbage(send: Callable[[bytes], None]) -> None:
        for number in range(300):
            send(rtp(number, b"\x65" + bytes((number * 7 + i) % 256 for i in range(900))) + bytes(200))
            time.sleep(0.01)

    with RtspServer(clip) as good, RtspServer(clip) as bad, OddCamera(after_play=garbage) as odd:
        async with media_hub() as hub:
            source = await hub.open("good", PullSpec(good.url), Told())
            neighbours = [
                await hub.open("bad", PullSpec(bad.url), Told()),
                await hub.open("odd", PullSpec(odd.url), Told()),
                await hub.open("nowhere", PullSpec("rtsp://127.0.0.1:9/x"), Told()),
            ]
            await until(lambda: online(source)() and online(neighbours[0])())
            bad.freeze()
            await goes_on(source)
            bad.resume()
            bad.kill()
            await goes_on(source)
            await neighbours[1].aclose()
            await goes_on(source)
            assert len(hub.workers) == 1


async def test_a_killed_worker_comes_back_with_its_cameras_and_without_its_calls(clip: Path) -> None:
    with RtspServer(clip) as server:
        async with media_hub(clip.parent, worker_cameras=2) as hub:
            told, called, neighbour = Told(), Told(), Told()
            camera = await hub.open("cam", PullSpec(server.url), told)
            file = await hub.open("file", PullSpec(clip.as_uri(), loop=True), Told())
            other = await hub.open("other", PullSpec(clip.as_uri(), loop=True), neighbour)
            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            peer.addTrack(VideoStreamTrack())
            await peer.setLocalDescription(await peer.createOffer())
            call, answer = await hub.answer("call", peer.localDescription.sdp, called)
            await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await until(lambda: all(online(source)() for source in (camera, file, other, call)))
            before = (await camera.look()).t
            workers = hub.workers
            assert [(worker.kind, worker.sources) for worker in workers] == [
                ("cameras", 2), ("cameras", 1), ("calls", 1)
            ]  # fmt: skip

            os.kill(workers[0].pid, signal.SIGKILL)
            os.kill(workers[2].pid, signal.SIGKILL)
            await until(lambda: call.state.status == "ended" and camera.state.status == "offline")
            assert (call.state.error_code, camera.state.error_code) == ("worker_died", "worker_died")
            await goes_on(other)
            await until(lambda: online(camera)() and online(file)())

            frame = await camera.look()
            assert before < frame.t <= camera.now
            assert (await file.look()).t <= file.now
            assert neighbour.statuses == ["online"]
            assert [worker.sources for worker in hub.workers] == [2, 1, 0]
            assert told.statuses == ["online", "offline", "online"]
            await call.aclose()
            await peer.close()


async def test_a_frozen_worker_hangs_nobody(clip: Path) -> None:
    async with media_hub(clip.parent, look_timeout_s=0.3) as hub:
        source = await hub.open("file", PullSpec(clip.as_uri(), loop=True), Told())
        await until(online(source))
        pid = hub.workers[0].pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(NoFrame) as caught:
            await source.look()
        assert caught.value.code == "stale"
        os.kill(pid, signal.SIGCONT)
        assert (await source.look()).image.jpeg


async def test_a_worker_that_dies_while_it_answers_is_an_error_not_a_wait(clip: Path) -> None:
    async with media_hub(clip.parent) as hub:
        source = await hub.open("file", PullSpec(clip.as_uri(), loop=True), Told())
        await until(online(source))
        pid = hub.workers[0].pid
        os.kill(pid, signal.SIGSTOP)
        probe = asyncio.create_task(hub.probe(PullSpec(clip.as_uri())))
        look = asyncio.create_task(source.look())
        await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(NoFrame):
            await look
        assert (await asyncio.wait_for(probe, PATIENCE_S)).error_code == "worker_died"
        await until(online(source))


async def test_closing_while_cameras_hang_is_quick(clip: Path) -> None:
    with RtspServer(clip) as server, OddCamera(answer=lambda request: None) as silent:
        async with media_hub(open_timeout_s=NEVER_S, stall_timeout_s=NEVER_S) as hub:
            frozen = await hub.open("frozen", PullSpec(server.url), Told())
            opening = await hub.open("opening", PullSpec(silent.url), Told())
            await until(online(frozen))
            await until(lambda: silent.connections)
            server.freeze()
            for source in (frozen, opening):
                await source.aclose()
            with pytest.raises(SourceError):
                await frozen.look()
            server.resume()


def test_a_killed_main_leaves_no_worker_and_no_memory(clip: Path) -> None:
    here = Path(__file__).resolve().parents[2]
    main = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.path[:0] = [{str(here)!r}, {str(here / "tests")!r}]
        from joyvl_server.ingest.base import PullSpec
        from joyvl_server.ingest.hub import MediaHub
        from joyvl_server.kit.net.policy import NetPolicy
        from joyvl_server.settings import MediaSettings
        async def main():
            hub = MediaHub(MediaSettings(), NetPolicy(file_roots=({str(clip.parent)!r},)))
            source = await hub.open("a", PullSpec({clip.as_uri()!r}, loop=True), lambda state: None)
            while source.state.status != "online":
                await asyncio.sleep(0.02)
            await source.look()
            print(hub.workers[0].pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
        """
    )
    shared = set(os.listdir("/dev/shm"))
    process = subprocess.Popen([sys.executable, "-c", main], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    while not line.strip().isdigit():  # log lines come first
        assert line, "it did not start"
        line = process.stdout.readline()
    worker = psutil.Process(int(line))
    process.kill()
    process.wait(PATIENCE_S)
    process.stdout.close()
    _, alive = psutil.wait_procs([worker], timeout=PATIENCE_S)
    assert not alive
    assert set(os.listdir("/dev/shm")) <= shared
