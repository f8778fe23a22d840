"""Calls, with aiortc on both sides. Real browsers call in tests/e2e."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from dataclasses import replace

import numpy as np
import pytest
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av.frame import Frame

from fakes.media.told import Told
from fakes.patience import PATIENCE_S, until
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.audio.source_sound import SourceSound
from joyvl_server.ingest.webrtc import call as call_module
from joyvl_server.ingest.webrtc import data_channel
from joyvl_server.ingest.webrtc.call import WebRtcCall
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.kit.jpeg import encode
from joyvl_server.kit.net.policy import NetPolicy

CONFIG = WorkerConfig(2, 65_536, 96, 85, 5, PATIENCE_S, PATIENCE_S, 2500, 1250, 4000, NetPolicy())


class Caller:
    """A browser as aiortc plays it: webcam, microphone, a data channel."""

    def __init__(
        self, *, video: bool = True, picture: VideoStreamTrack | None = None, channel: str | None = "events"
    ) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.picture = picture or VideoStreamTrack()
        if video:
            self.peer.addTrack(self.picture)
        self.peer.addTrack(AudioStreamTrack())
        self.channel = None if channel is None else self.peer.createDataChannel(channel)

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def hears(self, answer: str) -> None:
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))


def begin(config: WorkerConfig = CONFIG) -> tuple[WebRtcCall, Told]:
    told = Told()
    return WebRtcCall(config, FramePublisher(told, GreyHistory(192)), SourceSound(told), told), told


def resources() -> tuple[int, int, int]:
    """Tasks, decoder threads and descriptors (the pool that the caller encodes in is not ours)."""
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return len(asyncio.all_tasks()), len(threads), len(os.listdir("/proc/self/fd"))


async def test_a_call_shows_its_pictures_until_the_caller_hangs_up() -> None:
    caller = Caller()
    call, told = begin()
    answer = await call.answer(await caller.offer())
    assert "x-google-start-bitrate=2500" in answer
    assert answer.count("a=candidate:") >= 1
    running = asyncio.create_task(call.run())
    await caller.hears(answer)
    await until(lambda: call.newest is not None)
    first = call.newest
    await until(lambda: call.newest.number > first.number + 10)
    assert call.newest.t > first.t
    assert (told[0].status, told[0].width, told[0].height, told[0].codec) == ("online", 640, 480, "vp8")
    await caller.peer.close()
    await asyncio.wait_for(running, PATIENCE_S)
    assert (told[-1].status, told[-1].error_code) == ("ended", "ended")
    assert call.newest is None


class OneFrame(VideoStreamTrack):
    """A webcam that freezes after its first picture, for good."""

    sent = False

    async def recv(self) -> Frame:
        if self.sent:
            await asyncio.Event().wait()
        self.sent = True
        return await super().recv()


async def test_a_picture_is_shown_before_the_next_one_comes() -> None:
    caller = Caller(picture=OneFrame())
    call, told = begin()
    answer = await call.answer(await caller.offer())
    running = asyncio.create_task(call.run())
    await caller.hears(answer)
    await until(lambda: call.newest is not None)
    assert told.statuses == ["online"]
    call.hang_up()
    await asyncio.wait_for(running, PATIENCE_S)
    await caller.peer.close()


async def test_the_frame_rate_is_reported_when_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "FPS_AFTER_S", 0.5)
    monkeypatch.setattr(call_module, "CHECK_INTERVAL_S", 0.2)
    caller = Caller()
    call, told = begin()
    answer = await call.answer(await caller.offer())
    running = asyncio.create_task(call.run())
    await caller.hears(answer)
    await until(lambda: told and told[-1].fps)
    sent = caller.picture._timestamp / 3000 + 1  # aiortc's test picture: 90,000 ticks a second, 30 pictures
    assert 0 < told[-1].fps <= sent / 0.5, "more a second than were sent at all"
    call.hang_up()
    await asyncio.wait_for(running, PATIENCE_S)
    await caller.peer.close()


async def test_a_call_that_never_connects_is_hung_up() -> None:
    caller = Caller()
    call, told = begin(replace(CONFIG, call_timeout_s=0.5))
    await call.answer(await caller.offer())
    await asyncio.wait_for(call.run(), PATIENCE_S)
    assert (told.statuses, told.codes) == (["ended"], ["timeout"])
    await caller.peer.close()


async def test_a_caller_that_vanishes_is_hung_up_and_its_picture_is_gone_before() -> None:
    caller = Caller()
    call, told = begin(replace(CONFIG, stall_timeout_s=0.7, call_timeout_s=2.0))
    answer = await call.answer(await caller.offer())
    running = asyncio.create_task(call.run())
    await caller.hears(answer)
    await until(lambda: call.newest is not None)
    for sender in caller.peer.getSenders():  # no more packets, and no goodbye
        await sender.transport.transport._connection.close()
    await asyncio.wait_for(running, PATIENCE_S)
    assert told.statuses[0] == "online"
    assert told.codes[-2:] == ["stalled", "lost"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda sdp: "hello", "no SDP"),
        (lambda sdp: sdp.replace("a=sendrecv", "a=recvonly"), "sends no video"),
        (lambda sdp: sdp.replace("VP8/90000", "XX8/90000").replace("H264/90000", "XX4/90000"), "no video format"),
        (lambda sdp: sdp.replace("a=mid:0", "a=mid:9"), "."),
        (lambda sdp: sdp.replace("a=setup:actpass", "a=setup:nonsense"), "damaged"),
        (lambda sdp: sdp.replace("a=fingerprint:sha-256 ", "a=fingerprint:"), "damaged"),
        (lambda sdp: sdp.replace("m=video ", "m=video x"), "damaged"),
    ],
)
async def test_an_offer_that_cannot_be_used_leaves_nothing(spoil, says: str) -> None:
    caller = Caller()
    offer = spoil(await caller.offer())
    tasks, threads, descriptors = resources()
    call, told = begin()
    with pytest.raises(SourceError, match=says) as caught:
        await call.answer(offer)
    assert caught.value.code == "bad_sdp"
    assert not told
    await until(lambda: resources()[0] <= tasks)
    assert resources()[1] <= threads
    await until(lambda: resources()[2] <= descriptors)
    await caller.peer.close()


async def test_sound_alone_is_no_call() -> None:
    caller = Caller(video=False, channel=None)
    call, _ = begin()
    with pytest.raises(SourceError, match="no video"):
        await call.answer(await caller.offer())
    await caller.peer.close()


async def test_a_call_without_video_shows_what_its_client_sends_and_talks_over_its_data_channel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(data_channel, "BYTES_A_SECOND", 0.0)  # however slow this machine sends them
    caller = Caller(video=False, channel="oai-events")
    call, told = begin()
    texts: list[str] = []
    assert caller.channel is not None
    caller.channel.on("message", texts.append)
    with pytest.raises(SourceError, match="no open data channel"):
        call.events.send("{}")
    await caller.hears(await call.answer(await caller.offer()))
    running = asyncio.create_task(call.run())
    await until(lambda: told.texts == [None])
    assert call.newest is not None
    assert call.newest.frame.width == 320  # that there is no picture
    caller.channel.send('{"type": "session.update"}')
    caller.channel.send(b"bytes are no text")
    caller.channel.send('{"type": "response.create"}')
    await until(lambda: len(told.texts) == 3)
    assert told.texts[1:] == ['{"type": "session.update"}', '{"type": "response.create"}']
    call.events.send('{"type": "session.created"}')
    await until(lambda: texts == ['{"type": "session.created"}'])
    for _ in range(40):
        caller.channel.send("x" * 50_000)
    await until(lambda: call.events.dropped > 1)
    assert call.pictures is not None
    call.pictures.show(encode(np.zeros((48, 64, 3), np.uint8)).jpeg)
    assert call.newest.frame.width == 64
    call.hang_up()
    await running
    await caller.peer.close()


async def test_many_calls_leave_nothing_behind() -> None:
    async def one() -> None:
        caller = Caller()
        call, _ = begin()
        answer = await call.answer(await caller.offer())
        running = asyncio.create_task(call.run())
        await caller.hears(answer)
        await until(lambda: call.newest is not None)
        call.hang_up()
        await asyncio.wait_for(running, PATIENCE_S)
        await caller.peer.close()

    await one()
    gc.collect()
    tasks, threads, descriptors = resources()
    for _ in range(3):
        await one()
    await until(lambda: resources()[0] <= tasks)
    assert resources()[1] <= threads
    await until(lambda: resources()[2] <= descriptors)


async def test_a_decoder_that_cannot_keep_up_is_not_fed_for_ever() -> None:
    caller = Caller()
    call, _ = begin()
    await call.answer(await caller.offer())
    receiver = call._peer.getTransceivers()[0].receiver
    waiting = receiver._RTCRtpReceiver__decoder_queue
    for number in range(call_module.MAX_UNDECODED + 5):
        waiting.put(number)
    call_module._bound_decoder(receiver)
    assert waiting.qsize() == 1
    assert receiver._RTCRtpReceiver__decoder_error.is_set()
    await call._free()
    await caller.peer.close()
