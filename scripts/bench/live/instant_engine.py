"""The engine of `joyvl bench tick` and `ingest`: an HTTP server that decides as vLLM with the 8B model does, at once.

It tells its context, tokenises, scores both markers (always silent), takes pictures by name and tells of cached tokens,
so that sessions work as they do with the real one. Run as a process of its own; prints its port.
"""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

from joyvl_server.core.prompt.turns import SILENCE
from joyvl_server.core.prompt.wire_format import RESPONSE

SILENCE_ID, RESPONSE_ID = 1, 2
FIRST_LETTER_ID = 100
MESSAGE_TOKENS, PICTURE_TOKENS = 30, 250
CONTEXT_TOKENS = 32_768
MODELS = {"object": "list", "data": [{"id": "instant", "object": "model", "max_model_len": CONTEXT_TOKENS}]}


def reply(path: str, body: bytes) -> dict[str, Any] | None:
    """The answer to one request; None where there is nothing at that path."""
    if path == "/v1/models":
        return MODELS
    if path not in ("/tokenize", "/v1/chat/completions"):
        return None
    asked: dict[str, Any] = json.loads(body)
    return {"tokens": _tokens(asked)} if path == "/tokenize" else _completion(asked)


def _tokens(asked: dict[str, Any]) -> list[int]:
    text = asked.get("prompt")
    if text is None:
        return [10 + n for n in range(_size(asked["messages"]))]
    if text in (SILENCE, RESPONSE):
        return [SILENCE_ID if text == SILENCE else RESPONSE_ID]
    return [FIRST_LETTER_ID + ord(text) - ord("A")] if len(text) == 1 else [10] * len(text.split())


def _size(messages: list[dict[str, Any]]) -> int:
    """Tokens of a prompt, by its messages and pictures."""
    parts = [part for m in messages if isinstance(m["content"], list) for part in m["content"]]
    pictures = len([part for part in parts if part["type"] == "image_url"])
    return MESSAGE_TOKENS * len(messages) + PICTURE_TOKENS * pictures


def _completion(asked: dict[str, Any]) -> dict[str, Any]:
    begun = bool(asked.get("continue_final_message"))
    messages = asked["messages"][: len(asked["messages"]) - begun]
    prompt = _size(messages) + begun
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": SILENCE},
        "finish_reason": "stop",
    }
    if ids := asked.get("logprob_token_ids"):
        top = [{"token": f"token_id:{token}", "logprob": -4.0 * at} for at, token in enumerate(ids)]
        choice["logprobs"] = {"content": [{"token": SILENCE, "logprob": 0.0, "top_logprobs": top}]}
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": 1,
        "total_tokens": prompt + 1,
        "prompt_tokens_details": {"cached_tokens": max(0, prompt - _size(messages[-1:]))},
    }
    return {"id": "instant", "object": "chat.completion", "choices": [choice], "usage": usage}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.lower().split("\r\n")
            length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
            found = reply(head.split(" ")[1], await reader.readexactly(length))
            body = json.dumps({} if found is None else found).encode()
            status = "404 Not Found" if found is None else "200 OK"
            writer.write(
                f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    # Where pictures are not known by name yet, a body has megabytes of them.
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
