"""JSON-RPC with one agent: requests in both directions, and a bound on everything it says."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol

from joyvl_server.agents.acp.lines import MessageLines
from joyvl_server.agents.acp.options import AcpLimits
from joyvl_server.agents.base import AgentError
from joyvl_server.kit.child import ChildProcess, Pipes
from joyvl_server.kit.clock import Clock, wait_until

NOT_FOUND, INVALID, AUTH_NEEDED = -32601, -32602, -32000
PIECE = 65_536
UNREAD = 64_000_000
"""bytes that it may leave unread; a prompt with pictures is shorter"""
ENDED_S = 1.0
"""how long its status is waited for once it has closed its output; and its output, once it has ended"""
LAST_WORDS = 2000
"""bytes of what it complained of last"""


class AgentFailure(AgentError):
    """It answered a request with an error. `number`: the one of JSON-RPC."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message, code="login" if number == AUTH_NEEDED else "refused")
        self.number = number


class Incoming(Protocol):
    async def notified(self, method: str, params: dict[str, Any]) -> None:
        """While this lasts nothing more is read."""

    def asked(self, request_id: int | str, method: str, params: dict[str, Any]) -> None:
        """Answer with `RpcConnection.answer` or `RpcConnection.refuse`, now or later."""


class RpcConnection:
    """`read` and `read_complaints` run as long as it lasts. `heard_at`: when it last said something."""

    def __init__(self, child: ChildProcess, pipes: Pipes, limits: AcpLimits, clock: Clock) -> None:
        self.heard_at = clock.monotonic()
        self._child = child
        self._pipes = pipes
        self._clock = clock
        self._lines = MessageLines(limits)
        self._last_id = 0
        self._open: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._closed = False
        self._complaints = bytearray()

    @property
    def complaints(self) -> str:
        """The end of what it wrote to its error output, else of what was no message."""
        return self._complaints.decode("utf-8", "replace").strip() or self._lines.last_stray

    async def request(self, method: str, params: dict[str, Any], within_s: float | None = None) -> dict[str, Any]:
        """Its result. Raises `AgentFailure`, `AgentError` (died, protocol; timeout, with `within_s`).

        Cancelled, the answer is dropped when it comes.
        """
        if self._closed:
            raise AgentError("It has ended.", code="died")
        self._last_id += 1
        request_id = self._last_id
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._open[request_id] = answered
        try:
            self._send({"id": request_id, "method": method, "params": params})
            if within_s is not None and not await wait_until(self._clock, answered, self._clock.monotonic() + within_s):
                raise AgentError(f"It did not answer {method} within {within_s:g} s.", code="timeout")
            return _result(await answered, method)
        finally:
            self._open.pop(request_id, None)

    def notify(self, method: str, params: dict[str, Any]) -> None:
        self._send({"method": method, "params": params})

    def answer(self, request_id: int | str, result: dict[str, Any]) -> None:
        self._send({"id": request_id, "result": result})

    def refuse(self, request_id: int | str, number: int, message: str) -> None:
        self._send({"id": request_id, "error": {"code": number, "message": message}})

    async def read(self, incoming: Incoming) -> None:
        """Until it has closed its output. Raises `AgentError` (too_much, protocol; died, while an answer is owed)."""
        while piece := await self._piece():
            self.heard_at = self._clock.monotonic()
            for message in self._lines.feed(piece):
                await self._take(message, incoming)
            await asyncio.sleep(0)  # a flood leaves the loop to others
        self._closed = True
        if any(not owed.done() for owed in self._open.values()):
            await asyncio.wait({self._child.exited}, timeout=ENDED_S)
            how = self._child.exited.result() if self._child.exited.done() else "it closed its output"
            raise AgentError(f"It died before it answered: {how}.", code="died")

    async def _piece(self) -> bytes:
        """What it prints next; empty at the end, also where others hold its output open after it has ended."""
        reading = asyncio.ensure_future(self._pipes.out.read(PIECE))
        try:
            waited: set[asyncio.Future[Any]] = {reading, self._child.exited}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await asyncio.wait({reading}, timeout=ENDED_S)
            return reading.result() if reading.done() else b""
        finally:
            reading.cancel()

    async def read_complaints(self) -> None:
        """Keep the end of its error output, until that is closed. Raises `AgentError` (too_much)."""
        while piece := await self._pipes.err.read(PIECE):
            self._lines.count(len(piece))
            self._complaints = (self._complaints + piece)[-LAST_WORDS:]
            await asyncio.sleep(0)

    async def _take(self, message: dict[str, Any], incoming: Incoming) -> None:
        method, request_id, params = message.get("method"), message.get("id"), message.get("params")
        known = params if isinstance(params, dict) else {}
        if not isinstance(method, str):
            answered = self._open.get(request_id) if type(request_id) is int else None
            if answered is not None and not answered.done():
                answered.set_result(message)
        elif request_id is None:
            await incoming.notified(method, known)
        elif isinstance(request_id, int | str):
            incoming.asked(request_id, method, known)

    def _send(self, message: dict[str, Any]) -> None:
        if self._child.unread > UNREAD:
            raise AgentError("It does not read what it is sent.", code="too_much")
        self._child.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def _result(message: dict[str, Any], method: str) -> dict[str, Any]:
    error = message.get("error")
    if isinstance(error, dict):
        number, words = error.get("code"), " ".join(str(error.get("message", "")).split())[:300]
        data = error.get("data")
        details = data.get("details") or data.get("message") if isinstance(data, dict) else data
        more = f" ({' '.join(details.split())[:300]})" if isinstance(details, str) else ""
        raise AgentFailure(f"It refused {method}: {words}{more}", number if isinstance(number, int) else 0)
    result = message.get("result")
    if result is None:
        return {}
    if not isinstance(result, dict):
        raise AgentError(f"Its answer to {method} makes no sense.", code="protocol")
    return result
