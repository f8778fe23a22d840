"""A media worker: a process that owns calls and cameras, and decodes what main does not.

    python -m joyvl_server.ingest.worker.process CONTROL_FD MEMORY_FD

Main starts it (see `media_worker`). It ends when main closes the connection, and dies with main.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from base64 import b64decode
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import av

from joyvl_server.core.errors import JoyvlError, SourceError
from joyvl_server.ingest.audio.source_sound import SourceSound
from joyvl_server.ingest.base import PullSpec
from joyvl_server.ingest.channel import Channel, Message
from joyvl_server.ingest.shared_frames import SharedFrames
from joyvl_server.ingest.worker.clips.cutting import cut
from joyvl_server.ingest.worker.clips.recorder import ClipRecorder
from joyvl_server.ingest.worker.clips.writer import ClipWriter
from joyvl_server.ingest.worker.config import WorkerConfig
from joyvl_server.ingest.worker.frame_slot import FrameSlot
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.lockstep import LockstepFile
from joyvl_server.ingest.worker.probe import probe
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.ingest.worker.pull import PullSource
from joyvl_server.ingest.worker.pushed import PushedSource
from joyvl_server.ingest.worker.reporter import ChannelReporter, send
from joyvl_server.kit.audio.pcm import Pcm

if TYPE_CHECKING:
    from joyvl_server.ingest.webrtc.call import WebRtcCall

    AnySource = PullSource | LockstepFile | PushedSource | WebRtcCall

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 3.0


@dataclass(slots=True)
class OpenSource:
    """`task` runs a call; pulled sources and files have threads of their own."""

    source: AnySource
    publisher: FramePublisher
    slot: FrameSlot
    sound: SourceSound
    task: asyncio.Task[None] | None = None


class WorkerProcess:
    """All sources of one process. Runs on one loop; each pull has a thread, a small pool encodes pictures."""

    def __init__(self, config: WorkerConfig, memory: SharedFrames, channel: Channel, group: asyncio.TaskGroup) -> None:
        self._config = config
        self._memory = memory
        self._channel = channel
        self._group = group
        self._loop = asyncio.get_running_loop()
        self._encoders = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="encoder")
        self._blocking = ThreadPoolExecutor(config.slots + 8, thread_name_prefix="blocking")
        self._clips = ClipWriter()
        self._sources: dict[str, OpenSource] = {}
        self._ops: dict[str, Callable[[Message], Awaitable[Message]]] = {
            "ping": self._ping,
            "prepare": self._prepare,
            "open": self._open,
            "answer": self._answer,
            "push": self._push,
            "look": self._look,
            "clip": self._clip,
            "close": self._close,
            "probe": self._probe,
            **{f"client.{op}": self._client for op in ("picture", "sound", "text")},
            **{f"audio.{op}": self._audio for op in ("listen", "play", "hold", "resume", "cut")},
        }

    async def serve(self) -> None:
        """Until main is gone or says so. Cancelled, it takes no more requests; those that run go on."""
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
        send(self._channel, {"id": message["id"], **reply})

    async def _ping(self, _: Message) -> Message:
        kept = [opened.publisher.clips for opened in self._sources.values()]
        size = sum(clips.size for clips in kept if clips is not None)
        pictures = {id: opened.publisher.count for id, opened in self._sources.items()}
        return {"sources": len(self._sources), "clip_bytes": size + self._clips.size, "pictures": pictures}

    async def _open(self, message: Message) -> Message:
        spec, config = PullSpec(**message["spec"]), self._config
        publisher = self._publisher(message["source"], clips=not spec.lockstep)
        sound = self._sound(message["source"], live=not spec.is_file)
        if spec.lockstep:
            file = LockstepFile(spec, config.policy, config.timeouts, publisher, sound.hearing)
            self._add(message, file, publisher, sound)
        else:
            pull = PullSource(
                spec, config.policy, config.timeouts, publisher, sound.hearing,
                zero=message["zero"], start=message["start"],
            )  # fmt: skip
            self._add(message, pull, publisher, sound)
            pull.start()
        return {}

    async def _prepare(self, _: Message) -> Message:
        await self._loop.run_in_executor(self._blocking, import_module, "joyvl_server.ingest.webrtc.call")
        return {}

    async def _answer(self, message: Message) -> Message:
        from joyvl_server.ingest.webrtc.call import WebRtcCall  # aiortc takes 40 MB: only for workers that hold calls

        publisher, sound = self._publisher(message["source"]), self._sound(message["source"])
        call = WebRtcCall(self._config, publisher, sound, ChannelReporter(self._channel, message["source"]))
        opened = self._add(message, call, publisher, sound)
        try:
            sdp = await call.answer(message["sdp"], message["advertised"])
        except BaseException:
            self._sources.pop(message["source"], None)
            sound.close()
            raise
        opened.task = self._group.create_task(self._run_call(call, message["source"], sound), name="call")
        return {"sdp": sdp}

    async def _push(self, message: Message) -> Message:
        publisher, sound = self._publisher(message["source"]), self._sound(message["source"])
        pushed = PushedSource(publisher, sound)
        self._add(message, pushed, publisher, sound)
        pushed.start()
        return {}

    async def _client(self, message: Message) -> Message:
        """What a client sends as data, or gets."""
        opened = self._sources.get(message["source"])
        if opened is None:
            raise SourceError("The source is not open here.", code="internal")
        await self._deliver(message, opened.source)
        return {}

    async def _deliver(self, message: Message, source: AnySource) -> None:
        if message["op"] == "client.text" and not isinstance(source, PullSource | LockstepFile | PushedSource):
            source.events.send(message["text"])
        elif message["op"] == "client.sound" and isinstance(source, PushedSource):
            source.hear(Pcm.from_base64(message["audio"], message["rate"]))
        elif message["op"] == "client.picture" and (pictures := getattr(source, "pictures", None)) is not None:
            pictures.take(b64decode(message["data"]), first=message["first"])
            if message["last"]:
                await self._loop.run_in_executor(self._blocking, pictures.show, pictures.whole())
        else:
            raise SourceError("This source has a track of its own for that.", code="not_pushed")

    async def _run_call(self, call: WebRtcCall, source_id: str, sound: SourceSound) -> None:
        try:
            await call.run()
        except Exception:  # this call's supervisor
            log.exception("a call failed in an unknown way")
        finally:
            self._sources.pop(source_id, None)
            sound.close()

    def _publisher(self, source_id: str, *, clips: bool = False) -> FramePublisher:
        config = self._config
        recorder = ClipRecorder(config.clips, self._clips) if clips and config.clips is not None else None
        return FramePublisher(ChannelReporter(self._channel, source_id), GreyHistory(config.grey_side), recorder)

    def _sound(self, source_id: str, *, live: bool = True) -> SourceSound:
        return SourceSound(ChannelReporter(self._channel, source_id), live=live)

    def _add(self, message: Message, source: AnySource, publisher: FramePublisher, sound: SourceSound) -> OpenSource:
        if message["source"] in self._sources:
            raise SourceError("The source is already open.", code="internal")
        slot = FrameSlot(publisher, message["slot"], self._config, self._memory)
        opened = self._sources[message["source"]] = OpenSource(source, publisher, slot, sound)
        return opened

    async def _look(self, message: Message) -> Message:
        opened = self._sources.get(message["source"])
        if opened is None:
            raise SourceError("The source is not open here.", code="internal")
        opened.publisher.history.wanted |= message["trail"]
        if isinstance(opened.source, LockstepFile):
            await self._loop.run_in_executor(self._blocking, opened.source.advance, message["at"])
        return {"sequence": await opened.slot.encode_newest(self._encoders, glance=message["glance"])}

    async def _clip(self, message: Message) -> Message:
        """It answers when the file is written, or when it is known that there is none."""
        opened = self._sources.get(message["source"])
        recorder = None if opened is None else opened.publisher.clips
        if recorder is None:
            raise SourceError("There is no clip: this source keeps none.", code="no_clips")
        return await cut(recorder, message)

    async def _audio(self, message: Message) -> Message:
        """It waits for nothing, so that such messages are obeyed in their order."""
        opened = self._sources.get(message["source"])
        if opened is None:
            raise SourceError("The source is not open here.", code="internal")
        opened.sound.obey(message)
        return {}

    async def _close(self, message: Message) -> Message:
        opened = self._sources.pop(message["source"], None)
        if opened is not None:
            await self._end(opened)
        return {}

    async def _end(self, opened: OpenSource) -> None:
        if isinstance(opened.source, PullSource | LockstepFile):
            await self._loop.run_in_executor(self._blocking, opened.source.close, CLOSE_TIMEOUT_S)
        elif isinstance(opened.source, PushedSource):
            opened.source.close()
        elif opened.task is not None:
            opened.source.hang_up()
            await asyncio.wait({opened.task}, timeout=CLOSE_TIMEOUT_S)
        if opened.publisher.clips is not None:
            opened.publisher.clips.close()
        opened.sound.close()
        await opened.slot.release()

    async def _probe(self, message: Message) -> Message:
        config = self._config
        report = await self._loop.run_in_executor(self._blocking, probe, message["url"], config.policy, config.timeouts)
        return asdict(report)

    async def aclose(self) -> None:
        """End all sources, each within `CLOSE_TIMEOUT_S`. Cancelled, it leaves their threads to the process's end."""
        opened = list(self._sources.values())
        self._sources.clear()
        await asyncio.gather(*map(self._end, opened))
        await self._loop.run_in_executor(self._blocking, self._clips.close, CLOSE_TIMEOUT_S)
        self._encoders.shutdown(wait=False, cancel_futures=True)
        self._blocking.shutdown(wait=False, cancel_futures=True)


class _Over(Exception):
    """Main is gone, or wants this worker to end."""


async def main(control_fd: int, memory_fd: int) -> None:
    """The process's work, until main is gone, closes the connection, or sends SIGTERM. Nobody cancels it."""
    channel = await Channel.over(socket.socket(fileno=control_fd))
    hello = await anext(channel.messages())
    config = WorkerConfig.from_dict(hello["config"])
    memory = SharedFrames(memory_fd, config.layout)
    os.close(memory_fd)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, channel.close)
    try:
        async with asyncio.TaskGroup() as group:
            worker = WorkerProcess(config, memory, channel, group)
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
    os._exit(0)  # a thread that still waits for a name server must not delay the end
