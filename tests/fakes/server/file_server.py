"""A web server with files: ranges, redirects, and the faults that downloads meet."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager


class FileServer:
    """`files` by path. `cut_after`: bytes of a body after which the connection breaks, once for each entry."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.statuses: dict[str, list[int]] = {}
        self.cut_after: list[int] = []
        self.ranges = True
        self.range_status = 206
        self.break_after: int | None = None
        """bytes of a body of which nothing was fetched before, after which the connection breaks"""
        self.hold_after: int | None = None
        """bytes of a large body after which nothing more comes, until the client goes"""
        self.asked: list[tuple[str, str]] = []
        """path and range of each request"""
        self.tokens: dict[str, str] = {}
        """authorization by path, as it came last"""
        self.wanted_token: str | None = None
        """without it every path answers 401"""
        self.refuses_tokens = False
        """every path answers 401 where one is sent"""
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ")[1]
        found = re.search(r"(?i)^range: bytes=(\d+)-", head, re.MULTILINE)
        begin = int(found[1]) if found else 0
        self.asked.append((path, found[0].split(":", 1)[1].strip() if found else ""))
        given = re.search(r"(?i)^authorization: (.*?)\r?$", head, re.MULTILINE)
        self.tokens[path] = given[1] if given else ""
        if self.wanted_token is not None and self.tokens[path] != f"Bearer {self.wanted_token}":
            return self._head(writer, 401, 0)
        if self.refuses_tokens and self.tokens[path]:
            return self._head(writer, 401, 0)
        if self.statuses.get(path):
            return self._head(writer, self.statuses[path].pop(0), 0)
        if path in self.redirects:
            return self._head(writer, 302, 0, f"Location: {self.redirects[path]}")
        if path not in self.files:
            return self._head(writer, 404, 0)
        body = self.files[path]
        if found and self.ranges and begin >= len(body):
            return self._head(writer, 416, 0)
        if found and self.ranges:
            rest = body[begin:]
            self._head(
                writer, self.range_status, len(rest), f"Content-Range: bytes {begin}-{len(body) - 1}/{len(body)}"
            )
        else:
            rest = body
            self._head(writer, 200, len(rest))
        if self.hold_after is not None and len(rest) > self.hold_after:
            writer.write(rest[: self.hold_after])
            await writer.drain()
            return await self._until_gone(reader)
        if self.break_after is not None and not begin and len(rest) > self.break_after:
            writer.write(rest[: self.break_after])
            await writer.drain()
            raise ConnectionResetError
        if self.cut_after:
            writer.write(rest[: self.cut_after.pop(0)])
            await writer.drain()
            raise ConnectionResetError
        writer.write(rest)
        await writer.drain()

    @staticmethod
    async def _until_gone(reader: asyncio.StreamReader) -> None:
        await reader.read()
        raise ConnectionResetError

    @staticmethod
    def _head(writer: asyncio.StreamWriter, status: int, length: int, *more: str) -> None:
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {length}", *more]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())


@asynccontextmanager
async def file_server():
    files = FileServer()
    server = await asyncio.start_server(files.handle, "127.0.0.1", 0)
    async with server:
        files.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield files


@contextmanager
def file_server_in_a_thread() -> Iterator[FileServer]:
    """For commands, which bring a loop of their own."""
    loop, began, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    held = []

    async def serve():
        async with file_server() as server:
            held.append(server)
            began.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    began.wait()
    try:
        yield held[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
