"""A caller with a webcam that listens to what is said into the call, and what it heard of a tone."""

from __future__ import annotations

import asyncio

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

from joyvl_server.kit.audio.pcm import Pcm, Samples

TONE_RATE = 24_000


class HearingCaller:
    """A browser with a webcam that plays what it gets. `heard`: at 48 kHz, `pts` of each piece of it."""

    def __init__(self, direction: str | None = "recvonly", codec: str | None = None) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peer.addTrack(VideoStreamTrack())
        if direction is not None:
            transceiver = self.peer.addTransceiver("audio", direction)
            if codec is not None:
                known = RTCRtpSender.getCapabilities("audio").codecs
                transceiver.setCodecPreferences([known_one for known_one in known if codec in known_one.mimeType])
        self.peer.on("track", self._hear)
        self.heard: list[Samples] = []
        self.pts: list[int] = []
        self.rate = 0
        self._tasks: list[asyncio.Task[None]] = []

    def _hear(self, track) -> None:
        self._tasks.append(asyncio.create_task(self._take(track)))

    async def _take(self, track) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            channels = frame.layout.nb_channels
            self.heard.append(frame.to_ndarray().reshape(-1, channels)[:, 0])
            self.pts.append(frame.pts)
            self.rate = frame.sample_rate

    @property
    def sound(self) -> Samples:
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.int16)

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def close(self) -> None:
        await self.peer.close()
        for task in self._tasks:
            task.cancel()


def tone(hertz: float, seconds: float, rate: int = TONE_RATE) -> Pcm:
    t = np.arange(round(seconds * rate)) / rate
    return Pcm((12_000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16), rate)


def loudness(sound: Samples, hertz: float, rate: int = 48_000) -> np.ndarray:
    """Of a tone in each 20 ms."""
    frames = sound[: len(sound) // 960 * 960].reshape(-1, 960).astype(float)
    wave = np.exp(-2j * np.pi * hertz * np.arange(960) / rate)
    return np.abs(frames @ wave) / 480


def seconds_of(caller: HearingCaller, hertz: float) -> float:
    """How long the tone was heard."""
    return float(np.sum(loudness(caller.sound, hertz) > 3000)) * 0.02
