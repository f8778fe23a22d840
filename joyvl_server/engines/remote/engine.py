"""Engine `remote`: a server with the interaction model's session API decides, one picture a tick."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import replace

import numpy as np
import structlog

from joyvl_server.core.errors import EngineError, EngineTimeout
from joyvl_server.engines.base import Capabilities, EngineSettings, EngineSpec
from joyvl_server.engines.remote.decision import read_decision
from joyvl_server.engines.remote.options import WHERE, read_options
from joyvl_server.engines.remote.server import RemoteServer
from joyvl_server.engines.remote.session import RemoteSession
from joyvl_server.kit.jpeg import encode

log = structlog.get_logger(__name__)

NO_SCORES = "The server decides itself: its decisions are yes or no, not scores, and it keeps a memory of its own."
UNREAD = "Its answer to a test picture was outside the protocol."


class RemoteEngine:
    """See `Engine`, and docs/reference/engines.md for the options. Raises `ConfigError` when they are wrong."""

    name = "remote"

    def __init__(self, settings: EngineSettings) -> None:
        self._options = read_options(settings)
        self._server = RemoteServer(self._options)
        self._sessions: set[RemoteSession] = set()
        self._capabilities = Capabilities(
            follows_instructions=True,
            needs_every_frame=True,  # it counts the pictures, and takes each for a second
            takes_back=False,  # the server keeps the conversation, and knows no such request
            mode="markers",
            parallel=self._options.parallel,
            note=NO_SCORES,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self, spec: EngineSpec) -> RemoteSession:
        return RemoteSession(self._server, self._options, spec, self._sessions)

    async def probe(self) -> Capabilities:
        """Let it decide about one picture. Raises `EngineError` where it does not."""
        name = f"joyvl-probe-{os.urandom(6).hex()}"
        ramp = np.repeat(np.linspace(0, 255, 256, dtype=np.uint8)[None, :, None], 256, axis=0)
        seconds = self._options.probe_timeout_s
        try:
            async with asyncio.timeout(seconds):
                if self._options.persona:
                    await self._server.be(name, self._options.persona)
                image = encode(np.repeat(ramp, 3, axis=2))
                answer = await self._server.look(name, image, 0.0, "", timeout_s=seconds)
        except TimeoutError:
            raise EngineTimeout(f"{self._server.url} decided nothing about a test picture in time.") from None
        decision = read_decision(answer)
        note = NO_SCORES if decision.garbage is None else f"{NO_SCORES} {UNREAD}"
        if note != self._capabilities.note:
            log.warning("the server answers outside the protocol", server=self._server.url, answer=decision.garbage)
        self._capabilities = replace(self._capabilities, note=note)
        with suppress(EngineError, TimeoutError):
            async with asyncio.timeout(self._options.connect_timeout_s):
                await self._server.reset(name)
        return self._capabilities

    async def check(self) -> str:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                names = await self._server.models()
        except TimeoutError:
            raise EngineTimeout(f"{self._server.url} did not list its models in time.") from None
        wanted = self._options.model
        if wanted and names and wanted not in names:
            raise EngineError(
                f"{self._server.url} has no model {wanted!r}; it has: {', '.join(names[:10])}. Set `model` in {WHERE}.",
                code="engine_model",
            )
        return f"{self._server.url} serves {wanted or next(iter(names), 'a model without a name')}"

    async def aclose(self) -> None:
        await asyncio.gather(*(session.aclose() for session in list(self._sessions)))
        await self._server.aclose()
