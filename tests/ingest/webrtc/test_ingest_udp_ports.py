"""UDP ports of calls, and the addresses that browsers are told; with real sockets, and aiortc on both sides."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from aioice.ice import get_host_addresses
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from httpx import AsyncClient

from fakes.media.told import Told
from fakes.patience import PATIENCE_S, until
from fakes.server.house import KEY
from fakes.server.live_server import live_server
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.audio.source_sound import SourceSound
from joyvl_server.ingest.webrtc.call import WebRtcCall
from joyvl_server.ingest.webrtc.udp_ports import UdpPorts
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.kit.net.policy import NetPolicy

CONFIG = WorkerConfig(2, 65_536, 96, 85, 5, PATIENCE_S, PATIENCE_S, 2500, 1250, 4000, NetPolicy())
HERE, THERE = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def three() -> tuple[int, int]:
    """Three ports in a row that are free on every address, below those that the system hands out by itself."""
    for first in range(21_000, 30_000, 7):
        with ExitStack() as stack:
            try:
                for port in range(first, first + 3):
                    trial = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    trial.bind(("0.0.0.0", port))
            except OSError:
                continue
            return first, first + 2
    raise AssertionError("no ports are free")


def close(*opened: socket.socket) -> None:
    for one in opened:
        one.close()


def port_of(opened: list[socket.socket]) -> int:
    (port,) = {one.getsockname()[1] for one in opened}  # the same on all addresses
    return port


def refused(ports: UdpPorts, *addresses: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        ports.bind(addresses)
    assert caught.value.code == "no_udp_port"
    return caught.value


def test_each_call_has_a_port_of_its_own_until_all_are_taken(three: tuple[int, int]) -> None:
    mine, of_another_worker = UdpPorts(three), UdpPorts(three)
    calls = [mine.bind([HERE, THERE]), of_another_worker.bind([HERE, THERE]), mine.bind([HERE, THERE])]
    assert {port_of(call) for call in calls} == set(range(three[0], three[1] + 1))
    assert [one.getsockname()[0] for one in calls[0]] == [HERE, THERE]
    assert "All UDP ports for calls are taken (3, webrtc.udp_ports)" in str(refused(of_another_worker, HERE, THERE))
    assert mine.free([HERE, THERE]) == 0
    given_back = port_of(calls[1])
    close(*calls[1])
    assert mine.free([HERE, THERE]) == 1
    calls[1] = mine.bind([HERE, THERE])
    assert port_of(calls[1]) == given_back
    for call in calls:
        close(*call)


def test_a_port_that_a_program_has_on_one_address_is_passed_over(three: tuple[int, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((THERE, three[0] + 1))
        taken = [UdpPorts(three).bind([HERE, THERE]) for _ in range(2)]
        assert {port_of(call) for call in taken} == {three[0], three[1]}
        refused(UdpPorts(three), HERE, THERE)
        (alone,) = UdpPorts(three).bind([HERE])  # nothing is left open of the tries before
        close(alone, *taken[0], *taken[1])


def test_an_address_that_is_none_of_this_machine_is_left_out(three: tuple[int, int]) -> None:
    opened = UdpPorts(three).bind(["192.0.2.1", HERE])
    assert [one.getsockname()[0] for one in opened] == [HERE]
    close(*opened)
    assert "No UDP port can be opened for a call: Cannot assign" in str(refused(UdpPorts(three), "192.0.2.1"))
    assert UdpPorts(three).bind([]) == []


def test_without_a_range_the_system_chooses_one_port_for_all_addresses() -> None:
    opened = UdpPorts(None).bind([HERE, THERE])
    assert port_of(opened) > 1024
    close(*opened)


async def test_calls_that_begin_together_share_the_range_and_give_it_back(three: tuple[int, int]) -> None:
    callers = [Caller() for _ in range(4)]
    calls = [begin(three) for _ in range(4)]
    offers = [await caller.offer() for caller in callers]
    answers = await asyncio.gather(
        *(call.answer(offer, ["198.51.100.7"]) for call, offer in zip(calls, offers, strict=True)),
        return_exceptions=True,
    )
    (late,) = [n for n, answer in enumerate(answers) if isinstance(answer, SourceError)]
    assert answers[late].code == "no_udp_port"
    taken = [n for n in range(4) if n != late]
    told = [candidates(answers[n]) for n in taken]
    for candidate in told:
        (port,) = {port for _, port, _ in candidate}  # one for all media and all addresses
        assert three[0] <= port <= three[1]
        assert [host for host, _, _ in candidate].count("198.51.100.7") == 1
        preferred = max(candidate, key=lambda one: one[2])
        assert preferred[0] != "198.51.100.7"  # a browser that reaches our own address takes that one
    assert len({candidate[0][1] for candidate in told}) == 3
    running = [asyncio.create_task(calls[n].run()) for n in taken]
    for n in taken:
        await callers[n].peer.setRemoteDescription(RTCSessionDescription(answers[n], "answer"))
    await until(lambda: all(calls[n].newest is not None for n in taken))
    calls[taken[0]].hang_up()
    await asyncio.wait_for(running[0], PATIENCE_S)
    assert UdpPorts(three).free(own_addresses()) == 1
    again = begin(three, call_timeout_s=0.5)
    await again.answer(offers[late], [])  # the port of the call that was hung up
    for n in taken[1:]:
        await callers[n].peer.close()  # the other side hangs up
    await asyncio.wait_for(asyncio.gather(*running[1:]), PATIENCE_S)
    await asyncio.wait_for(again.run(), PATIENCE_S)  # its browser was killed before it connected
    assert UdpPorts(three).free(own_addresses()) == 3
    await asyncio.gather(*(caller.peer.close() for caller in callers))


async def test_a_call_that_gives_up_in_the_middle_gives_its_ports_back(
    three: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, call, bound, bind = Caller(), begin(three), asyncio.Event(), UdpPorts.bind

    def bind_and_tell(ports: UdpPorts, addresses: Sequence[str]) -> list[socket.socket]:
        bound.set()
        return bind(ports, addresses)

    monkeypatch.setattr(UdpPorts, "bind", bind_and_tell)
    answering = asyncio.create_task(call.answer(await caller.offer(), []))
    await asyncio.wait_for(bound.wait(), PATIENCE_S)
    assert UdpPorts(three).free(own_addresses()) < 3
    assert not answering.done()
    answering.cancel()
    await asyncio.wait({answering})
    assert answering.cancelled()
    assert UdpPorts(three).free(own_addresses()) == 3
    await caller.peer.close()


@pytest.mark.processes
async def test_over_http_the_next_call_is_refused_until_one_hangs_up(three: tuple[int, int], tmp_path: Path) -> None:
    webrtc = {"udp_ports": str(three[0]), "advertised_addresses": ["198.51.100.7"]}
    caller = Caller()
    offer, headers = await caller.offer(), {"Authorization": f"Bearer {KEY}", "Content-Type": "application/sdp"}
    async with (
        live_server(tmp_path, webrtc=webrtc, speech={"asr": "off", "tts": "off"}) as server,
        AsyncClient(base_url=server.url, headers=headers, timeout=PATIENCE_S) as client,
    ):
        for _ in range(2):
            taken = await client.post("/v1/realtime/calls", content=offer)
            assert taken.status_code == 201, taken.text
            assert ("198.51.100.7", three[0]) in {(host, port) for host, port, _ in candidates(taken.text)}
            full = await client.post("/v1/realtime/calls", content=offer)
            assert (full.status_code, full.json()["code"]) == (503, "no_udp_port")
            assert "Hang up another call first" in full.text
            assert full.headers["Retry-After"] == "30"
            await client.delete(taken.headers["Location"])
    await caller.peer.close()


def own_addresses() -> list[str]:
    return get_host_addresses(use_ipv4=True, use_ipv6=True)


def candidates(sdp: str) -> list[tuple[str, int, int]]:
    """Address, port and priority, each once."""
    found = re.findall(r"a=candidate:\S+ 1 udp (\d+) (\S+) (\d+) typ host", sdp)
    return list(dict.fromkeys((host, int(port), int(priority)) for priority, host, port in found))


def begin(ports: tuple[int, int], **config: float) -> WebRtcCall:
    told = Told()
    publisher = FramePublisher(told, GreyHistory(192))
    return WebRtcCall(replace(CONFIG, udp_ports=ports, **config), publisher, SourceSound(told), told)


class Caller:
    """A browser as aiortc plays it: webcam, microphone, a data channel."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peer.addTrack(VideoStreamTrack())
        self.peer.addTrack(AudioStreamTrack())
        self.peer.createDataChannel("events")

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp
