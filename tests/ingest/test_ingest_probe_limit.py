"""Probes of sources that say nothing: whoever waits behind them is told soon to come back."""

from __future__ import annotations

import asyncio

import pytest

from joyvl_server.core.errors import NotAllowed
from joyvl_server.ingest import hub
from joyvl_server.ingest.base import PullSpec
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.settings import MediaSettings

WELL = {"ok": True, "took_s": 0.1}


class Worker:
    """Answers no probe until it is told to."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()

    async def request(self, op: str, timeout_s: float, **fields: object) -> dict[str, object]:
        await self.answers.wait()
        return WELL


async def test_silent_probes_hold_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PROBE_WAIT_S", 0.2)
    media, worker = hub.MediaHub(MediaSettings(), NetPolicy()), Worker()
    monkeypatch.setattr(media, "_worker_for", lambda kind: worker)
    spec = PullSpec("rtsp://127.0.0.1/1")
    silent = [asyncio.create_task(media.probe(spec)) for _ in range(hub.PROBES_AT_ONCE)]
    await asyncio.sleep(0)
    more = await asyncio.gather(*(media.probe(spec) for _ in range(30)), return_exceptions=True)
    assert {(type(error), getattr(error, "code", "")) for error in more} == {(NotAllowed, "probes_busy")}
    worker.answers.set()
    assert all(report.ok for report in await asyncio.gather(*silent))
    assert (await media.probe(spec)).ok
    await media.aclose()
