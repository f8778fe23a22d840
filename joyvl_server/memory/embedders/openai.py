"""Embedder `openai`: any server with `/v1/embeddings`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import numpy as np

from joyvl_server.kit.masking import mask_text
from joyvl_server.kit.net import http
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.memory.base import EmbedderContext, EmbedderError, EmbedKind, Matrix
from joyvl_server.memory.embedders.options import OpenAIEmbedderOptions

WHERE = "memory.options.openai"
MAX_BODY = 16 * 1024 * 1024
MAX_REFUSAL = 65_536
MAX_DETAIL = 200
MAX_NUMBERS = 8192
"""of one vector"""


class OpenAIEmbedder:
    """Texts leave this machine where the server is another one."""

    def __init__(self, options: Mapping[str, Any], context: EmbedderContext) -> None:
        """Raises `ConfigError`."""
        self._options = validated(OpenAIEmbedderOptions, options, WHERE)
        self._secret = self._options.key(WHERE)
        self.name = f"openai:{self._options.model}"
        self.dimensions = 0
        self._prefix = {"query": self._options.query_prefix, "passage": self._options.passage_prefix}
        self._client = http.client(
            timeout_s=self._options.timeout_s,
            max_connections=4,
            headers={"authorization": f"Bearer {self._secret}"} if self._secret else None,
            verify=self._options.base_url.startswith("https:"),
        )

    async def embed(self, texts: Sequence[str], kind: EmbedKind = "passage") -> Matrix:
        """See `Embedder`. Cancelled, the request is given up at once."""
        body = {"model": self._options.model, "input": [self._prefix[kind] + text for text in texts]}
        try:
            async with asyncio.timeout(self._options.timeout_s):
                status, answer = await self._post(body)
        except TimeoutError:
            raise self._failed(f"took more than {self._options.timeout_s:g} s", "timeout") from None
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise self._failed(
                f"cannot be reached: {self._masked(str(error)) or type(error).__name__}", "unavailable"
            ) from None
        if status != 200:
            detail = self._masked(answer[:MAX_REFUSAL].decode("utf-8", "replace"))[:MAX_DETAIL]
            raise self._failed(f"answered {status}: {detail}", "embedder")
        found = _vectors(answer, len(texts))
        if found is None:
            raise self._failed("sent no vectors. Is it a server with /embeddings?", "embedder")
        self.dimensions = found.shape[1]
        return found

    async def aclose(self) -> None:
        """See `Embedder`."""
        await self._client.aclose()

    async def _post(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body. Raises `HTTPError`, `EmbedderError`."""
        request = self._client.build_request("POST", f"{self._options.base_url}/embeddings", json=body)
        response = await self._client.send(request, stream=True)
        try:
            answer = b""
            async for piece in response.aiter_bytes():
                answer += piece
                if len(answer) > MAX_BODY:
                    raise self._failed("sends more than any vectors have", "embedder")
            return response.status_code, answer
        finally:
            await response.aclose()

    def _masked(self, text: str) -> str:
        return mask_text(text.replace(self._secret, "***") if self._secret else text)

    def _failed(self, what: str, code: str) -> EmbedderError:
        return EmbedderError(f"The embedder at {self._options.base_url} {what}.", code=code)


def _vectors(answer: bytes, count: int) -> Matrix | None:
    """In the order of the texts, of length 1; None where the answer is another one."""
    try:
        rows = sorted(json.loads(answer)["data"], key=lambda row: int(row["index"]))
        found = np.array([row["embedding"] for row in rows], np.float32)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if found.ndim != 2 or len(found) != count or not 1 <= found.shape[1] <= MAX_NUMBERS or not np.isfinite(found).all():
        return None
    unit: Matrix = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return unit
