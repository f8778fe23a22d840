"""The hub over real worker processes, with files."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil
import pytest
import simplejpeg

from fakes.media.hub import media_hub
from fakes.media.odd_camera import OddCamera
from fakes.media.told import Told
from fakes.media.video import draw_clip, draw_sound
from fakes.patience import until
from joyvl_server.core.errors import Conflict, NoFrame, NotAllowed, SourceError
from joyvl_server.ingest import hub as hub_module
from joyvl_server.ingest.base import Media, PullSpec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips")
    draw_clip(path / "a.mp4", size=(320, 240), fps=25, seconds=2.0)
    draw_clip(path / "big.mp4", size=(1280, 720), fps=10, seconds=1.0, sound=True)
    draw_sound(path / "sound.m4a")
    return path


def url(folder: Path, name: str = "a.mp4") -> str:
    return (folder / name).as_uri()


async def test_a_file_in_a_loop_gives_fresh_pictures(folder: Path) -> None:
    async with media_hub(folder) as hub:
        assert isinstance(hub, Media)
        told = Told()
        source = await hub.open("a", PullSpec(url(folder), loop=True), told)
        assert source.state.status == "connecting"
        await until(lambda: told.statuses == ["online"])
        first = await source.look(glance=True)
        assert (first.image.width, first.image.height) == (320, 240)
        assert simplejpeg.decode_jpeg(first.image.jpeg).shape == (240, 320, 3)
        assert first.grey.shape == (144, 192)
        assert first.glance is not None
        await until(lambda: source.now > 2.6)
        later = await source.look()
        assert later.t == pytest.approx(source.now, abs=0.3)
        assert later.wall == pytest.approx(time.time(), abs=0.3)
        assert later.wall - first.wall == pytest.approx(later.t - first.t, abs=0.05)
        assert later.image.sha256 != first.image.sha256


async def test_large_frames_are_scaled_as_the_settings_say(folder: Path) -> None:
    async with media_hub(folder, max_pixels=100_000, grey_side=64) as hub:
        source = await hub.open("big", PullSpec(url(folder, "big.mp4"), loop=True), Told())
        await until(lambda: source.state.status == "online")
        frame = await source.look()
        assert frame.image.width * frame.image.height <= 100_000
        assert frame.grey.shape == (36, 64)
        assert (source.state.width, source.state.height) == (1280, 720)


async def test_lockstep_gives_every_moment_asked_for(folder: Path) -> None:
    async with media_hub(folder) as hub:
        told = Told()
        source = await hub.open("a", PullSpec(url(folder), lockstep=True), told)
        times = [round((await source.look(at=second / 4)).t, 2) for second in range(8)]
        assert times == [0.0, 0.24, 0.48, 0.72, 1.0, 1.24, 1.48, 1.72]
        assert source.now == 1.75
        with pytest.raises(NoFrame) as caught:
            await source.look(at=2.5)
        assert caught.value.code == "ended"
        await until(lambda: told.statuses == ["online", "ended"])


async def test_a_hundred_sessions_on_one_frame_cost_one_picture(folder: Path) -> None:
    async with media_hub(folder) as hub:
        source = await hub.open("a", PullSpec(url(folder), lockstep=True), Told())
        frames = await asyncio.gather(*(source.look(at=1.0) for _ in range(100)))
        assert len({id(frame) for frame in frames}) == 1


async def test_a_file_ends_and_says_so(folder: Path) -> None:
    async with media_hub(folder) as hub:
        told = Told()
        source = await hub.open("a", PullSpec(url(folder), speed=8.0), told)
        await until(lambda: told.statuses == ["online", "ended"])
        assert told.codes[-1] == "ended"
        stopped = source.now
        assert 1.9 < stopped < 4.0
        await asyncio.sleep(0.1)
        assert source.now == stopped
        with pytest.raises(NoFrame):
            await source.look()


async def test_what_is_not_allowed_is_refused_at_once(folder: Path) -> None:
    async with media_hub(folder) as hub:
        for bad in ("http://127.0.0.1/x", "rtsp://169.254.169.254/x", "file:///etc/passwd"):
            with pytest.raises(NotAllowed):
                await hub.open("x", PullSpec(bad), Told())
            with pytest.raises(NotAllowed):
                await hub.probe(PullSpec(bad))
        assert hub.workers == []


async def test_an_id_is_used_once(folder: Path) -> None:
    async with media_hub(folder) as hub:
        source = await hub.open("a", PullSpec(url(folder), loop=True), Told())
        with pytest.raises(Conflict):
            await hub.open("a", PullSpec(url(folder)), Told())
        await source.aclose()
        await hub.open("a", PullSpec(url(folder)), Told())


async def test_workers_fill_up_before_another_is_started(folder: Path) -> None:
    async with media_hub(folder, worker_cameras=2, worker_calls=1) as hub:
        sources = [await hub.open(f"s{n}", PullSpec(url(folder), loop=True), Told()) for n in range(3)]
        await until(lambda: all(source.state.status == "online" for source in sources))
        assert [(worker.kind, worker.sources) for worker in hub.workers] == [("cameras", 2), ("cameras", 1)]
        frames = [await source.look() for source in sources]
        assert all(frame.image.jpeg for frame in frames)
        await sources[0].aclose()
        await hub.open("s3", PullSpec(url(folder), loop=True), Told())
        assert [worker.sources for worker in hub.workers] == [2, 1]


async def test_an_empty_worker_is_ended_after_a_while(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "SWEEP_EVERY_S", 0.05)
    monkeypatch.setattr(hub_module, "IDLE_S", 0.2)
    async with media_hub(folder) as hub:
        source = await hub.open("a", PullSpec(url(folder), loop=True), Told())
        await until(lambda: source.state.status == "online")
        pid = hub.workers[0].pid
        await asyncio.sleep(0.4)
        assert hub.workers[0].pid == pid
        await source.aclose()
        await until(lambda: not hub.workers and not psutil.pid_exists(pid))


async def test_where_a_call_is_expected_a_worker_waits_for_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "SWEEP_EVERY_S", 0.05)
    monkeypatch.setattr(hub_module, "IDLE_S", 0.1)
    async with media_hub(folder) as hub:
        hub.expect_call()
        hub.expect_call()
        await until(lambda: [w.status for w in hub.workers] == ["up"])
        pid = hub.workers[0].pid
        assert pid is not None
        await until(lambda: any("pylibsrtp" in m.path for m in psutil.Process(pid).memory_maps()))
        source = await hub.open("camera", PullSpec(url(folder), loop=True), Told())
        await until(lambda: source.state.status == "online")
        assert [(w.kind, w.sources) for w in hub.workers] == [("calls", 0), ("cameras", 1)]
        monkeypatch.setattr(hub_module, "PREPARED_IDLE_S", 0.1)
        await until(lambda: [w.kind for w in hub.workers] == ["cameras"])


async def test_probes_say_what_is_there_or_what_is_wrong(folder: Path) -> None:
    async with media_hub(folder) as hub:
        good = await hub.probe(PullSpec(url(folder, "big.mp4")))
        assert (good.ok, good.width, good.height, good.fps, good.codec) == (True, 1280, 720, 10.0, "h264")
        assert good.has_audio
        assert (await hub.probe(PullSpec(url(folder)))).keyframe_interval_s == pytest.approx(1.0)
        silent = await hub.probe(PullSpec(url(folder, "sound.m4a")))
        assert (silent.ok, silent.error_code) == (False, "no_video")
        with OddCamera(answer=lambda request: None) as camera:
            pass
        refused = await hub.probe(PullSpec(camera.url.replace("//", "//cam:s3cret@")))
        assert refused.error_code == "refused"
        for report in (silent, refused):
            assert report.error
            assert report.hint
            assert "s3cret" not in f"{report.error} {report.hint}"


async def test_adding_and_removing_leaves_nothing_in_the_worker(folder: Path) -> None:
    async with media_hub(folder) as hub:

        async def one() -> None:
            source = await hub.open("a", PullSpec(url(folder), loop=True), Told())
            await until(lambda: source.state.status == "online")
            await source.look()
            await source.aclose()

        with OddCamera(answer=lambda request: None) as silent:

            async def other() -> None:
                source = await hub.open("b", PullSpec(silent.url), Told())
                await asyncio.sleep(0.1)
                await source.aclose()

            await one()
            await other()
            worker = psutil.Process(hub.workers[0].pid)
            for _ in range(8):  # every thread of the pools has been made by then
                await one()
            threads, descriptors = worker.num_threads(), worker.num_fds()
            for _ in range(10):
                await one()
                await other()
            assert worker.num_fds() <= descriptors
            assert worker.num_threads() <= threads + 2


async def test_a_bad_offer_is_a_sentence_and_leaves_nothing(folder: Path) -> None:
    async with media_hub(folder) as hub:
        for offer in ("hello", "v=0\r\n", "x" * 100_000):
            with pytest.raises(SourceError) as caught:
                await hub.answer("call", offer, Told())
            assert caught.value.code == "bad_sdp"
        assert [worker.sources for worker in hub.workers] == [0]


async def test_a_closed_hub_opens_nothing(folder: Path) -> None:
    async with media_hub(folder) as hub:
        await hub.aclose()
        with pytest.raises(SourceError):
            await hub.open("a", PullSpec(url(folder)), Told())
