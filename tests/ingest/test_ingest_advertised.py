"""Names that browsers are told: looked up when a call begins, kept a minute, told once where they have no address."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from fakes.clock import ManualClock
from joyvl_server.ingest import advertised
from joyvl_server.ingest.advertised import KEPT_S, AdvertisedAddresses, SystemNames


class NameServer(SystemNames):
    def __init__(self, **known: list[str]) -> None:
        self.known = known
        self.asked: list[str] = []

    def addresses(self, name: str) -> list[str]:
        self.asked.append(name)
        if name not in self.known:
            raise OSError("Name or service not known")
        return self.known[name]


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    caplog.clear()
    return found


async def test_names_and_addresses_in_their_order_each_once() -> None:
    server = NameServer(nas=["192.168.1.10", "fd00::10"])
    told = AdvertisedAddresses(["203.0.113.4", "nas", "192.168.1.10"], ManualClock(), server)
    assert await told.now() == ["203.0.113.4", "192.168.1.10", "fd00::10"]
    assert await told.now()
    assert server.asked == ["nas"]


async def test_a_name_that_moves_is_looked_up_again_and_one_that_is_gone_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, server = ManualClock(), NameServer(home=["203.0.113.4"])
    told = AdvertisedAddresses(["home", "nowhere"], clock, server)
    assert await told.now() == ["203.0.113.4"]
    assert complaints(caplog) == ["nowhere of webrtc.advertised_addresses has no address: browsers are not told of it"]
    server.known = {"home": ["203.0.113.5"]}
    await clock.advance(KEPT_S + 1)
    assert await told.now() == ["203.0.113.5"]
    assert complaints(caplog) == []
    server.known = {}
    for _ in range(3):
        await clock.advance(KEPT_S + 1)
        assert await told.now() == ["203.0.113.5"]  # the last one known
    assert complaints(caplog) == [
        "home of webrtc.advertised_addresses has no address now: browsers are told 203.0.113.5, as before"
    ]
    server.known = {"home": ["203.0.113.6"], "nowhere": ["203.0.113.7"]}
    await clock.advance(KEPT_S + 1)
    assert await told.now() == ["203.0.113.6", "203.0.113.7"]
    assert len(complaints(caplog)) == 2


async def test_a_name_server_that_says_nothing_holds_a_call_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advertised, "LOOKUP_S", 0.05)
    over, asked = threading.Event(), []

    class Silent(SystemNames):
        def addresses(self, name: str) -> list[str]:
            asked.append(name)
            over.wait()
            return []

    told = AdvertisedAddresses(["slow", "192.168.1.10"], ManualClock(), Silent())
    assert await told.now() == ["192.168.1.10"]
    assert await told.now() == ["192.168.1.10"]
    assert asked == ["slow"]
    over.set()


async def test_calls_that_begin_together_wait_for_one_lookup(caplog: pytest.LogCaptureFixture) -> None:
    answered = threading.Event()

    class Slow(NameServer):
        def addresses(self, name: str) -> list[str]:
            answered.wait()
            return super().addresses(name)

    server = Slow(nas=["192.168.1.10"])
    told = AdvertisedAddresses(["nas"], ManualClock(), server)
    calls = [asyncio.create_task(told.now()) for _ in range(6)]
    await asyncio.sleep(0)
    calls[0].cancel()
    answered.set()
    assert await asyncio.gather(*calls[1:]) == [["192.168.1.10"]] * 5
    assert server.asked == ["nas"]
    assert complaints(caplog) == []


def test_the_machines_own_resolver() -> None:
    assert "127.0.0.1" in SystemNames().addresses("localhost")
