"""What main says into a call, through a real media worker."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from aiortc import RTCSessionDescription

from fakes.media.audio import Heard
from fakes.media.hearing_caller import HearingCaller, seconds_of, tone
from fakes.media.hub import media_hub
from fakes.media.told import Told
from fakes.patience import until
from joyvl_server.ingest.audio.base import ListenSpec, PlayoutReport, SoundPresence
from joyvl_server.ingest.hub import MediaHub
from joyvl_server.ingest.source import RemoteSource

pytestmark = pytest.mark.processes


async def call(hub: MediaHub, caller: HearingCaller, told: Told, source_id: str = "c") -> RemoteSource:
    source, answer = await hub.answer(source_id, await caller.offer(), told)
    await caller.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await until(lambda: source.audio.plays)
    return source


def statuses(heard: Heard, epoch: int) -> list[str]:
    return [report.status for report in heard.of(PlayoutReport) if report.epoch == epoch]


async def test_said_held_resumed_and_cut_through_a_worker() -> None:
    async with media_hub(call_timeout_s=60.0) as hub:
        caller, heard = HearingCaller(), Heard()
        source = await call(hub, caller, Told())
        source.audio.listen(ListenSpec(), heard)
        source.audio.play(1, tone(1000, 3), last=True)
        await until(lambda: seconds_of(caller, 1000) > 0.2)
        source.audio.hold(1)
        await until(lambda: "held" in statuses(heard, 1))
        source.audio.resume(1)
        await until(lambda: "ended" in statuses(heard, 1))
        assert heard.of(PlayoutReport)[-1].played_s == pytest.approx(3.0, abs=0.01)
        source.audio.play(2, tone(500, 15), last=True)
        await until(lambda: seconds_of(caller, 500) > 0.2)
        source.audio.cut(2)
        await until(lambda: "cut" in statuses(heard, 2))
        assert 0.2 < heard.of(PlayoutReport)[-1].played_s < 15
        await source.aclose()
        await caller.close()


async def test_a_worker_that_dies_in_mid_utterance_is_told_and_the_next_call_hears_us() -> None:
    async with media_hub(call_timeout_s=60.0) as hub:
        caller, heard, told = HearingCaller(), Heard(), Told()
        source = await call(hub, caller, told)
        source.audio.listen(ListenSpec(), heard)
        source.audio.play(1, tone(500, 15), last=True)
        await until(lambda: seconds_of(caller, 500) > 0.2)
        os.kill(hub.workers[0].pid, signal.SIGKILL)
        await until(lambda: told and told[-1].status == "ended")
        assert statuses(heard, 1)[-1] == "failed"
        assert not heard.of(SoundPresence)[-1].plays
        source.audio.play(2, tone(500, 1), last=True)
        await until(lambda: statuses(heard, 2) == ["failed"])
        await caller.close()
        again = HearingCaller()
        source = await call(hub, again, Told(), "again")
        source.audio.play(1, tone(1000, 1), last=True)
        await until(lambda: seconds_of(again, 1000) > 0.8)
        await asyncio.gather(source.aclose(), again.close())
