"""A source's place in shared memory: a frame is encoded once, however many look."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import av
import pytest

from fakes.media.told import Told
from fakes.media.video import picture
from joyvl_server.core.errors import NoFrame
from joyvl_server.ingest.shared_frames import SharedFrames, create_memory
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.frame_encoder import FrameEncoder
from joyvl_server.ingest.worker.frame_slot import FrameSlot
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.kit.net.policy import NetPolicy

CONFIG = WorkerConfig(2, 65_536, 96, 85, 5, 5, 5, 2500, 1250, 4000, NetPolicy())


class Scene:
    def __init__(self, memory: SharedFrames, monkeypatch: pytest.MonkeyPatch) -> None:
        self.publisher = FramePublisher(Told(), GreyHistory(192))
        self.memory, self.pool, self.encoded = memory, ThreadPoolExecutor(2), 0
        self.slot = FrameSlot(self.publisher, 1, CONFIG, memory)
        encode = FrameEncoder.encode

        def counted(*args, **kwargs):
            self.encoded += 1
            return encode(*args, **kwargs)

        monkeypatch.setattr(FrameEncoder, "encode", counted)

    def show(self, number: int) -> None:
        frame = av.VideoFrame.from_ndarray(picture(number, (320, 240)), "rgb24").reformat(format="yuv420p")
        self.publisher.publish(frame, number / 10, 1e9 + number / 10, codec="h264", fps=10.0)

    async def look(self, *, glance: bool = False):
        return self.memory.read(1, await self.slot.encode_newest(self.pool, glance=glance))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    fd = create_memory(CONFIG.layout)
    memory = SharedFrames(fd, CONFIG.layout)
    os.close(fd)
    scene = Scene(memory, monkeypatch)
    yield scene
    scene.pool.shutdown()
    memory.close()


def test_the_config_survives_the_way_to_the_worker() -> None:
    assert WorkerConfig.from_dict(CONFIG.to_dict()) == CONFIG


async def test_many_looks_at_one_frame_encode_it_once(scene: Scene) -> None:
    scene.show(1)
    frames = await asyncio.gather(*(scene.look() for _ in range(10)))
    assert scene.encoded == 1
    assert {frame.t for frame in frames} == {0.1}
    assert frames[0].wall == pytest.approx(1e9 + 0.1)


async def test_frames_nobody_looks_at_cost_nothing(scene: Scene) -> None:
    for number in range(1, 50):
        scene.show(number)
    assert (await scene.look()).t == 4.9
    assert scene.encoded == 1


async def test_a_glance_is_encoded_when_somebody_asks(scene: Scene) -> None:
    scene.show(1)
    assert (await scene.look()).glance is None
    assert (await scene.look(glance=True)).glance is not None
    assert (await scene.look()).glance is not None
    assert scene.encoded == 2


async def test_nothing_shown_or_closed_is_no_frame(scene: Scene) -> None:
    with pytest.raises(NoFrame):
        await scene.look()
    scene.show(1)
    await scene.slot.release()
    with pytest.raises(NoFrame):
        await scene.look()
