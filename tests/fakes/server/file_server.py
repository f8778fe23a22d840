"""A web server with files: ranges, redirects, and the faults that downloads meet."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager


class FileServer:
    """`files` by path. `cut_after`: bytes of a body after which the connection breaks, once for each entry."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.statuses: dict[str, list[int]] = {}
        self.cut_after: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str]] = []
        """path and range of each request"""
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                await self._answer(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ")[1]
        found = re.search(r"(?i)^range: bytes=(\d+)-", head, re.MULTILINE)
        begin = int(found[1]) if found else 0
        self.asked.append((path, found[0].split(":", 1)[1].strip() if found else ""))
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
            self._head(writer, 206, len(rest), f"Content-Range: bytes {begin}-{len(body) - 1}/{len(body)}")
        else:
            rest = body
            self._head(writer, 200, len(rest))
        if self.cut_after:
            writer.write(rest[: self.cut_after.pop(0)])
            await writer.drain()
            raise ConnectionResetError
        writer.write(rest)
        await writer.drain()

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
