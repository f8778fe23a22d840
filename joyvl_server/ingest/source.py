"""One source as main sees it: its state, its stream clock, and its newest picture out of a worker's shared memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Protocol

import structlog

from joyvl_server.core.errors import NoFrame, SourceError
from joyvl_server.core.frame import Frame
from joyvl_server.ingest.audio.remote import RemoteAudio
from joyvl_server.ingest.base import ClipOrder, CutClip, PullSpec, SourceState, SourceStatus, StateListener
from joyvl_server.ingest.channel import Message
from joyvl_server.ingest.client_link import ClientLink
from joyvl_server.ingest.connection import Answer
from joyvl_server.ingest.shared_frames import TornFrame
from joyvl_server.kit.clock import Clock

log = structlog.get_logger(__name__)

LOCKSTEP_TIMEOUT_S = 60.0
"""In lockstep nothing is late, so a look waits for the decoder; this only ends what hangs."""
CLIP_TIMEOUT_S = 15.0
"""for a clip, besides its own time: the stream may stand still, and the disk be slow"""
TRIES = 3


class SourceWorker(Protocol):
    """What a source needs of its media worker."""

    def free_slot(self) -> int: ...

    def ask(self, op: str, **fields: object) -> Answer: ...

    def read(self, slot: int, sequence: int) -> Frame: ...

    async def up(self) -> None:
        """Wait until it is ready. Raises `SourceError` (worker_died). Cancelling it changes nothing."""

    async def close(self, source: RemoteSource) -> None:
        """Free all that belongs to this source. Cancelled, the worker frees it all the same."""


class RemoteSource:
    """Implements `Source`. `spec` is None for a call. It takes a free slot of its worker."""

    def __init__(
        self, source_id: str, spec: PullSpec | None, worker: SourceWorker, listener: StateListener,
        look_timeout_s: float, clock: Clock,
    ) -> None:  # fmt: skip
        self.id = source_id
        self.spec = spec
        self.slot = worker.free_slot()
        self.zero: float | None = None
        """the moment of a live source's first picture"""
        self.closed = False
        self.audio = RemoteAudio(self, worker)
        self.client = ClientLink(source_id, worker)
        self._worker = worker
        self._listener = listener
        self._clock = clock
        self._lockstep = spec is not None and spec.lockstep
        self._is_file = spec is not None and spec.is_file
        self._timeout_s = LOCKSTEP_TIMEOUT_S if self._lockstep else look_timeout_s
        self._state = SourceState(SourceStatus.CONNECTING, since_wall=clock.wall())
        self._anchor: tuple[float, float] | None = None
        self._now = 0.0
        self._looks: dict[tuple[float | None, bool, bool], Answer] = {}
        self._newest: tuple[int, Frame] | None = None

    @property
    def state(self) -> SourceState:
        return self._state

    @property
    def now(self) -> float:
        if not self._is_file:
            if self.zero is not None:
                self._now = max(self._now, self._clock.monotonic() - self.zero)
        elif self._anchor is not None and self._state.status is not SourceStatus.ENDED:
            moment, t = self._anchor
            speed = self.spec.speed if self.spec is not None else 1.0
            self._now = max(self._now, t + (self._clock.monotonic() - moment) * speed)
        return self._now

    async def look(self, *, at: float | None = None, glance: bool = False, trail: bool = False) -> Frame:
        """See `Source.look`. Cancelled, the request goes on for others who wait for the same frame."""
        self._check_shows()
        if self._lockstep and at is not None:
            self._now = max(self._now, at)
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._lockstep:
                    await self._worker.up()
                for _ in range(TRIES):
                    sequence = (await asyncio.shield(self._ask(at, glance, trail)))["sequence"]
                    try:
                        return self._read(sequence)
                    except TornFrame:
                        continue
        except TimeoutError:
            pass
        except SourceError as error:
            code = error.code if error.code in ("connecting", "offline", "ended") else "offline"
            raise NoFrame(str(error), code=code) from None
        raise NoFrame("The picture did not come in time.", code="stale")

    async def clip(self, order: ClipOrder) -> CutClip:
        """See `Source.clip`. Cancelled, the file may still be written."""
        if self.spec is None:
            raise SourceError("Calls have no clips.", code="no_clips")
        if self.closed:
            raise SourceError("There is no clip: the session has ended.", code="ended")
        limit_s = order.after_s / self.spec.speed + CLIP_TIMEOUT_S
        answer = self._worker.ask(
            "clip", source=self.id, path=str(order.path), t=order.t, before_s=order.before_s, after_s=order.after_s,
            limit_s=limit_s,
        )  # fmt: skip
        try:
            return CutClip(**await asyncio.wait_for(asyncio.shield(answer), 2 * limit_s + CLIP_TIMEOUT_S))
        except TimeoutError:
            raise SourceError("There is no clip: the media worker did not answer in time.", code="timeout") from None

    def _check_shows(self) -> None:
        status = self._state.status
        if self.closed:
            raise NoFrame("The source was closed.", code="ended")
        if self._lockstep or status is SourceStatus.ONLINE:
            return
        if status is SourceStatus.CONNECTING:
            raise NoFrame("The source has not shown a picture yet.", code="connecting")
        code = "ended" if status is SourceStatus.ENDED else "offline"
        raise NoFrame(self._state.error or "The source is not online.", code=code)

    def _ask(self, at: float | None, glance: bool, trail: bool) -> Answer:
        """One request at a time for the same look, however many callers wait for it."""
        key = (at, glance, trail)
        answer = self._looks.get(key)
        if answer is None:
            answer = self._looks[key] = self._worker.ask("look", source=self.id, at=at, glance=glance, trail=trail)
            answer.add_done_callback(lambda _: self._looks.pop(key, None))
        return answer

    def _read(self, sequence: int) -> Frame:
        if self._newest is None or self._newest[0] != sequence:
            self._newest = (sequence, self._worker.read(self.slot, sequence))
        return self._newest[1]

    def apply(self, report: Message) -> None:
        """A state that the worker reports."""
        if report["clock"] is not None:
            self._anchor = (report["clock"][0], report["clock"][1])
            self.zero = report["clock"][0] if self.zero is None and not self._is_file else self.zero
        if self.spec is None and report["status"] == SourceStatus.ENDED:
            self.audio.worker_gone()  # what its worker still tells is heard no more
        state = self._state
        self._set(
            SourceState(
                status=SourceStatus(report["status"]),
                since_wall=state.since_wall,
                error_code=report["error_code"],
                error=report["error"],
                retry_in_s=report["retry_in_s"],
                attempts=report["attempts"],
                width=report["width"] or state.width,
                height=report["height"] or state.height,
                fps=report["fps"] or state.fps,
                codec=report["codec"] or state.codec,
            )
        )

    def worker_gone(self) -> None:
        """A pull comes back with the next worker, a call does not."""
        self._newest = None
        self.audio.worker_gone()
        if self._state.status is SourceStatus.ENDED:
            return
        if self.spec is None:
            message = "The media worker died, and the call with it. Call again."
            self._set(replace(self._state, status=SourceStatus.ENDED, error_code="worker_died", error=message))
        else:
            message = "The media worker died. It is being restarted."
            self._set(
                replace(
                    self._state, status=SourceStatus.OFFLINE, error_code="worker_died", error=message, retry_in_s=0.0
                )
            )

    def _set(self, state: SourceState) -> None:
        old = self._state
        if state.status is not old.status:
            _ = self.now  # a file's clock stops at its end
            state = replace(state, since_wall=self._clock.wall())
            self._log(state)
        if state != old:
            self._state = state
            if not self.closed:
                self._listener(state)

    def _log(self, state: SourceState) -> None:
        """Once when it is gone, once when it is back."""
        if state.status is SourceStatus.OFFLINE:
            log.warning("source offline", source=self.id, code=state.error_code, error=state.error)
        elif state.status is SourceStatus.ENDED:
            log.info("source ended", source=self.id, code=state.error_code, error=state.error)
        else:
            log.info("source online", source=self.id, width=state.width, height=state.height, codec=state.codec)

    def detach(self) -> None:
        """Its listener hears nothing more, and nobody gets a frame."""
        self.closed = True

    async def aclose(self) -> None:
        """Release it in its worker. Idempotent. Cancelled, the worker releases it all the same."""
        if not self.closed:
            self.closed = True
            await self._worker.close(self)
