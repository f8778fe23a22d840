"""Clips over a real media worker: one that dies, a source that is closed, sources that have none."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from fakes.media.clips import look_into
from fakes.media.hub import media_hub
from fakes.media.told import Told
from fakes.media.video import draw_clip, draw_talking
from fakes.patience import until
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import ClipOrder, PullSpec
from joyvl_server.ingest.worker.clips.limits import ClipLimits

LIMITS = ClipLimits.of(2.0, 2.0, 8)


async def test_a_clip_of_a_file_at_four_times_its_speed(tmp_path: Path) -> None:
    tone = (6000 * np.sin(np.arange(16_000 * 20) * 0.2)).astype(np.int16)
    path = draw_talking(tmp_path / "a.mp4", tone)
    async with media_hub(tmp_path, clips=LIMITS) as hub:
        source = await hub.open("cam", PullSpec(path.as_uri(), speed=4.0), Told())
        await until(lambda: source.now > 4.0)
        t = (await source.look()).t
        clip = await source.clip(ClipOrder(tmp_path / "out" / "clip.mp4", t, 2.0, 2.0))
        assert (clip.codec, clip.reason) == ("h264", "")
        assert clip.start <= t - 2.0
        assert clip.start + clip.seconds >= t + 1.9
        seen = look_into(tmp_path / "out" / "clip.mp4")
        assert max(seen.steps) < 0.11
        assert seen.sound_s == pytest.approx(clip.seconds, abs=0.5)
        await until(lambda: hub.clip_bytes > 1000)
        await source.aclose()


async def test_a_worker_that_dies_fails_the_clip_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=40.0)
    async with media_hub(tmp_path, clips=LIMITS) as hub:
        source = await hub.open("cam", PullSpec(path.as_uri()), Told())
        await until(lambda: source.now > 1.0)
        waiting = asyncio.create_task(source.clip(ClipOrder(tmp_path / "one.mp4", source.now, 1.0, 30.0)))
        await asyncio.sleep(0.2)
        (worker,) = hub.workers
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(SourceError) as caught:
            await waiting
        assert caught.value.code == "worker_died"
        assert "one.mp4" not in os.listdir(tmp_path)
        await until(lambda: source.state.status == "online" and hub.workers[0].pid != worker.pid)
        t = (await source.look()).t
        clip = await source.clip(ClipOrder(tmp_path / "two.mp4", t, 1.0, 0.5))
        assert clip.bytes == (tmp_path / "two.mp4").stat().st_size


async def test_a_source_that_is_closed_gives_what_there_is(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=40.0)
    async with media_hub(tmp_path, clips=LIMITS) as hub:
        source = await hub.open("cam", PullSpec(path.as_uri()), Told())
        await until(lambda: source.now > 2.0)
        waiting = asyncio.create_task(source.clip(ClipOrder(tmp_path / "clip.mp4", source.now, 1.0, 30.0)))
        await asyncio.sleep(0.2)
        await source.aclose()
        clip = await waiting
        assert clip.reason.endswith("after the picture: the session ended.")
        assert look_into(tmp_path / "clip.mp4").first_is_key
        with pytest.raises(SourceError, match="the session has ended"):
            await source.clip(ClipOrder(tmp_path / "late.mp4", 1.0, 1.0, 1.0))


async def test_sources_without_clips_say_so(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=4.0)
    order = ClipOrder(tmp_path / "clip.mp4", 1.0, 1.0, 1.0)
    async with media_hub(tmp_path) as hub:
        source = await hub.open("cam", PullSpec(path.as_uri(), loop=True), Told())
        await until(lambda: source.state.status == "online")
        with pytest.raises(SourceError) as caught:
            await source.clip(order)
        assert caught.value.code == "no_clips"
        call = await hub.push("call", Told())
        with pytest.raises(SourceError, match="Calls have no clips"):
            await call.clip(order)
        assert hub.clip_bytes == 0
