"""A client of the reference's session API, written from what is known of the protocol: pictures in, decisions out."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import numpy as np

from joyvl_server.kit.jpeg import encode


def jpeg(shade: int = 128) -> bytes:
    return encode(np.full((90, 160, 3), shade, np.uint8)).jpeg


def shown(data: bytes, kind: str = "jpeg") -> dict[str, Any]:
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def user(*parts: dict[str, Any] | str) -> dict[str, Any]:
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"role": "user", "content": content}


class ReferenceClient:
    """`http` has the server's address (without `/v1`). Every call returns the response as it came."""

    def __init__(self, http: httpx2.AsyncClient, session: str | None = None) -> None:
        self.http = http
        self.headers = {} if session is None else {"x-streaming-session": session}

    async def look(
        self, *parts: dict[str, Any] | str, headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx2.Response:
        """One tick; without parts one grey picture."""
        body = {"model": "JoyAI-VL-Interaction", "messages": [user(*(parts or (shown(jpeg()),)))], **fields}
        return await self.post("/v1/chat/completions", body, headers)

    async def decide(self, *parts: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
        """The same; its JSON, which must be an answer."""
        answer = await self.look(*parts, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def reset(self, path: str = "/v1/streaming/reset", **body: Any) -> httpx2.Response:
        return await self.post(path, body)

    async def persona(self, persona: Any) -> httpx2.Response:
        return await self.post("/v1/streaming/persona", {"persona": persona})

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> httpx2.Response:
        return await self.http.post(path, json=body, headers={**self.headers, **(headers or {})})


def content(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])
