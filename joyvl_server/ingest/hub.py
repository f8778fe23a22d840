"""All sources of this server, spread over media workers: cameras and calls apart, workers started when needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count

from joyvl_server.core.errors import Conflict, NotAllowed, SourceError
from joyvl_server.ingest import source_errors
from joyvl_server.ingest.advertised import AdvertisedAddresses
from joyvl_server.ingest.base import ProbeReport, PullSpec, StateListener
from joyvl_server.ingest.media_worker import MediaWorker, WorkerKind
from joyvl_server.ingest.source import RemoteSource
from joyvl_server.ingest.worker.clips.limits import ClipLimits
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.probe import LOOK_S
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.kit.net.source_check import SourceCheck
from joyvl_server.settings import MediaSettings, WebRtcSettings

IDLE_S = 30.0
"""An empty worker is ended after so long."""
PREPARED_IDLE_S = 600.0
"""… one that is ready for calls: a person who has opened the page may think for a while."""
SWEEP_EVERY_S = 5.0
ANSWER_TIMEOUT_S = 15.0
PROBES_AT_ONCE = 8
PROBE_WAIT_S = 2.0
"""A source that says nothing takes twenty seconds to probe: who waits behind several of them must try again."""


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """For metrics and `/readyz`. `pid` is None while it is not running."""

    name: str
    kind: WorkerKind | None
    status: str
    pid: int | None
    sources: int
    restarts: int
    clip_bytes: int
    """of the packets that it keeps for clips"""


class MediaHub:
    """Implements `Media`. `clock` must run like the machine's own: workers stamp frames with that.

    `clips`: how much of each source is kept for clips; None where there are none.
    """

    def __init__(
        self,
        settings: MediaSettings,
        policy: NetPolicy,
        clock: Clock | None = None,
        *,
        clips: ClipLimits | None = None,
        webrtc: WebRtcSettings | None = None,
    ) -> None:
        self._settings = settings
        self._source_check = SourceCheck(policy)
        self._clock: Clock = clock or SystemClock()
        webrtc = webrtc or WebRtcSettings()
        self._advertised = AdvertisedAddresses(webrtc.advertised_addresses, self._clock)
        self._config = WorkerConfig(
            slots=max(settings.worker_cameras, settings.worker_calls),
            max_pixels=settings.max_pixels,
            grey_side=settings.grey_side,
            jpeg_quality=settings.jpeg_quality,
            open_timeout_s=settings.open_timeout_s,
            stall_timeout_s=settings.stall_timeout_s,
            call_timeout_s=settings.call_timeout_s,
            start_bitrate_kbps=settings.start_bitrate_kbps,
            min_bitrate_kbps=settings.min_bitrate_kbps,
            max_bitrate_kbps=settings.max_bitrate_kbps,
            policy=policy,
            clips=clips,
            udp_ports=webrtc.port_pair,
        )
        self._workers: list[MediaWorker] = []
        self._ending: list[MediaWorker] = []
        """idle ones that are being ended, no longer among the workers"""
        self._numbers = count(1)
        self._probes = asyncio.Semaphore(PROBES_AT_ONCE)
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def workers(self) -> list[WorkerInfo]:
        return [
            WorkerInfo(w.name, w.kind, s.status.value, s.pid, len(w.sources), s.restarts, w.clip_bytes)
            for w in self._workers
            for s in (w.supervisor,)
        ]

    async def open(self, source_id: str, spec: PullSpec, on_state: StateListener) -> RemoteSource:
        """See `Media.open`. Raises `Conflict` where the source is open. Cancelled, it adds nothing."""
        await self._check(spec.url)
        source, worker = self._add_source(source_id, spec, WorkerKind.CAMERAS, on_state)
        worker.send_open(source)
        return source

    async def answer(self, source_id: str, offer_sdp: str, on_state: StateListener) -> tuple[RemoteSource, str]:
        """See `Media.answer`. Raises `Conflict` where the source is open. Cancelled, it hangs the call up."""
        # Before a place is taken: while names are looked up, the worker may die, and its places be given to others.
        advertised = await self._advertised.now()
        source, worker = self._add_source(source_id, None, WorkerKind.CALLS, on_state)
        try:
            reply = await worker.request(
                "answer", ANSWER_TIMEOUT_S, source=source_id, slot=source.slot, sdp=offer_sdp, advertised=advertised,
            )  # fmt: skip
        except BaseException:
            await source.aclose()
            raise
        return source, reply["sdp"]

    async def push(self, source_id: str, on_state: StateListener) -> RemoteSource:
        """See `Media.push`. Raises `Conflict` where the source is open. Cancelled, it adds nothing."""
        source, worker = self._add_source(source_id, None, WorkerKind.CALLS, on_state)
        try:
            await worker.request("push", ANSWER_TIMEOUT_S, source=source_id, slot=source.slot)
        except BaseException:
            await source.aclose()
            raise
        return source

    @property
    def clip_bytes(self) -> int:
        """See `Media.clip_bytes`."""
        return sum(worker.clip_bytes for worker in self._workers)

    def expect_call(self) -> None:
        """One idle worker is kept ready: to start one, and aiortc in it, takes a second."""
        if self._closed or any(worker.kind is WorkerKind.CALLS and not worker.sources for worker in self._workers):
            return
        worker = self._worker_for(WorkerKind.CALLS)
        if not worker.sources:
            worker.prepare_for_calls()

    async def probe(self, spec: PullSpec) -> ProbeReport:
        """Raises `NotAllowed`: the net policy, or probes_busy where too many sources are being tried already.

        Cancelled, the worker ends its try by itself.
        """
        began = self._clock.monotonic()
        timeout_s = self._settings.open_timeout_s + self._settings.stall_timeout_s + LOOK_S + 2
        await self._check(spec.url)
        async with self._probe_permit():
            worker = self._worker_for(WorkerKind.CAMERAS)
            try:
                report = ProbeReport(**await worker.request("probe", timeout_s, url=spec.url))
            except SourceError as error:
                took_s = round(self._clock.monotonic() - began, 3)
                return ProbeReport(
                    False, took_s, error_code=error.code, error=str(error), hint=source_errors.hint(error.code)
                )
        if report.error_code == "not_allowed":
            raise NotAllowed(report.error or "The source is not allowed.")
        return report

    async def _check(self, url: str) -> None:
        """Raises `NotAllowed`. What cannot be said right now is left to the worker, which checks at each try."""
        with suppress(SourceError):
            await self._source_check.check(url)

    @asynccontextmanager
    async def _probe_permit(self) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(self._probes.acquire(), PROBE_WAIT_S)
        except TimeoutError:
            sentence = f"{PROBES_AT_ONCE} sources are being tried right now. Try again in some seconds."
            raise NotAllowed(sentence, code="probes_busy") from None
        try:
            yield
        finally:
            self._probes.release()

    def _add_source(
        self, source_id: str, spec: PullSpec | None, kind: WorkerKind, on_state: StateListener
    ) -> tuple[RemoteSource, MediaWorker]:
        if any(source_id in worker.sources for worker in self._workers):
            raise Conflict(f"The source {source_id} is already open.")
        worker = self._worker_for(kind)
        look_s = self._settings.look_timeout_s
        source = RemoteSource(source_id, spec, worker, on_state, look_s, self._clock)
        worker.add(source, kind)
        return source, worker

    def _worker_for(self, kind: WorkerKind) -> MediaWorker:
        """The fullest worker that takes one more source of this kind; a new one where there is none."""
        if self._closed:
            raise SourceError("The server is shutting down.", code="internal")
        most = self._settings.worker_cameras if kind is WorkerKind.CAMERAS else self._settings.worker_calls
        fitting = [w for w in self._workers if w.kind in (kind, None) and len(w.sources) < most]
        if fitting:
            best = max(fitting, key=lambda worker: len(worker.sources))
            best.touch()
            return best
        worker = MediaWorker(f"media worker {next(self._numbers)}", self._config, self._clock)
        worker.supervisor.start()
        self._workers.append(worker)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep(), name="end of idle media workers")
        return worker

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_EVERY_S)
            now = self._clock.monotonic()
            idle = [w for w in self._workers if not w.sources and now - w.empty_since > _idle_s(w)]
            for worker in idle:  # all before the first wait: nothing may be placed on one that is about to end
                self._workers.remove(worker)
            self._ending = idle
            for worker in idle:
                await worker.supervisor.aclose()
            self._ending = []

    async def aclose(self) -> None:
        """End all workers, with their sources. Cancelled, it leaves some of them running."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper})
        workers, self._workers, self._ending = [*self._workers, *self._ending], [], []
        for worker in workers:
            for source in worker.sources.values():
                source.detach()
        await asyncio.gather(*(worker.supervisor.aclose() for worker in workers))


def _idle_s(worker: MediaWorker) -> float:
    return PREPARED_IDLE_S if worker.kind is WorkerKind.CALLS else IDLE_S
