"""A source as main sees it, over a worker that is played by the test."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from fakes.clock import ManualClock
from fakes.media.media import picture
from fakes.media.told import Told
from fakes.patience import PATIENCE_S, until
from joyvl_server.core.errors import NoFrame, SourceError
from joyvl_server.core.frame import Frame
from joyvl_server.ingest.base import PullSpec, Source, SourceStatus
from joyvl_server.ingest.shared_frames import TornFrame
from joyvl_server.ingest.source import RemoteSource
from joyvl_server.ingest.worker.publisher import SourceReport

CAMERA = PullSpec("rtsp://cam/x")


class Worker:
    """Answers of looks are set by the test."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: list[asyncio.Future[dict[str, Any]]] = []
        self.frames: dict[int, Frame] = {}
        self.torn = 0
        self.closed: list[str] = []

    def free_slot(self) -> int:
        return 3

    def ask(self, op: str, **fields: Any) -> asyncio.Future[dict[str, Any]]:
        self.asked.append({"op": op, **fields})
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    def read(self, slot: int, sequence: int) -> Frame:
        if self.torn:
            self.torn -= 1
            raise TornFrame
        return self.frames[sequence]

    async def up(self) -> None: ...

    async def close(self, source: RemoteSource) -> None:
        self.closed.append(source.id)


class Scene:
    def __init__(self, spec: PullSpec | None = CAMERA, look_timeout_s: float = PATIENCE_S) -> None:
        self.clock, self.worker, self.told = ManualClock(), Worker(), Told()
        self.source = RemoteSource("cam", spec, self.worker, self.told, look_timeout_s, self.clock)

    def tells(self, status: str, **facts: Any) -> None:
        self.source.apply(SourceReport(SourceStatus(status), **facts).to_dict())

    async def asks(self, number: int = 1) -> None:
        await until(lambda: len(self.worker.answers) >= number, lambda: "nothing was asked")


async def test_it_is_a_source_and_starts_connecting() -> None:
    scene = Scene()
    assert isinstance(scene.source, Source)
    assert scene.source.state.status == "connecting"
    with pytest.raises(NoFrame) as caught:
        await scene.source.look()
    assert caught.value.code == "connecting"
    assert not scene.worker.asked


async def test_many_looks_are_one_request() -> None:
    scene = Scene()
    scene.tells("online", width=64, height=48)
    looks = [asyncio.create_task(scene.source.look()) for _ in range(20)]
    await scene.asks()
    await asyncio.sleep(0)
    assert scene.worker.asked == [{"op": "look", "source": "cam", "at": None, "glance": False, "trail": False}]
    scene.worker.frames[1] = picture(1.0)
    scene.worker.answers[0].set_result({"sequence": 1})
    frames = await asyncio.gather(*looks)
    assert all(frame is scene.worker.frames[1] for frame in frames)


async def test_the_same_picture_is_copied_once() -> None:
    scene = Scene()
    scene.tells("online")
    scene.worker.frames[1] = picture(1.0)
    first = asyncio.create_task(scene.source.look())
    await scene.asks(1)
    scene.worker.answers[0].set_result({"sequence": 1})
    frame = await first
    scene.worker.frames.clear()
    again = asyncio.create_task(scene.source.look())
    await scene.asks(2)
    scene.worker.answers[1].set_result({"sequence": 1})
    assert await again is frame


async def test_a_torn_picture_is_asked_for_again_but_not_for_ever() -> None:
    scene = Scene()
    scene.tells("online")
    scene.worker.frames[1] = picture(1.0)
    for torn, fine in ((2, True), (9, False)):
        scene.worker.torn = torn
        scene.worker.answers.clear()
        look = asyncio.create_task(scene.source.look())
        for number in range(1, 4):
            await scene.asks(number)
            scene.worker.answers[-1].set_result({"sequence": 1})
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if look.done():
                break
        if fine:
            assert (await look).t == 1.0
            scene.source._newest = None
        else:
            with pytest.raises(NoFrame) as caught:
                await look
            assert caught.value.code == "stale"


async def test_a_worker_that_hangs_costs_no_more_than_the_timeout() -> None:
    scene = Scene(look_timeout_s=0.02)
    scene.tells("online")
    with pytest.raises(NoFrame) as caught:
        await scene.source.look()
    assert caught.value.code == "stale"


async def test_a_caller_that_gives_up_does_not_take_the_picture_from_others() -> None:
    scene = Scene()
    scene.tells("online")
    impatient, patient = (asyncio.create_task(scene.source.look()) for _ in range(2))
    await scene.asks()
    impatient.cancel()
    await asyncio.sleep(0)
    scene.worker.frames[1] = picture(1.0)
    scene.worker.answers[0].set_result({"sequence": 1})
    assert (await patient).t == 1.0


@pytest.mark.parametrize(("code", "seen"), [("worker_died", "offline"), ("ended", "ended"), ("offline", "offline")])
async def test_errors_of_the_worker(code: str, seen: str) -> None:
    scene = Scene()
    scene.tells("online")
    look = asyncio.create_task(scene.source.look())
    await scene.asks()
    scene.worker.answers[0].set_exception(SourceError("It went wrong.", code=code))
    with pytest.raises(NoFrame) as caught:
        await look
    assert caught.value.code == seen


async def test_states_are_reported_once_each_with_what_is_known() -> None:
    scene = Scene()
    with capture_logs() as logs:
        scene.tells("online", width=640, height=480, fps=25.0, codec="h264")
        scene.tells("online", width=640, height=480, fps=25.0, codec="h264")
        await scene.clock.advance(5)
        scene.tells("offline", error_code="lost", error="Gone.", retry_in_s=1.0, attempts=1)
        since = scene.source.state.since_wall
        await scene.clock.advance(5)
        scene.tells("offline", error_code="refused", error="No.", retry_in_s=1.1, attempts=2)
        assert scene.source.state.since_wall == since == scene.clock.wall() - 5
        with pytest.raises(NoFrame, match="No"):
            await scene.source.look()
        scene.tells("online", width=320, height=240)
    assert scene.told.statuses == ["online", "offline", "offline", "online"]
    last = scene.source.state
    assert (last.width, last.fps, last.error, last.attempts) == (320, 25.0, None, 0)
    assert [entry["event"] for entry in logs] == ["source online", "source offline", "source online"]


async def test_live_time_counts_from_the_first_picture_also_over_a_gap() -> None:
    scene = Scene()
    await scene.clock.advance(7.5)
    assert scene.source.now == 0.0
    first = scene.clock.monotonic()
    scene.tells("online", clock=(first, 0.0))
    await scene.clock.advance(2.0)
    scene.tells("offline", error_code="lost", error="gone")
    await scene.clock.advance(3.0)
    scene.tells("online", clock=(first, 0.0))
    assert scene.source.now == 5.0
    assert scene.source.zero == first  # what the next worker counts from


async def test_a_files_time_is_its_position_and_stops_at_its_end() -> None:
    scene = Scene(PullSpec("file:///x.mp4", speed=4.0))
    await scene.clock.advance(3)
    assert scene.source.now == 0.0
    scene.tells("online", clock=(scene.clock.monotonic(), 0.0))
    await scene.clock.advance(2)
    assert scene.source.now == 8.0
    scene.tells("online", clock=(scene.clock.monotonic(), 6.0))  # the machine is too slow
    assert scene.source.now == 8.0
    await scene.clock.advance(1)
    assert scene.source.now == 10.0
    scene.tells("ended", error_code="ended", error="The file has ended.")
    await scene.clock.advance(5)
    assert scene.source.now == 10.0
    with pytest.raises(NoFrame) as caught:
        await scene.source.look()
    assert caught.value.code == "ended"


async def test_a_lockstep_file_is_as_far_as_it_was_asked() -> None:
    scene = Scene(PullSpec("file:///x.mp4", lockstep=True))
    scene.worker.frames[1] = picture(4.9)
    look = asyncio.create_task(scene.source.look(at=5.0))
    await scene.asks()
    scene.worker.answers[0].set_result({"sequence": 1})
    assert (await look).t == 4.9
    await scene.clock.advance(100)
    assert scene.source.now == 5.0
    assert scene.worker.asked[0]["at"] == 5.0


async def test_when_its_worker_dies_a_camera_waits_and_a_call_ends() -> None:
    camera, call = Scene(), Scene(None)
    for scene in (camera, call):
        scene.tells("online")
        scene.source.worker_gone()
    assert (camera.source.state.status, camera.source.state.error_code) == ("offline", "worker_died")
    assert (call.source.state.status, call.source.state.error_code) == ("ended", "worker_died")
    call.source.worker_gone()
    assert call.told.statuses == ["online", "ended"]


async def test_closed_it_reports_nothing_and_has_no_frame() -> None:
    scene = Scene()
    scene.tells("online")
    await scene.source.aclose()
    await scene.source.aclose()
    assert scene.worker.closed == ["cam"]
    scene.tells("offline")
    assert scene.told.statuses == ["online"]
    with pytest.raises(NoFrame) as caught:
        await scene.source.look()
    assert caught.value.code == "ended"
