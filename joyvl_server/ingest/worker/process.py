"""A media worker: a process that owns calls and cameras, and decodes what main does not.

    python -m joyvl_server.ingest.worker.process CONTROL_FD ARENA_FD

Main starts it (see `media_worker`). It ends when main closes the connection, and dies with main.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from typing import Any

import av

from joyvl_server.core.errors import JoyvlError, SourceError
from joyvl_server.ingest.base import PullSpec
from joyvl_server.ingest.channel import Channel, Message
from joyvl_server.ingest.shared_frames import SharedFrames
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.frame_slot import FrameSlot
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.lockstep import LockstepFile
from joyvl_server.ingest.worker.newest import SourceReport, Tell
from joyvl_server.ingest.worker.probe import probe
from joyvl_server.ingest.worker.pull import PullSource

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 3.0


class WorkerProcess:
    """All sources of one process. Runs on one loop; each pull has a thread, pictures are made in a small pool."""

    def __init__(self, config: WorkerConfig, arena: SharedFrames, channel: Channel, group: asyncio.TaskGroup) -> None:
        self._config = config
        self._arena = arena
        self._channel = channel
        self._group = group
        self._loop = asyncio.get_running_loop()
        self._painters = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="painter")
        self._blocking = ThreadPoolExecutor(config.slots + 8, thread_name_prefix="blocking")
        self._held: dict[str, FrameSlot] = {}
        self._ops: dict[str, Callable[[Message], Awaitable[Message]]] = {
            "ping": self._ping,
            "prepare": self._prepare,
            "open": self._open,
            "answer": self._answer,
            "look": self._look,
            "close": self._close,
            "probe": self._probe,
        }

    async def serve(self) -> None:
        """Until main is gone or says so."""
        async for message in self._channel.messages():
            self._group.create_task(self._handle(message), name=f"op {message['op']}")

    async def _handle(self, message: Message) -> None:
        try:
            reply: Message = {"ok": await self._ops[message["op"]](message)}
        except JoyvlError as error:
            reply = {"error": {"code": error.code, "message": str(error)}}
        except Exception:  # the edge of one request: main gets an answer, the log the reason
            log.exception("request %s failed", message["op"])
            reply = {"error": {"code": "internal", "message": "The media worker failed. Its log says more."}}
        self._send({"id": message["id"], **reply})

    def _send(self, message: Message) -> None:
        with suppress(ConnectionError):
            self._channel.send(message)

    def _teller(self, source_id: str) -> Tell:
        def tell(report: SourceReport) -> None:
            with suppress(RuntimeError):  # the loop is closed: we are ending
                event = {"event": "state", "source": source_id, **report.to_dict()}
                self._loop.call_soon_threadsafe(self._send, event)

        return tell

    async def _ping(self, _: Message) -> Message:
        return {"sources": len(self._held)}

    async def _open(self, message: Message) -> Message:
        source_id, spec, config = message["source"], PullSpec(**message["spec"]), self._config
        tell, trail = self._teller(source_id), GreyHistory(config.grey_side)
        source: PullSource | LockstepFile
        if spec.lockstep:
            source = LockstepFile(spec, config.policy, config.timeouts, tell, trail)
        else:
            source = PullSource(
                spec, config.policy, config.timeouts, tell, trail,
                zero=message["zero"], start=message["start"],
            )  # fmt: skip
        self._hold(source_id, message["slot"], source, trail)
        if isinstance(source, PullSource):
            source.start()
        return {}

    async def _prepare(self, _: Message) -> Message:
        await self._loop.run_in_executor(self._blocking, import_module, "joyvl_server.ingest.webrtc.call")
        return {}

    async def _answer(self, message: Message) -> Message:
        from joyvl_server.ingest.webrtc.call import WebRtcCall  # aiortc takes 40 MB: only for workers that hold calls

        trail = GreyHistory(self._config.grey_side)
        call = WebRtcCall(self._config, self._teller(message["source"]), trail)
        held = self._hold(message["source"], message["slot"], call, trail)
        try:
            sdp = await call.answer(message["sdp"])
        except BaseException:
            self._held.pop(message["source"], None)
            raise
        running = self._group.create_task(self._run_call(call, message["source"]), name="call")
        held.ends_with(running, call.hang_up)
        return {"sdp": sdp}

    async def _run_call(self, call: Any, source_id: str) -> None:
        try:
            await call.run()
        except Exception:  # this call's supervisor
            log.exception("a call failed in an unknown way")
        finally:
            self._held.pop(source_id, None)

    def _hold(self, source_id: str, slot: int, source: Any, trail: GreyHistory) -> FrameSlot:
        if source_id in self._held:
            raise SourceError("The source is already open.", code="internal")
        held = self._held[source_id] = FrameSlot(source, trail, slot, self._config, self._arena)
        return held

    async def _look(self, message: Message) -> Message:
        held = self._held.get(message["source"])
        if held is None:
            raise SourceError("The source is not open here.", code="internal")
        held.trail.wanted = held.trail.wanted or message["trail"]
        if isinstance(held.source, LockstepFile):
            await self._loop.run_in_executor(self._blocking, held.source.advance, message["at"])
        return {"sequence": await held.look(self._painters, glance=message["glance"])}

    async def _close(self, message: Message) -> Message:
        held = self._held.pop(message["source"], None)
        if held is not None:
            await self._end(held)
        return {}

    async def _end(self, held: FrameSlot) -> None:
        if isinstance(held.source, PullSource | LockstepFile):
            await self._loop.run_in_executor(self._blocking, held.source.close, CLOSE_TIMEOUT_S)
        else:
            await held.hang_up(CLOSE_TIMEOUT_S)
        await held.settle()

    async def _probe(self, message: Message) -> Message:
        config = self._config
        report = await self._loop.run_in_executor(self._blocking, probe, message["url"], config.policy, config.timeouts)
        return asdict(report)

    async def aclose(self) -> None:
        held = list(self._held.values())
        self._held.clear()
        await asyncio.gather(*map(self._end, held))
        self._painters.shutdown(wait=False, cancel_futures=True)
        self._blocking.shutdown(wait=False, cancel_futures=True)


class _Over(Exception):
    """Main is gone, or told us to end."""


async def main(control_fd: int, arena_fd: int) -> None:
    channel = await Channel.over(socket.socket(fileno=control_fd))
    hello = await anext(channel.messages())
    config = WorkerConfig.from_dict(hello["config"])
    arena = SharedFrames(arena_fd, config.layout)
    os.close(arena_fd)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, channel.close)
    try:
        async with asyncio.TaskGroup() as group:
            worker = WorkerProcess(config, arena, channel, group)
            channel.send({"id": hello["id"], "ok": {"pid": os.getpid()}})
            await worker.serve()
            await worker.aclose()
            raise _Over  # ends what requests still run
    except* _Over:
        pass


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiortc").setLevel(logging.ERROR)  # a packet lost in the network is no news
    av.logging.set_level(None)  # libav's own words hold passwords
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # main decides when a worker ends
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that still waits for a name server must not hold up the end
