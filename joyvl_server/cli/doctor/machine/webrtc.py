"""Calls: the addresses that browsers are told, whether UDP works on them, their ports, and a call to itself."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aioice.ice import get_host_addresses
from aiortc import RTCConfiguration, RTCPeerConnection

from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.ingest.advertised import SystemNames
from joyvl_server.ingest.webrtc.udp_ports import UdpPorts
from joyvl_server.kit.net.addresses import parse_address
from joyvl_server.settings import Settings, is_loopback

ECHO_S, CALL_S = 3.0, 20.0
CONTAINERS = (Path("/.dockerenv"), Path("/run/.containerenv"))
INTERFACES = Path("/sys/class/net")
BRIDGES = ipaddress.ip_network("172.16.0.0/12")
ADVERTISE = (
    "With compose.yaml name the host's address in JOYVL_HOSTNAMES. Else set webrtc.advertised_addresses to it and "
    "webrtc.udp_ports to ports that the container publishes, or use the host's network (docs/docker.md)."
)


class HostNetwork:
    """The addresses of this machine, and whether UDP works on them. Both block."""

    def addresses(self) -> list[str]:
        """Those that WebRTC offers; loopback and link-local ones are not among them."""
        return sorted(set(get_host_addresses(use_ipv4=True, use_ipv6=True)))

    def udp_fault(self, address: str) -> str:
        """Why a UDP packet does not get from this address to itself; empty where it does. Takes up to `ECHO_S`."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as trial:
                trial.settimeout(ECHO_S)
                trial.bind((address, 0))
                trial.sendto(b"joyvl", trial.getsockname())
                trial.recv(16)
        except TimeoutError:
            return "a packet to itself does not arrive"
        except OSError as error:
            return error.strerror or type(error).__name__
        return ""

    def free_ports(self, ports: tuple[int, int]) -> int:
        """How many of them a call could take now. Blocks for a moment."""
        return UdpPorts(ports).free(self.addresses())

    def lookup(self, name: str) -> list[str]:
        """Addresses of a name. Blocks. Raises `OSError`."""
        return SystemNames().addresses(name)

    def is_bridged(self) -> bool:
        """Is this a container with a network of its own? Then nobody elsewhere reaches its addresses."""
        if not any(marker.exists() for marker in CONTAINERS):
            return False
        try:
            others = [one for one in INTERFACES.iterdir() if one.name != "lo"]
            # One end of a cable of which the host has the other.
            return bool(others) and all(_number(one / "iflink") != _number(one / "ifindex") for one in others)
        except (OSError, ValueError):
            fours = [ipaddress.ip_address(address) for address in self.addresses() if ":" not in address]
            return bool(fours) and all(address in BRIDGES for address in fours)


def _number(file: Path) -> int:
    return int(file.read_text("ascii"))


class WebRtcCheck:
    """See `Check`."""

    name = "calls"
    limit_s = CALL_S + 15

    def __init__(self, settings: Settings, network: HostNetwork | None = None) -> None:
        self._settings = settings
        self._network = network or HostNetwork()

    async def run(self) -> Iterable[Finding]:
        addresses = await off_loop(self._network.addresses)
        if not addresses:
            return [
                problem(
                    "This machine has no network address but loopback: no browser can call, not even one here.",
                    "Bring its network up. In a container start it with a network (docs/docker.md).",
                )
            ]
        faults = {address: await off_loop(self._network.udp_fault, address) for address in addresses}
        bad = {address: why for address, why in faults.items() if why}
        if len(bad) == len(addresses):
            shown = "; ".join(f"{address}: {why}" for address, why in bad.items())
            return [
                problem(
                    f"No UDP packet comes through on any address of this machine ({shown}): calls get no picture.",
                    f"Allow UDP in the firewall of this machine ({self._port_words()}), and in the container's policy.",
                )
            ]
        found = [await self._call(addresses)]
        if bad:
            found.append(warning(f"UDP does not work on {', '.join(bad)}.", "Calls use the other addresses."))
        found += await self._ports()
        found += await self._advertised()
        found += self._reach()
        return found

    def _port_words(self) -> str:
        if self._settings.webrtc.udp_ports is None:
            return "ports 32768 to 60999, or those of net.ipv4.ip_local_port_range"
        return f"ports {self._settings.webrtc.udp_ports}"

    async def _ports(self) -> list[Finding]:
        """Whether the range has room for calls."""
        pair, text = self._settings.webrtc.port_pair, self._settings.webrtc.udp_ports
        if pair is None:
            return []
        count, free = pair[1] - pair[0] + 1, await off_loop(self._network.free_ports, pair)
        if not free:
            return [
                problem(
                    f"None of the UDP ports of calls ({text}) is free: the next call is refused.",
                    "Hang up a call, end the program that has them, or set webrtc.udp_ports to others.",
                )
            ]
        taken = f", {count - free} of them taken" if free < count else ""
        return [ok(f"Calls have {count} UDP {'ports' if count > 1 else 'port'} ({text}){taken}: one for each call.")]

    async def _advertised(self) -> list[Finding]:
        """What browsers are told in addition, and what is missing there."""
        told, found = [], []
        for entry in self._settings.webrtc.advertised_addresses:
            try:
                told += [entry] if parse_address(entry) else await off_loop(self._network.lookup, entry)
            except (OSError, UnicodeError):
                found.append(
                    warning(
                        f"{entry} of webrtc.advertised_addresses has no address: browsers are not told of it.",
                        "Write the address itself, or a name that this machine's name server knows.",
                    )
                )
        bridged = await off_loop(self._network.is_bridged)
        if told and not (bridged and all(map(is_loopback, told))):
            found.append(ok(f"Browsers are also told {', '.join(dict.fromkeys(told))}."))
        elif bridged:
            only = f"is told to browsers but {', '.join(dict.fromkeys(told))}" if told else "is advertised"
            found.append(
                warning(
                    "This is a container with a network of its own, whose addresses no browser elsewhere can reach, "
                    f"and nothing {only}.",
                    ADVERTISE,
                )
            )
        if told and bridged and self._settings.webrtc.udp_ports is None:
            found.append(
                warning(
                    "The UDP ports of calls can be any, and a container lets in only those that it publishes.",
                    "Set webrtc.udp_ports to the ports that the container publishes.",
                )
            )
        return found

    async def _call(self, addresses: list[str]) -> Finding:
        began = time.monotonic()
        try:
            async with asyncio.timeout(CALL_S):
                await call_itself()
        except TimeoutError:
            return problem(
                f"UDP works, and yet no connection of this machine to itself came about within {CALL_S:g} s.",
                "A firewall may let only some packets through: allow UDP between this machine's own addresses.",
            )
        except (OSError, ValueError, ConnectionError) as error:
            return problem(
                f"A call of this machine to itself failed: {error}.",
                "Check this machine's network and firewall.",
            )
        shown = ", ".join(addresses)
        return ok(f"A call to itself connects in {time.monotonic() - began:.1f} s; browsers are told {shown}.")

    def _reach(self) -> list[Finding]:
        """Whether people elsewhere can call at all."""
        server = self._settings.server
        found = []
        if is_loopback(server.host):
            found.append(
                skipped(
                    f"Whether others can call was not looked at: the server listens on {server.host} only.",
                    "For others set server.host to 0.0.0.0; phones also need HTTPS for their camera.",
                )
            )
        return found


async def call_itself() -> None:
    """Two peers of this process connect, with DTLS, and send one message. Cancelled, both are closed.

    Raises `OSError`, `ConnectionError`, `ValueError`.
    """
    peers = [RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2)]
    caller, called = peers
    arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(why: str | None = None) -> None:
        if not arrived.done():
            arrived.set_exception(ConnectionError(why)) if why else arrived.set_result(None)

    @caller.on("connectionstatechange")
    def changed() -> None:
        if caller.connectionState == "failed":
            end("no way was found between its own addresses")

    @called.on("datachannel")
    def opened(channel: Any) -> None:
        channel.on("message", lambda message: end())

    try:
        channel = caller.createDataChannel("doctor")
        channel.on("open", lambda: channel.send("joyvl"))
        await caller.setLocalDescription(await caller.createOffer())
        await called.setRemoteDescription(caller.localDescription)
        await called.setLocalDescription(await called.createAnswer())
        await caller.setRemoteDescription(called.localDescription)
        await arrived
    finally:
        for peer in peers:
            with suppress(ConnectionError, OSError):
                await peer.close()
