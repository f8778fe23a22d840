"""Calls: the addresses that browsers are told, whether UDP works on them, and a call of this machine to itself."""

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
from joyvl_server.settings import Settings, is_loopback

ECHO_S, CALL_S = 3.0, 20.0
DOCKER = Path("/.dockerenv")
BRIDGES = ipaddress.ip_network("172.16.0.0/12")


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
                    "Allow UDP in the firewall of this machine (ports 32768 to 60999, or those of "
                    "net.ipv4.ip_local_port_range), and in the container's policy.",
                )
            ]
        found = [await self._call(addresses)]
        if bad:
            found.append(warning(f"UDP does not work on {', '.join(bad)}.", "Calls use the other addresses."))
        found += self._reach(addresses)
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

    def _reach(self, addresses: list[str]) -> list[Finding]:
        """What the addresses mean for people elsewhere."""
        server = self._settings.server
        found = []
        bridged = [a for a in addresses if ":" not in a and ipaddress.ip_address(a) in BRIDGES]
        if DOCKER.exists() and len(bridged) == len([a for a in addresses if ":" not in a]):
            found.append(
                warning(
                    f"This is a container with the address {', '.join(bridged)}, which no browser elsewhere can reach.",
                    "Use the host's network, or advertise the host's address (docs/docker.md).",
                )
            )
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
