"""What the other rings see of a source: its spec, its state and `look()`.

`hub.MediaHub` implements these in main over media workers; tests have a fake in `tests/fakes/`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from joyvl_server.core.frame import Frame
from joyvl_server.ingest.audio.base import SourceAudio
from joyvl_server.kit.audio.pcm import Pcm


class SourceStatus(StrEnum):
    CONNECTING = "connecting"
    """never had a picture since it was added"""
    ONLINE = "online"
    OFFLINE = "offline"
    """had one, or failed at the first try; a next try is planned"""
    ENDED = "ended"
    """a file that does not loop, or a call that hung up: no next try"""


@dataclass(frozen=True, slots=True)
class PullSpec:
    """A source we fetch. `url` is `rtsp://…` or `file:///…`; it may hold a password and is never logged.

    `speed` scales files only (2.0 = twice real time). `lockstep` files have no clock of their own: they advance only
    as far as `look(at=…)` asks, so that nothing is ever late (evaluation, `joyvl watch --speed max`).
    """

    url: str
    loop: bool = False
    speed: float = 1.0
    lockstep: bool = False

    @property
    def is_file(self) -> bool:
        return self.url.lower().startswith("file:")


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """How a source is. `error_code` and `error` (a sentence without secrets) are set while it is not online.

    `retry_in_s`: seconds until the next try at the moment this was made. What its pictures are is None until known.
    """

    status: SourceStatus
    error_code: str | None = None
    error: str | None = None
    retry_in_s: float | None = None
    attempts: int = 0
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codec: str | None = None


@dataclass(frozen=True, slots=True)
class SourceState(SourceFacts):
    """How it is in main. `since_wall`: Unix seconds at which this status began."""

    since_wall: float = field(kw_only=True)


class StateListener(Protocol):
    """What a source calls at each change of its state: on main's loop, in order. It must not block."""

    def __call__(self, state: SourceState, /) -> None: ...


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a try to open a URL showed. `error` is a sentence without secrets; `hint` says what to do about it."""

    ok: bool
    took_s: float
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codec: str | None = None
    has_audio: bool = False
    keyframe_interval_s: float | None = None
    error_code: str | None = None
    error: str | None = None
    hint: str | None = None
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClipOrder:
    """A clip of the moment `t` (stream seconds), from `before_s` before it at least to `after_s` after it.

    `path`: of the MP4 file to write; its folder is made.
    """

    path: Path
    t: float
    before_s: float
    after_s: float


@dataclass(frozen=True, slots=True)
class CutClip:
    """A clip that was written: `bytes` long, for `seconds` from stream time `start` on.

    `reason`: a sentence where something of it is not as it should be; it may be missing a part of its span, or browsers
    may not play its `codec`.
    """

    bytes: int
    start: float
    seconds: float
    codec: str
    reason: str = ""


MAX_PICTURE_BYTES = 2_000_000
"""of a picture that a client sends as data"""


class TextListener(Protocol):
    """Called on main's loop with each text of the client, in order; None: its data channel is there. It must not
    block."""

    def __call__(self, text: str | None, /) -> None: ...


class SourceClient(Protocol):
    """The client of a call, or of a source that it pushes: what it sends and gets besides its tracks.

    Raises `SourceError` where the source is gone, or cannot take it. Cancelled, what was begun may still be done.
    """

    def listen(self, listener: TextListener | None) -> None:
        """From now on it gets what comes over the data channel `oai-events`; None ends it."""

    async def send(self, text: str) -> None:
        """To the data channel. Raises `SourceError` (no_channel, busy: the client does not read)."""

    async def show(self, data: bytes) -> None:
        """A JPEG or PNG of `MAX_PICTURE_BYTES` at most: from now on what is seen. Raises `SourceError`: bad_picture;
        not_pushed where the source has a picture of its own."""

    async def say(self, audio: Pcm) -> None:
        """The next sound of its microphone. Raises `SourceError`: too_fast; not_pushed where it has a track."""


@runtime_checkable
class Source(Protocol):
    """One source in main. Its stream clock starts at 0 with its first picture and never runs backwards."""

    id: str

    @property
    def state(self) -> SourceState: ...

    @property
    def now(self) -> float:
        """Stream seconds right now (for a lockstep file: as far as it was asked to go)."""

    @property
    def audio(self) -> SourceAudio: ...

    @property
    def client(self) -> SourceClient: ...

    async def look(self, *, at: float | None = None, glance: bool = False, trail: bool = False) -> Frame:
        """The newest frame, encoded now, once, however many ask for it.

        `at`: for lockstep files, advance to this stream time first. `glance`: also give the small JPEG. `trail`: also
        give the small grey pictures of the moments before, as far as they were kept since the first look that asked.
        Raises `NoFrame` (code connecting, offline, stale or ended) within `media.look_timeout_s`. The same frame may
        be returned twice; callers compare `frame.t`. Cancelled, it ends no other wait for the frame.
        """

    async def clip(self, order: ClipOrder) -> CutClip:
        """Write a clip, without encoding its pictures again, as soon as its span is over.

        Raises `SourceError`, with a sentence that says why there is none: no_clips (calls, lockstep files, switched
        off), no_keyframe, bad_clip, no_room, not_written, busy, timeout, worker_died. What there is becomes the clip
        where the source ends or is closed meanwhile. Cancelled, the file may still be written.
        """

    async def aclose(self) -> None:
        """Release it: nothing of it is left in the worker. Idempotent.

        Cancelled, the worker releases it all the same.
        """


@runtime_checkable
class Media(Protocol):
    """All sources of this server."""

    async def open(self, source_id: str, spec: PullSpec, on_state: StateListener) -> Source:
        """Add a pull source. Returns at once; connecting goes on by itself, for ever. Raises `NotAllowed`.

        Cancelled, it adds nothing.
        """

    async def answer(self, source_id: str, offer_sdp: str, on_state: StateListener) -> tuple[Source, str]:
        """Take a WebRTC call. Returns the source and the answer SDP. Raises `SourceError` (bad_sdp,
        no_udp_port), `NotAllowed`.

        Cancelled, it hangs the call up.
        """

    async def push(self, source_id: str, on_state: StateListener) -> Source:
        """A source whose pictures and sound come by its `client`. It is online at once, with a black picture that says
        that there is none yet. Raises `SourceError` (worker_died). Cancelled, it adds nothing.
        """

    @property
    def clip_bytes(self) -> int:
        """Memory of what is kept for clips, as it was some seconds ago."""

    def expect_call(self) -> None:
        """Get ready for a call, which may come soon or not at all. Returns at once."""

    async def probe(self, spec: PullSpec) -> ProbeReport:
        """Open it once, look, close it. Raises `NotAllowed`. Cancelled, the worker ends its try by itself."""

    async def aclose(self) -> None:
        """End all sources and workers. Cancelled, it leaves some of them running."""
