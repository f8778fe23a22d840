"""The long-term memory: does what finds memories by meaning work?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import httpx2

from joyvl_server.cli.doctor.report import Finding, ok, problem, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.net.http import client
from joyvl_server.memory.base import EmbedderError
from joyvl_server.memory.embedders.loading import DEFAULT, chosen_name, open_embedder
from joyvl_server.settings import Settings

EMBED_S = 40.0
CHROMA_S = 5.0


class MemoryCheck:
    """See `Check`. Embeds one sentence."""

    name = "memory"
    limit_s = EMBED_S + CHROMA_S + 10

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self) -> Iterable[Finding]:
        found = [await self._embedder()]
        if self._settings.memory.chroma_url is not None:
            found.append(await self._chroma(self._settings.memory.chroma_url))
        return found

    async def _embedder(self) -> Finding:
        name = await off_loop(chosen_name, self._settings)
        began = time.monotonic()
        try:
            async with asyncio.timeout(EMBED_S):
                embedder = await off_loop(open_embedder, self._settings, name)
                try:
                    loaded = time.monotonic()
                    vectors = await embedder.embed(["Somebody put a red cup on the table."], "query")
                finally:
                    await embedder.aclose()
        except (ConfigError, EmbedderError) as error:
            return problem(
                f"Memories cannot be found by meaning: {error}",
                "Fetch its weights (joyvl models list), or set memory.embedder to auto. Words are still found.",
            )
        except TimeoutError:
            return problem(f"The embedder {name} did not answer within {EMBED_S:g} s.", "Check its server or its disk.")
        if vectors.shape[0] != 1:
            return problem(f"The embedder {name} gives no vector.", "Check memory.options.")
        if name == DEFAULT:
            return ok("Memories are found by their words. By meaning: joyvl models get e5 (135 MB).")
        took = time.monotonic() - loaded
        limit_s = self._settings.memory.embed_timeout_s
        if took > limit_s:
            return warning(
                f"The embedder {name} took {took:.2f} s for a sentence; questions wait {limit_s:g} s.",
                "Raise memory.embed_timeout_s, or use a smaller embedder.",
            )
        return ok(
            f"The embedder {name} is there (loaded in {loaded - began:.1f} s, a sentence in {took * 1000:.0f} ms)."
        )

    async def _chroma(self, url: str) -> Finding:
        try:
            async with client(timeout_s=CHROMA_S) as http:
                answer = await http.get(url.rstrip("/") + "/api/v2/heartbeat")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            why = f"does not answer ({type(error).__name__})"
        else:
            why = "" if answer.is_success else f"answers {answer.status_code}"
        if why:
            return problem(
                f"The Chroma server {url} {why}: memories are searched one by one, slowly.",
                "Start it, or correct memory.chroma_url and memory.chroma_key.",
            )
        return ok(f"The Chroma server {url} answers.")
