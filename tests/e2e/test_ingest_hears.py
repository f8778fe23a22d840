"""Speech in the sound of real sources, through real workers, with the real VAD."""

from __future__ import annotations

import asyncio
import os
import signal
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av.audio.frame import AudioFrame

from fakes.media.audio import Heard
from fakes.media.hub import media_hub, need_rtsp
from fakes.media.rtsp_server import RtspServer
from fakes.media.speech import RATE, conversation, need_speech
from fakes.media.told import Told
from fakes.media.video import draw_clip, draw_talking
from fakes.patience import PATIENCE_S, until
from joyvl_server.ingest.audio.base import ListenSpec, SoundPresence, SpeechAudio, SpeechBegan, SpeechEnded
from joyvl_server.ingest.base import PullSpec
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.audio.resampler import resample

SPEECH = ListenSpec(speech=True)


@pytest.fixture(autouse=True)
def _speech() -> None:
    need_speech()


@pytest.fixture
def words() -> tuple[np.ndarray, list[tuple[float, float]]]:
    return conversation(3)


def check(heard: Heard, truth: list[tuple[float, float]], *, within_s: float = 0.15, shift: float | None = 0.0) -> None:
    """Every sentence where it was said. `shift` None: the moments between them, as nobody knows when it began."""
    began, ended = heard.of(SpeechBegan), heard.of(SpeechEnded)
    assert len(began) == len(truth)
    shift = began[0].t - truth[0][0] if shift is None else shift
    for (onset, end), start, stop in zip(truth, began, ended, strict=True):
        assert start.t - shift == pytest.approx(onset, abs=within_s)
        assert stop.t - shift == pytest.approx(end, abs=within_s)
        assert not stop.lost
        sound = sum(event.audio.seconds for event in heard.of(SpeechAudio) if event.id == start.id)
        assert sound > stop.seconds + 0.3


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "layout"),
    [("mp4", "aac", 44100, "stereo"), ("mkv", "libopus", 48000, "mono"), ("avi", "pcm_mulaw", 8000, "mono"),
     ("mp4", "libmp3lame", 22050, "stereo"), ("mkv", "aac", 48000, "5.1"),
     ("mkv", "pcm_s16le", 96000, "stereo"), ("mkv", "pcm_s16le", 11025, "7.1")],
)  # fmt: skip
async def test_a_file_without_a_clock(tmp_path: Path, words, suffix: str, codec: str, rate: int, layout: str) -> None:
    samples, truth = words
    path = draw_talking(tmp_path / f"a.{suffix}", samples, codec=codec, rate=rate, layout=layout)
    heard = Heard()
    async with media_hub(tmp_path) as hub:
        source = await hub.open("file", PullSpec(path.as_uri(), lockstep=True), Told())
        source.audio.listen(SPEECH, heard)
        await source.look(at=0.0)
        for second in range(1, int(len(samples) / RATE)):
            await source.look(at=float(second))
            assert [event.t for event in heard.of(SpeechBegan)] == [
                pytest.approx(onset, abs=0.15) for onset, _ in truth if onset < second - 0.5
            ] or len(heard.of(SpeechBegan)) == sum(onset < second for onset, _ in truth)
        await source.aclose()
    check(heard, truth)


async def test_a_file_at_its_pace_and_again_at_its_end(tmp_path: Path, words) -> None:
    samples, truth = words
    path = draw_talking(tmp_path / "a.mp4", samples)
    heard, told = Heard(), Told()
    async with media_hub(tmp_path) as hub:
        source = await hub.open("file", PullSpec(path.as_uri(), speed=2.0), told)
        source.audio.listen(SPEECH, heard)
        await until(lambda: "ended" in told.statuses)
        assert heard[0] == SoundPresence(True, False)
        await until(lambda: heard[-1] == SoundPresence(False, False))
        await source.aclose()
    check(heard, truth)


@pytest.mark.rtsp
@pytest.mark.parametrize("codec", ["aac", "pcmu", "pcma", "opus"])
async def test_a_camera(tmp_path: Path, words, codec: str) -> None:
    need_rtsp()
    samples, truth = words
    clip = draw_clip(tmp_path / "a.mp4", fps=10, seconds=4.0, gop=10)
    sound = tmp_path / "a.wav"
    with wave.open(str(sound), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(np.concatenate([np.zeros(3 * RATE, np.int16), samples]).tobytes())
    heard = Heard()
    with RtspServer(clip, sound=(codec, sound)) as camera:
        async with media_hub() as hub:
            source = await hub.open("cam", PullSpec(camera.url), Told())
            source.audio.listen(SPEECH, heard)
            await until(lambda: len(heard.of(SpeechEnded)) == len(truth))
            assert source.audio.hears
            await source.aclose()
    check(heard, truth, shift=None, within_s=0.25)


class Microphone(MediaStreamTrack):
    """Plays samples at its rate, 20 ms at a time, and silence afterwards."""

    kind = "audio"

    def __init__(self, samples: np.ndarray, rate: int, begin: asyncio.Event) -> None:
        super().__init__()
        self.samples = resample(Pcm(samples, RATE), rate).samples
        self.rate, self.begin, self.at, self.sent = rate, begin, 0, 0
        self.lost = range(0)
        """frames that are not sent"""
        self._start: float | None = None

    async def recv(self) -> AudioFrame:
        loop, step = asyncio.get_running_loop(), self.rate // 50
        self._start = self._start or loop.time()
        while True:
            self.sent += 1
            await asyncio.sleep(max(0.0, self._start + self.sent * 0.02 - loop.time()))
            piece = self.samples[self.at : self.at + step] if self.begin.is_set() else self.samples[:0]
            self.at += len(piece)
            if self.sent not in self.lost:
                break
        frame = AudioFrame.from_ndarray(np.pad(piece, (0, step - len(piece))).reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self.sent * step, Fraction(1, self.rate)
        return frame


@pytest.mark.parametrize("rate", [16_000, 48_000])
async def test_a_call(words, rate: int) -> None:
    samples, truth = words
    heard, begin = Heard(), asyncio.Event()
    caller = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    caller.addTrack(VideoStreamTrack())
    caller.addTrack(Microphone(samples, rate, begin))
    async with media_hub() as hub:
        await caller.setLocalDescription(await caller.createOffer())
        source, answer = await hub.answer("call", caller.localDescription.sdp, Told())
        source.audio.listen(SPEECH, heard)
        await caller.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await until(lambda: source.state.status == "online" and source.audio.hears)
        begin.set()
        await until(lambda: len(heard.of(SpeechEnded)) == len(truth))
        check(heard, truth, shift=None)
        await caller.close()
        await until(lambda: source.state.status == "ended")
        assert not source.audio.hears


async def test_a_caller_that_hangs_up_in_mid_sentence(words) -> None:
    heard, begin = Heard(), asyncio.Event()
    begin.set()
    caller = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    caller.addTrack(VideoStreamTrack())
    caller.addTrack(Microphone(np.concatenate([words[0]] * 9), 48_000, begin))
    async with media_hub() as hub:
        await caller.setLocalDescription(await caller.createOffer())
        source, answer = await hub.answer("call", caller.localDescription.sdp, Told())
        source.audio.listen(SPEECH, heard)
        await caller.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await until(lambda: len(heard.of(SpeechBegan)) > len(heard.of(SpeechEnded)))
        await caller.close()
        await until(lambda: source.state.status == "ended")
        assert len(heard.of(SpeechBegan)) == len(heard.of(SpeechEnded))
        assert heard.of(SpeechEnded)[-1].lost


async def test_ten_seconds_without_a_packet_break_speech_off_and_then_it_hears_again(words) -> None:
    heard, begin = Heard(), asyncio.Event()
    begin.set()
    caller = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    caller.addTrack(VideoStreamTrack())
    microphone = Microphone(np.concatenate([words[0]] * 9), 48_000, begin)
    caller.addTrack(microphone)
    async with media_hub() as hub:
        await caller.setLocalDescription(await caller.createOffer())
        source, answer = await hub.answer("call", caller.localDescription.sdp, Told())
        source.audio.listen(SPEECH, heard)
        await caller.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await until(lambda: len(heard.of(SpeechBegan)) > len(heard.of(SpeechEnded)))
        microphone.lost = range(microphone.sent, microphone.sent + 500)
        await until(lambda: heard.of(SpeechEnded) and heard.of(SpeechEnded)[-1].lost)
        broken = heard.of(SpeechEnded)[-1]
        await until(lambda: heard.of(SpeechEnded)[-1].t > broken.t + 10 and not heard.of(SpeechEnded)[-1].lost)
        await caller.close()


async def test_a_worker_that_is_killed_in_mid_sentence_hears_again(tmp_path: Path, words) -> None:
    path = draw_talking(tmp_path / "a.mp4", np.concatenate([words[0]] * 3))
    heard = Heard()
    async with media_hub(tmp_path) as hub:
        source = await hub.open("file", PullSpec(path.as_uri(), loop=True), Told())
        source.audio.listen(SPEECH, heard)
        await until(lambda: len(heard.of(SpeechBegan)) > len(heard.of(SpeechEnded)))
        os.kill(hub.workers[0].pid, signal.SIGKILL)
        await until(lambda: heard.of(SpeechEnded) and heard.of(SpeechEnded)[-1].lost)
        before = len(heard.of(SpeechEnded))
        await until(lambda: len(heard.of(SpeechEnded)) > before + 1)
        ids = [event.id for event in heard.of(SpeechBegan)]
        assert len(set(ids)) == len(ids)
        await asyncio.wait_for(source.aclose(), PATIENCE_S)
