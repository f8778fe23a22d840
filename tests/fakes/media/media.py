"""Sources without a camera, a worker or a clock of their own: tests feed frames and states by hand.

    media = FakeMedia(clock)
    source = await media.open("cam_1", PullSpec("rtsp://cam/x"), states.append)
    source.show(picture(0.0))               # online, this is the newest frame
    source.fail("stalled", "No picture for 10 s.")
    source.show(picture(5.0, box=(0.1, 0.1, 0.4, 0.9)))

Lockstep sources play `media.clips[url]`: `look(at=x)` gives the last frame with t <= x, and `NoFrame` (code ended)
beyond the last one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import simplejpeg

from fakes.media.audio import FakeAudio
from fakes.media.client import FakeClient
from joyvl_server.core.errors import Conflict, NoFrame, NotAllowed, SourceError
from joyvl_server.core.frame import Frame, Image
from joyvl_server.ingest.base import ClipOrder, CutClip, ProbeReport, PullSpec, SourceState, SourceStatus, StateListener

WALL0 = 1_800_000_000.0
ANSWER_SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


class HasTime(Protocol):
    def monotonic(self) -> float: ...
    def wall(self) -> float: ...


def picture(
    t: float,
    *,
    shade: int = 90,
    box: tuple[float, float, float, float] | None = None,
    box_shade: int = 200,
    size: tuple[int, int] = (320, 180),
    glance: bool = False,
    wall0: float = WALL0,
) -> Frame:
    """A flat picture with an optional bright rectangle (x0, y0, x1, y1, each 0 to 1), as a real JPEG and grey."""
    width, height = size
    rgb = np.full((height, width, 3), shade, np.uint8)
    if box is not None:
        x0, y0, x1, y1 = box
        rgb[int(y0 * height) : int(y1 * height), int(x0 * width) : int(x1 * width)] = box_shade
    step = max(1, max(size) // 192)
    grey = np.ascontiguousarray(rgb[::step, ::step, 0])
    return Frame(t, wall0 + t, _image(rgb), grey, _image(rgb[::2, ::2]) if glance else None)


def _image(rgb: np.ndarray) -> Image:
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=80)
    return Image(jpeg, hashlib.sha256(jpeg).hexdigest(), rgb.shape[1], rgb.shape[0])


class FakeSource:
    """What `FakeMedia.open` returns. `looks` lists the (at, glance) of every look."""

    def __init__(
        self, source_id: str, clock: HasTime | None, on_state: StateListener, clip: Sequence[Frame] | None = None
    ) -> None:
        self.id = source_id
        self.audio = FakeAudio()
        self.client = FakeClient()
        self.looks: list[tuple[float | None, bool]] = []
        self.closed = False
        self.hold: asyncio.Event | None = None
        """Set an Event here and every look waits for it."""
        self.clips: list[ClipOrder] = []
        """every clip that was asked for"""
        self.cut: CutClip | SourceError = CutClip(1000, 0.0, 10.0, "h264")
        """what comes of each"""
        self.hold_clips: asyncio.Event | None = None
        self._clock = clock
        self._opened = clock.monotonic() if clock else 0.0
        self._now = 0.0
        self._on_state = on_state
        self._clip = clip
        self._newest: Frame | None = None
        self._state = SourceState(SourceStatus.CONNECTING, since_wall=self._wall())

    @property
    def state(self) -> SourceState:
        return self._state

    @property
    def now(self) -> float:
        """Follows the clock; without one, or in lockstep, the newest moment shown or asked for."""
        if self._clock is None or self._clip is not None:
            return self._now
        return self._clock.monotonic() - self._opened

    def _wall(self) -> float:
        return self._clock.wall() if self._clock else WALL0

    def set_state(self, state: SourceState) -> None:
        self._state = state
        self._on_state(state)

    def online(self) -> None:
        if self._state.status is not SourceStatus.ONLINE:
            size = (self._newest.image.width, self._newest.image.height) if self._newest else (320, 180)
            self.set_state(
                SourceState(
                    SourceStatus.ONLINE, since_wall=self._wall(), width=size[0], height=size[1], fps=25.0, codec="h264"
                )
            )

    def show(self, frame: Frame) -> None:
        """This is the newest frame from now on; the source is online."""
        self._newest = frame
        self._now = max(self._now, frame.t)
        self.online()

    def fail(self, code: str = "lost", message: str = "The camera ended the connection.") -> None:
        """Offline; a next try is planned. No frame until `show` is called again."""
        self._newest = None
        self.set_state(
            replace(
                SourceState(SourceStatus.OFFLINE, since_wall=self._wall()),
                error_code=code,
                error=message,
                retry_in_s=1.0,
                attempts=self._state.attempts + 1,
            )
        )

    def end(self, code: str = "ended", message: str = "The call was hung up.") -> None:
        self._newest = None
        self.set_state(SourceState(SourceStatus.ENDED, since_wall=self._wall(), error_code=code, error=message))

    async def look(self, *, at: float | None = None, glance: bool = False, trail: bool = False) -> Frame:
        self.looks.append((at, glance))
        if self.hold is not None:
            await self.hold.wait()
        if self._clip is not None:
            return self._step(at)
        if self._state.status is SourceStatus.CONNECTING:
            raise NoFrame("The source has not shown a picture yet.", code="connecting")
        if self._state.status is SourceStatus.ENDED:
            raise NoFrame("The source has ended.", code="ended")
        if self._state.status is SourceStatus.OFFLINE or self._newest is None:
            raise NoFrame("The source is offline.", code="offline")
        return self._newest

    async def clip(self, order: ClipOrder) -> CutClip:
        """As `cut` says, at once or when `hold_clips` is set; the file is written where there is one."""
        self.clips.append(order)
        if self.hold_clips is not None:
            await self.hold_clips.wait()
        if isinstance(self.cut, SourceError):
            raise self.cut
        order.path.parent.mkdir(parents=True, exist_ok=True)
        order.path.write_bytes(bytes(self.cut.bytes))
        return self.cut

    def _step(self, at: float | None) -> Frame:
        clip = self._clip or ()
        self._now = max(self._now, at if at is not None else self._now)
        if not clip or self._now > clip[-1].t:
            if self._state.status is not SourceStatus.ENDED:
                self.end(message="The file has ended.")
            raise NoFrame("The file has ended.", code="ended")
        self._newest = [frame for frame in clip if frame.t <= max(self._now, clip[0].t)][-1]
        self.online()
        return self._newest

    async def aclose(self) -> None:
        self.closed = True


class FakeMedia:
    """`clips`: url → frames of lockstep sources. `refuse`: url → the sentence `open` and `probe` refuse it with.

    `sources` holds what is open, by id; `opened` every spec ever opened.
    """

    def __init__(self, clock: HasTime | None = None) -> None:
        self.clips: dict[str, Sequence[Frame]] = {}
        self.refuse: dict[str, str] = {}
        self.reports: dict[str, ProbeReport] = {}
        self.sources: dict[str, FakeSource] = {}
        self.opened: list[tuple[str, PullSpec]] = []
        self.offers: list[tuple[str, str]] = []
        self.expected = 0
        """how often a call was expected"""
        self.closed = False
        self._clock = clock

    async def open(self, source_id: str, spec: PullSpec, on_state: StateListener) -> FakeSource:
        if spec.url in self.refuse:
            raise NotAllowed(self.refuse[spec.url])
        self.opened.append((source_id, spec))
        clip = self.clips.get(spec.url, ()) if spec.lockstep else None
        return self._add(FakeSource(source_id, self._clock, on_state, clip))

    async def answer(self, source_id: str, offer_sdp: str, on_state: StateListener) -> tuple[FakeSource, str]:
        if not offer_sdp.startswith("v=0"):
            raise SourceError("That is not an SDP offer.", code="bad_sdp")
        self.offers.append((source_id, offer_sdp))
        return self._add(FakeSource(source_id, self._clock, on_state)), ANSWER_SDP

    async def push(self, source_id: str, on_state: StateListener) -> FakeSource:
        source = self._add(FakeSource(source_id, self._clock, on_state))
        source.show(picture(0.0, shade=0))
        return source

    def _add(self, source: FakeSource) -> FakeSource:
        if source.id in self.sources and not self.sources[source.id].closed:
            raise Conflict(f"The source {source.id} is already open.")
        self.sources[source.id] = source
        return source

    clip_bytes = 0

    def expect_call(self) -> None:
        self.expected += 1

    async def probe(self, spec: PullSpec) -> ProbeReport:
        if spec.url in self.refuse:
            raise NotAllowed(self.refuse[spec.url])
        fine = ProbeReport(ok=True, took_s=0.1, width=1280, height=720, fps=25.0, codec="h264", keyframe_interval_s=1.0)
        return self.reports.get(spec.url, fine)

    async def aclose(self) -> None:
        self.closed = True
        for source in self.sources.values():
            await source.aclose()
