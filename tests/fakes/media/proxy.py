"""A line that can go silent: a TCP proxy on loopback that stops to forward without closing anything."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fakes.patience import PATIENCE_S


class SilentProxy:
    """While `silent`, nothing passes in either direction and nothing is closed; new connections are taken and held."""

    def __init__(self, port: int) -> None:
        self.base = ""
        self._target = port
        self._flowing = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    def silence(self) -> None:
        self._call(self._flowing.clear)

    def flow(self) -> None:
        """What was held goes on, as packets do that are sent again."""
        self._call(self._flowing.set)

    def _call(self, action: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(action)  # type: ignore[arg-type]

    async def run(self, started: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._flowing.set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        await self._over.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def stop(self) -> None:
        assert self._over is not None
        self._call(self._over.set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        except asyncio.CancelledError:
            writer.transport.abort()
            back.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
            await self._flowing.wait()
            sink.close()
        except OSError:
            sink.transport.abort()


@contextmanager
def silent_proxy(url: str) -> Iterator[SilentProxy]:
    """A proxy before the server at `url`, on a port of its own."""
    proxy, started = SilentProxy(int(url.rstrip("/").rpartition(":")[2])), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.run(started)), name="silent-proxy")
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the proxy did not stop"
