"""The engine of `joyvl bench tick`: an HTTP server that answers every chat completion with silence, at once.

Run as a process of its own; prints its port. It reads a request as far as it must and judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import signal

CHUNK = json.dumps(
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "</silence>"}, "finish_reason": None}]}
)
LAST = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
BODY = f"data: {CHUNK}\n\ndata: {LAST}\n\ndata: [DONE]\n\n".encode()
MODELS = json.dumps({"object": "list", "data": [{"id": "instant", "object": "model"}]}).encode()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(
                (int(x.split(":")[1]) for x in head.lower().split("\r\n") if x.startswith("content-length:")), 0
            )
            await reader.readexactly(length)
            kind, body = ("text/event-stream", BODY) if head.startswith("POST") else ("application/json", MODELS)
            writer.write(
                f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    # A chunk of context goes in one body: several megabytes of pictures.
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
