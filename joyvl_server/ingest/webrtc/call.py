"""A browser call in a worker: answers an offer, drains its tracks at full rate, hangs up when nothing comes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from joyvl_server.ingest.audio.call_voice import CallVoice
from joyvl_server.ingest.audio.echo.canceller import EchoCanceller, echo_canceller
from joyvl_server.ingest.audio.source_sound import SourceSound
from joyvl_server.ingest.base import SourceStatus
from joyvl_server.ingest.stream_clock import LiveStreamClock
from joyvl_server.ingest.webrtc.candidates import gather_candidates
from joyvl_server.ingest.webrtc.data_channel import EventsChannel, TextSender
from joyvl_server.ingest.webrtc.jitter_buffer import use_marker_buffer, use_short_buffer
from joyvl_server.ingest.webrtc.microphone import EchoCleaner, Microphone
from joyvl_server.ingest.webrtc.sdp import (
    audio_codec_of,
    bad_sdp,
    check_offer,
    hearing_mid,
    video_codec_of,
    with_bitrates,
)
from joyvl_server.ingest.webrtc.udp_ports import UdpPorts
from joyvl_server.ingest.webrtc.voice_track import VoiceTrack
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.opening import seconds
from joyvl_server.ingest.worker.publisher import DecodedFrame, FramePublisher, SourceReport
from joyvl_server.ingest.worker.pushed import PushedPictures
from joyvl_server.kit.clock import SystemClock

log = logging.getLogger(__name__)

CHECK_INTERVAL_S = 1.0
FREE_TIMEOUT_S = 5.0
FPS_AFTER_S = 3.0
MAX_UNDECODED = 90
"""Encoded frames that may wait for aiortc's decoder, some three seconds; it sets no bound itself."""
# aiortc meets odd offers with many kinds of errors, most of them out of its parser.
OFFER_ERRORS = (
    ValueError, KeyError, IndexError, AttributeError, AssertionError, TypeError,
    InternalError, InvalidAccessError, InvalidStateError, OperationError,
)  # fmt: skip


class WebRtcCall:
    """One peer connection, on the worker's loop. Answer it, then `run` it: that ends when the call has ended.

    Where the offer has an audio section that takes sound, we can speak into it: `sound.playout` is then set. The tracks
    are those of the offer for good; who wants to send or hear sound later offers the section at once and replaces its
    track when the time has come, or calls again.
    """

    def __init__(self, config: WorkerConfig, publisher: FramePublisher, sound: SourceSound, sender: TextSender) -> None:
        self.events = EventsChannel(sender)
        self.pictures: PushedPictures | None = None
        """where the call sends no video: what its client sends as data"""
        self.echo: EchoCanceller | None = None
        """takes what we say out of what the microphone hears; None where the other side can't hear us"""
        self._config = config
        self._publisher = publisher
        self._sound = sound
        self._voice: CallVoice | None = None
        self._clock = LiveStreamClock()
        self._microphone = Microphone(sound.hearing, self._clock)
        # No STUN server: browsers are in the same network, or are told an address (webrtc.advertised_addresses).
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tracks: list[MediaStreamTrack] = []
        self._drains: list[asyncio.Task[None]] = []
        self._group: asyncio.TaskGroup | None = None
        """while the call runs"""
        self._codec = ""
        self._ended = asyncio.Event()
        self._frames = 0
        self._first_at = 0.0
        self._first_frame = 0
        self._frame_at = 0.0
        self._fps: float | None = None
        self._packets = 0
        self._last_packets_at = time.monotonic()

    @property
    def newest(self) -> DecodedFrame | None:
        """None while there is no picture."""
        return self._publisher.newest

    async def answer(self, offer: str, advertised: Sequence[str] = ()) -> str:
        """The answer SDP, with all its candidates, also for the `advertised` addresses. Raises `SourceError` (bad_sdp,
        no_udp_port).

        Where it fails or is cancelled, everything is freed.
        """
        try:
            return await self._answer(check_offer(offer), advertised)
        except OFFER_ERRORS as error:
            await self._free()
            log.debug("an unusual offer: %s: %s", type(error).__name__, error)
            raise bad_sdp("it is damaged, or has no video format that can be received (VP8, H.264)") from None
        except BaseException:
            await self._free()
            raise

    async def _answer(self, offer: str, advertised: Sequence[str]) -> str:
        self._peer.on("track", self._on_track)
        self._peer.on("connectionstatechange", self._on_connection)
        self._peer.on("datachannel", self.events.opened)
        await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if not any(track.kind == "video" for track in self._tracks):
            if not self._tracks or "m=video " in offer:
                raise bad_sdp("it sends no video")
            self.pictures = PushedPictures(self._publisher, self._clock)
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind == "audio":
                use_short_buffer(transceiver.receiver)
            elif not use_marker_buffer(transceiver.receiver):
                log.warning("this aiortc cannot give frames at once: each one is a frame interval older")
        track = self._speak(hearing_mid(offer))
        if self._config.udp_ports is not None or advertised:
            await gather_candidates(self._peer, UdpPorts(self._config.udp_ports), advertised)
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        answer = self._peer.localDescription.sdp
        if track is not None:
            track.opus = audio_codec_of(answer, hearing_mid(offer) or "") == "opus"
        self._codec = video_codec_of(answer) or "unknown"
        config = self._config
        return with_bitrates(answer, config.start_bitrate_kbps, config.min_bitrate_kbps, config.max_bitrate_kbps)

    def _speak(self, mid: str | None) -> VoiceTrack | None:
        """Give the audio section with this mid our voice."""
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind == "audio" and transceiver.mid == mid:
                self.echo = echo_canceller()
                self._sound.hearing.canceller = EchoCleaner(self.echo, self._clock)
                self._voice = self._sound.playout = CallVoice(self._sound.teller)
                track = VoiceTrack(self._voice.buffer, self.echo, SystemClock())
                transceiver.sender.replaceTrack(track)
                transceiver.direction = "sendrecv"
                return track
        return None

    async def run(self) -> None:
        """Until it is hung up, by either side or because nothing comes. Reports the end last, when all is freed.

        Cancelled, it frees all and reports the end too.
        """
        end = SourceReport(SourceStatus.ENDED, "ended", "The call was hung up.")
        if self.pictures is not None:
            self.pictures.begin()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for track in self._tracks:
                    self._drains.append(group.create_task(self._drain(track)))
                end = await self._monitor() or end
                self._group = None
                for drain in self._drains:
                    drain.cancel()
        finally:
            self._group = None
            self._publisher.clear()
            if self._voice is not None:
                self._voice.close()
            await self._free()
            self._publisher.report(end)

    def hang_up(self) -> None:
        self._ended.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        """It may be added later, with another offer."""
        self._tracks.append(track)
        if self._group is not None:
            self._drains.append(self._group.create_task(self._drain(track)))

    def _on_connection(self) -> None:
        if self._peer.connectionState in ("closed", "failed"):
            self._ended.set()
        elif self._peer.connectionState == "connected" and self._voice is not None:
            self._voice.connected()

    async def _drain(self, track: MediaStreamTrack) -> None:
        """aiortc's queues have no bound, so every track is emptied as fast as it fills. The first picture is shown."""
        published = track is next((one for one in self._tracks if one.kind == "video"), None)
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if published and isinstance(frame, VideoFrame):
                    self._publish(frame)
                elif isinstance(frame, AudioFrame):
                    self._microphone.heard(track, frame)
        self._microphone.ended(track)
        if published:
            self._ended.set()  # the other side said that its video is over

    def _publish(self, frame: VideoFrame) -> None:
        now = time.monotonic()
        placed = self._clock.place(seconds(frame), now)
        self._frames += 1
        self._frame_at = now
        if self.newest is None:
            self._first_at, self._first_frame = now, self._frames
        wall = time.time() - now + placed.moment
        self._publisher.publish(frame, placed.t, wall, codec=self._codec, fps=self._fps, clock=self._clock.clock)

    async def _monitor(self) -> SourceReport | None:
        """Until it is over. None: it was hung up; else what went wrong."""
        while not self._ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), CHECK_INTERVAL_S)
            now = time.monotonic()
            if await self._got_packets():
                self._last_packets_at = now
            if now - self._last_packets_at > self._config.call_timeout_s:
                return self._silent()
            self._check_picture(now)
            for transceiver in self._peer.getTransceivers():
                _bound_decoder(transceiver.receiver)
        return None

    async def _got_packets(self) -> bool:
        """Has any packet of media come since the last time?"""
        stats = await self._peer.getTransceivers()[0].receiver.getStats()
        packets = sum(entry.packetsReceived for entry in stats.values() if entry.type == "transport")
        before, self._packets = self._packets, int(packets)
        return self._packets > before

    def _silent(self) -> SourceReport:
        waited = self._config.call_timeout_s
        if self._peer.connectionState != "connected":
            sentence = f"The call did not connect within {waited:g} s. A firewall may be in the way of UDP."
            return SourceReport(SourceStatus.ENDED, "timeout", sentence)
        return SourceReport(SourceStatus.ENDED, "lost", f"Nothing came from the other side for {waited:g} s.")

    def _check_picture(self, now: float) -> None:
        if self.newest is None or self.pictures is not None:
            return
        stall_s = self._config.stall_timeout_s
        if now - self._frame_at > stall_s:
            self._publisher.clear()
            sentence = f"The call is connected but sent no picture for {stall_s:g} s."
            self._publisher.report(SourceReport(SourceStatus.OFFLINE, "stalled", sentence))
        elif self._fps is None and now - self._first_at > FPS_AFTER_S:
            self._fps = round((self._frames - self._first_frame) / (now - self._first_at), 1)

    async def _free(self) -> None:
        try:
            await asyncio.wait_for(self._peer.close(), FREE_TIMEOUT_S)
        except TimeoutError:
            log.warning("a call's connection did not close in time")
        except OFFER_ERRORS:  # half-made connections of odd offers cannot always be closed as a whole
            for transceiver in self._peer.getTransceivers():
                with suppress(*OFFER_ERRORS):
                    await transceiver.receiver.transport.transport.stop()


def _bound_decoder(receiver: RTCRtpReceiver) -> None:
    """When the machine is too slow: throw away what waits, and ask for a whole picture (a PLI)."""
    waiting = getattr(receiver, "_RTCRtpReceiver__decoder_queue", None)
    if waiting is None or waiting.qsize() <= MAX_UNDECODED:
        return
    while waiting.qsize() > 1:
        waiting.get_nowait()
    getattr(receiver, "_RTCRtpReceiver__decoder_error", asyncio.Event()).set()
