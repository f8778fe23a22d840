"""Sources that show pictures of a given size without a camera: the engine is simulated and looks at no pixel.

The grey pictures, by which a session judges what a look may cost, come from footage or from a drawn scene.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path

import av
import numpy as np

from joyvl_server.core.errors import Conflict, NoFrame, SourceError
from joyvl_server.core.frame import Frame, Grey, Image
from joyvl_server.ingest.audio.base import AudioListener, ListenSpec
from joyvl_server.ingest.base import (
    ClipOrder,
    CutClip,
    ProbeReport,
    PullSpec,
    Source,
    SourceState,
    SourceStatus,
    StateListener,
    TextListener,
)
from joyvl_server.ingest.worker.frame_encoder import GLANCE_PIXELS, fit
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import Clock

GREY = (192, 108)
GREYS_PER_S = 4
DRAWN_S = 120
_MARK = b"simulated "


def jpeg(width: int, height: int, size: int) -> bytes:
    """Bytes that stand for a JPEG of this size; `size_of` reads its sides back."""
    return (_MARK + f"{width} {height} ".encode()).ljust(size, b"\xa5")


def size_of(data: bytes) -> tuple[int, int]:
    words = data[len(_MARK) :].split(b" ")
    return int(words[0]), int(words[1])


def hash_of(session: int, t: float, glance: bool) -> str:
    """The hash of a picture; `moment_of` reads session and stream time back from the name that follows from it."""
    return f"{session:08x}{round(t * 1000):012x}{int(glance)}".ljust(64, "0")


def name_of(session: int, t: float, glance: bool) -> str:
    return Image(b"", hash_of(session, t, glance), 0, 0).name


def moment_of(name: str) -> tuple[int, float]:
    name = urlsafe_b64decode(name + "==").hex()
    return int(name[:8], 16), int(name[8:20], 16) / 1000


@dataclass(frozen=True, slots=True)
class View:
    """What a source shows: pixels of its pictures, bytes of their JPEGs."""

    width: int = 672
    height: int = 384
    bytes: int = 21_200
    glance_bytes: int = 5_500


class NoSound:
    """The `SourceAudio` of a source without sound."""

    hears = plays = False
    free_s = 0.0

    def listen(self, spec: ListenSpec | None, on_event: AudioListener | None) -> None: ...

    def play(self, epoch: int, audio: Pcm, *, last: bool = False) -> None: ...

    def hold(self, epoch: int) -> None: ...

    def resume(self, epoch: int) -> None: ...

    def cut(self, epoch: int) -> None: ...


class NoClient:
    """The `SourceClient` of a source that nobody pushes."""

    def listen(self, listener: TextListener | None) -> None: ...

    async def send(self, text: str) -> None:
        raise SourceError("Nobody is there.", code="no_channel")

    async def show(self, data: bytes) -> None:
        raise SourceError("Nobody is there.", code="not_pushed")

    async def say(self, audio: Pcm) -> None:
        raise SourceError("Nobody is there.", code="not_pushed")


class SimulatedSource:
    """Always online; a new picture at each look. `greys` are shown `GREYS_PER_S` a second, over and over."""

    def __init__(self, number: int, clock: Clock, view: View, greys: Sequence[Grey], shift_s: float = 0.0) -> None:
        self.id = f"source-{number}"
        self.number = number
        self.audio = NoSound()
        self.client = NoClient()
        self._clock = clock
        self._opened = clock.monotonic()
        self._view = view
        self._full = jpeg(view.width, view.height, view.bytes)
        self._glance_size = fit(view.width, view.height, GLANCE_PIXELS)
        self._glance = jpeg(*self._glance_size, view.glance_bytes)
        self._greys = greys
        self._shift_s = shift_s
        self.state = SourceState(
            SourceStatus.ONLINE, since_wall=clock.wall(), width=view.width, height=view.height, fps=25.0
        )

    @property
    def opened(self) -> float:
        """Monotonic time at stream time 0."""
        return self._opened

    @property
    def now(self) -> float:
        return self._clock.monotonic() - self._opened

    async def look(self, *, at: float | None = None, glance: bool = False, trail: bool = False) -> Frame:
        if self.state.status is SourceStatus.ENDED:
            raise NoFrame("The source has ended.", code="ended")
        t = round(self.now, 3)
        grey = self._greys[int((t + self._shift_s) * GREYS_PER_S) % len(self._greys)]
        full = Image(self._full, hash_of(self.number, t, False), self._view.width, self._view.height)
        small = Image(self._glance, hash_of(self.number, t, True), *self._glance_size) if glance else None
        return Frame(t, self._clock.wall(), full, grey, small)

    async def clip(self, order: ClipOrder) -> CutClip:
        raise SourceError("A simulated source has no clips.", code="no_clips")

    def end(self) -> None:
        self.state = SourceState(SourceStatus.ENDED, since_wall=self._clock.wall())

    async def aclose(self) -> None:
        self.end()


class SimulatedMedia:
    """Gives the sources out in order, whatever the URL: the n-th one is `make(n)`."""

    def __init__(self, make: Callable[[int], SimulatedSource]) -> None:
        self.sources: list[SimulatedSource] = []
        self._make = make

    async def open(self, source_id: str, spec: PullSpec, on_state: StateListener) -> Source:
        source = self._make(len(self.sources))
        self.sources.append(source)
        return source

    clip_bytes = 0

    def expect_call(self) -> None:
        """There are none."""

    async def answer(self, source_id: str, offer_sdp: str, on_state: StateListener) -> tuple[Source, str]:
        raise Conflict("Nobody can call here.")

    async def push(self, source_id: str, on_state: StateListener) -> Source:
        raise Conflict("Nobody can call here.")

    async def probe(self, spec: PullSpec) -> ProbeReport:
        return ProbeReport(ok=True, took_s=0.0)

    async def aclose(self) -> None:
        for source in self.sources:
            await source.aclose()


@lru_cache(maxsize=2)
def footage(path: Path) -> tuple[Grey, ...]:
    """The grey pictures of a clip, `GREYS_PER_S` a second. Read whole: for clips of a few minutes."""
    greys: list[Grey] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            while frame.time is not None and frame.time >= len(greys) / GREYS_PER_S:
                greys.append(np.ascontiguousarray(frame.reformat(*GREY, "gray").to_ndarray()))
    return tuple(greys)


@lru_cache(maxsize=1)
def drawn() -> tuple[Grey, ...]:
    """A room in which people come one after the other, stay, and leave; two minutes with sensor noise."""
    random = np.random.default_rng(3)
    width, height = GREY
    room = random.integers(70, 150, (ceil(height / 12), ceil(width / 12)), np.uint8)
    room = room.repeat(12, 0).repeat(12, 1)[:height, :width].astype(np.int16)
    pictures = []
    for number in range(DRAWN_S * GREYS_PER_S):
        t = number / GREYS_PER_S % 40
        picture = room + random.normal(0, 2, room.shape).astype(np.int16)
        if t < 24:  # comes for 6 s, stays for 12 s, leaves for 6 s
            place = min(t, 6.0) if t < 18 else 6.0 + (t - 18)
            left = int(place / 12 * (width - 24)) + (round(np.sin(2 * t)) if 6 <= t < 18 else 0)
            picture[30:100, max(0, left) : left + 22] = 205 - 30 * (number // (40 * GREYS_PER_S))
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return tuple(pictures)
