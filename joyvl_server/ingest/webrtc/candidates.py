"""What a browser is told of where to send: our own addresses, on a port of the range, and those that are advertised."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aiortc import RTCPeerConnection
from aiortc.rtcicetransport import RTCIceTransport

from joyvl_server.ingest.webrtc.udp_ports import UdpPorts

RECEIVE_BUFFER = 262_144
"""Bytes; as aioice has it."""
ADVERTISED_PREFERENCE = 65_534
"""One less than our own addresses have: a browser that reaches these does not go through a router."""


async def gather_candidates(peer: RTCPeerConnection, ports: UdpPorts, advertised: Sequence[str]) -> None:
    """Open the sockets of a peer that has its remote description and no local one yet.

    It takes as many ports as the offer has transports: one where it bundles its media, as browsers do. Raises
    `SourceError` (no_udp_port). Then, or cancelled, what is open already ends with the peer.
    """
    for transport in _transports(peer):
        connection = transport.iceGatherer._connection
        # aioice lets the system choose the ports; this connection, and no other, asks us.
        own = _CallCandidates(connection, ports, advertised)
        connection.get_component_candidates = own.gather  # type: ignore[method-assign]
        await transport.iceGatherer.gather()


def _transports(peer: RTCPeerConnection) -> list[RTCIceTransport]:
    carrying = [transceiver.receiver.transport for transceiver in peer.getTransceivers()]
    if peer.sctp is not None:
        carrying.append(peer.sctp.transport)
    return list(dict.fromkeys(dtls.transport for dtls in carrying))


class _CallCandidates:
    def __init__(self, connection: Connection, ports: UdpPorts, advertised: Sequence[str]) -> None:
        self._connection = connection
        self._ports = ports
        self._advertised = advertised

    async def gather(self, component: int, addresses: list[str], timeout: int = 0) -> list[Candidate]:
        """In place of aioice's own; there is no server to wait for, so `timeout` is not needed."""
        waiting = self._ports.bind(list(dict.fromkeys(addresses)))
        found: list[Candidate] = []
        try:
            while waiting:
                found.append(await self._open(waiting[0], component))
                waiting.pop(0)
        finally:
            for left in waiting:
                left.close()
        if found:
            found += self._told(component, found[0].port, {candidate.host for candidate in found})
        return found

    async def _open(self, opened: socket.socket, component: int) -> Candidate:
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: StunProtocol(self._connection), sock=opened
        )
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        host, port = opened.getsockname()[:2]
        protocol.local_candidate = _candidate(component, host, port)
        self._connection._protocols.append(protocol)  # it closes them
        return protocol.local_candidate

    def _told(self, component: int, port: int, own: set[str]) -> list[Candidate]:
        told = [address for address in dict.fromkeys(self._advertised) if address not in own]
        return [_candidate(component, address, port, ADVERTISED_PREFERENCE) for address in told]


def _candidate(component: int, host: str, port: int, preference: int = 65_535) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host", preference),
        host=host,
        port=port,
        type="host",
    )
