"""What a caller hears of what is said into the call, with aiortc on both sides."""

from __future__ import annotations

import asyncio
import gc
import os
import threading

import numpy as np
import pytest
from aiortc import RTCSessionDescription

from fakes.media.hearing_caller import HearingCaller, loudness, seconds_of, tone
from fakes.media.told import Told
from fakes.patience import PATIENCE_S, until
from joyvl_server.ingest.audio.source_sound import SourceSound
from joyvl_server.ingest.webrtc.call import WebRtcCall
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.kit.net.policy import NetPolicy

CONFIG = WorkerConfig(2, 65_536, 96, 85, 60, 60.0, 60.0, 2500, 1250, 4000, NetPolicy())


class Conversation:
    def __init__(self, caller: HearingCaller) -> None:
        self.told = Told()
        self.caller = caller
        self.sound = SourceSound(self.told)
        self.call = WebRtcCall(CONFIG, FramePublisher(self.told, GreyHistory(96)), self.sound, self.told)
        self.answer = ""
        self._running: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        self.answer = await self.call.answer(await self.caller.offer())
        self._running = asyncio.create_task(self.call.run())
        await self.caller.peer.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        await until(lambda: self.call.newest is not None)

    @property
    def plays(self) -> list[bool]:
        return [message["plays"] for message in self.told.sounds if message["kind"] == "plays"]

    def reports(self, epoch: int) -> list[str]:
        fields = [message["fields"] for message in self.told.sounds if message["kind"] == "playout"]
        return [report["status"] for report in fields if report["epoch"] == epoch]

    async def end(self) -> None:
        self.call.hang_up()
        await asyncio.wait_for(self._running, PATIENCE_S)
        await self.caller.close()


async def conversation(caller: HearingCaller | None = None) -> Conversation:
    conversation = Conversation(caller or HearingCaller())
    await conversation.connect()
    return conversation


async def test_what_is_said_is_heard_in_order_with_times_that_fit() -> None:
    talk = await conversation()
    await until(lambda: talk.plays == [True])
    playout = talk.sound.playout
    playout.play(1, tone(500, 0.3), last=False)
    playout.play(1, tone(1000, 0.3), last=True)
    playout.play(2, tone(2000, 0.3), last=True)
    await until(lambda: seconds_of(talk.caller, 2000) > 0.2)
    await until(lambda: "ended" in talk.reports(2))
    begins = [int(np.argmax(loudness(talk.caller.sound, hertz) > 3000)) for hertz in (500, 1000, 2000)]
    assert begins == sorted(begins)
    assert seconds_of(talk.caller, 500) == pytest.approx(0.3, abs=0.05)
    assert seconds_of(talk.caller, 1000) == pytest.approx(0.3, abs=0.05)
    steps = np.diff(talk.caller.pts)
    assert (steps > 0).all()
    assert (steps % 960 == 0).all()
    assert talk.reports(1)[-1] == "ended"
    await talk.end()
    assert talk.plays == [True, False]


async def test_held_nothing_is_heard_and_resumed_nothing_is_missing() -> None:
    talk = await conversation()
    playout = talk.sound.playout
    playout.play(1, tone(1000, 1.5), last=True)
    await until(lambda: seconds_of(talk.caller, 1000) > 0.3)
    playout.hold(1)
    await until(lambda: "held" in talk.reports(1))
    await until(lambda: np.abs(talk.caller.sound[-400 * 48 :]).max() < 30)
    before = seconds_of(talk.caller, 1000)
    assert before < 1.5
    playout.resume(1)
    await until(lambda: "ended" in talk.reports(1))
    await until(lambda: seconds_of(talk.caller, 1000) > 1.43)
    await until(lambda: np.abs(talk.caller.sound[-400 * 48 :]).max() < 30)
    assert seconds_of(talk.caller, 1000) == pytest.approx(1.5, abs=0.08)
    await talk.end()


async def test_cut_it_is_over_and_the_next_one_is_heard() -> None:
    talk = await conversation()
    playout = talk.sound.playout
    playout.play(1, tone(500, 20), last=True)
    await until(lambda: seconds_of(talk.caller, 500) > 0.1)
    playout.cut(1)
    playout.play(1, tone(500, 5), last=True)
    playout.play(2, tone(2000, 0.3), last=True)
    await until(lambda: seconds_of(talk.caller, 2000) > 0.2)
    assert talk.reports(1)[-1] == "cut"
    assert seconds_of(talk.caller, 500) < 15
    begin = int(np.argmax(loudness(talk.caller.sound, 2000) > 3000))
    assert not (loudness(talk.caller.sound, 500)[begin + 2 :] > 3000).any()
    await talk.end()


async def test_hung_up_in_mid_utterance_it_has_failed_before_the_end_is_told() -> None:
    talk = await conversation()
    talk.sound.playout.play(7, tone(500, 20), last=True)
    talk.sound.playout.play(8, tone(500, 5), last=True)
    await until(lambda: seconds_of(talk.caller, 500) > 0.1)
    await talk.caller.close()
    await asyncio.wait_for(talk._running, PATIENCE_S)
    assert talk.reports(7)[-1] == talk.reports(8)[-1] == "failed"
    assert talk.plays == [True, False]
    assert talk.told[-1].status == "ended"
    talk.sound.playout.play(9, tone(500, 1), last=True)
    talk.sound.playout.cut(9)


async def test_a_telephone_format_is_spoken_too() -> None:
    talk = await conversation(HearingCaller(codec="PCMU"))
    assert "opus" not in talk.answer
    talk.sound.playout.play(1, tone(1000, 1), last=True)
    await until(lambda: "ended" in talk.reports(1))
    await until(lambda: talk.caller.rate == 8000 and np.abs(talk.caller.sound.astype(int)).max() > 8000)
    await talk.end()


@pytest.mark.parametrize(("direction", "answered"), [("recvonly", "sendonly"), ("sendrecv", "sendrecv")])
async def test_the_answer_says_that_we_speak(direction: str, answered: str) -> None:
    talk = await conversation(HearingCaller(direction))
    assert f"a={answered}" in talk.answer.split("m=audio")[1]
    assert talk.sound.playout is not None
    assert talk.call.echo is not None
    await talk.end()


@pytest.mark.parametrize("direction", ["sendonly", "inactive", None])
async def test_where_nobody_can_hear_us_nothing_is_played(direction: str | None) -> None:
    talk = await conversation(HearingCaller(direction))
    assert talk.sound.playout is None
    assert talk.call.echo is None
    assert talk.plays == []
    await talk.end()


def resources() -> tuple[int, int, int]:
    """Tasks, threads and descriptors (the pools that encode video are not ours)."""
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return len(asyncio.all_tasks()), len(threads), len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
async def test_twenty_calls_leave_nothing_behind() -> None:
    async def one() -> None:
        talk = await conversation(HearingCaller("sendrecv"))
        talk.sound.playout.play(1, tone(500, 5), last=True)
        await until(lambda: talk.caller.heard)
        await talk.end()

    await one()
    gc.collect()
    tasks, threads, descriptors = resources()
    for _ in range(20):
        await one()
    await until(lambda: resources()[0] <= tasks)
    assert resources()[1] <= threads
    await until(lambda: resources()[2] <= descriptors)
