"""Engine `openai`: any OpenAI-compatible server over HTTP; with vLLM also scores, named pictures, begun answers."""

from __future__ import annotations

import asyncio

import structlog

from joyvl_server.core.errors import EngineError, EngineTimeout
from joyvl_server.engines.base import Capabilities, EngineEvents, EngineSettings, EngineSpec
from joyvl_server.engines.openai.abilities import Abilities
from joyvl_server.engines.openai.answers import make_formats
from joyvl_server.engines.openai.options import read_options
from joyvl_server.engines.openai.probe import Probe
from joyvl_server.engines.openai.server import Chat, ChatServer
from joyvl_server.engines.openai.server_state import ServerState, TokenUsage
from joyvl_server.engines.openai.session import OpenAISession

log = structlog.get_logger(__name__)


class OpenAIEngine:
    """See `Engine`, and docs/reference/engines.md for the options. Raises `ConfigError` when they are wrong.

    `chat` replaces the server named in the options; `abilities` that are given are not probed.
    """

    name = "openai"

    def __init__(
        self, settings: EngineSettings, *, chat: Chat | None = None, abilities: Abilities | None = None
    ) -> None:
        self._options = read_options(settings)
        self._formats = make_formats(self._options)
        self._chat: Chat = chat or ChatServer(self._options)
        self._server = ServerState(self._chat, self._options, abilities)
        self._given = abilities is not None
        self._sessions: set[OpenAISession] = set()

    @property
    def capabilities(self) -> Capabilities:
        return self._server.abilities.capabilities(self._options)

    @property
    def usage(self) -> TokenUsage:
        """What went over the wire since the engine was made: counters that only grow."""
        return self._server.usage

    async def open(self, spec: EngineSpec) -> OpenAISession:
        return OpenAISession(self._server, self._options, spec, self._formats, self._sessions)

    @property
    def doubted(self) -> bool:
        """It was not probed yet, or may be another one than the one that was."""
        return self._server.doubted

    def report_to(self, events: EngineEvents) -> None:
        """See `ReportsEvents`."""
        self._server.events = events

    async def probe(self) -> Capabilities:
        """Find out what the server and its model can do. Raises `EngineError` where nothing can be found out."""
        if self._given:
            return self.capabilities
        if not isinstance(self._chat, ChatServer):
            raise EngineError("This server cannot be probed.", code="engine_cannot")
        before = self._server.abilities
        abilities = await Probe(self._chat, self._options).run()
        self._server.probed(abilities)
        if abilities != before:
            log.info("engine probed", server=self._server.url, mode=abilities.mode, scoring=abilities.scoring)
            if abilities.note:
                log.warning("the engine lacks abilities", server=self._server.url, note=abilities.note)
        return self.capabilities

    async def check(self) -> str:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                names = await self._chat.models()
        except TimeoutError:
            raise EngineTimeout(f"{self._options.base_url} did not list its models in time.") from None
        wanted = self._options.model
        if not names or (wanted and wanted not in names):
            raise EngineError(
                f"{self._options.base_url} has no model {wanted!r}; it has: {', '.join(names[:10]) or 'none'}. "
                "Set `model` in engine.options.openai.",
                code="engine_model",
            )
        return f"{self._options.base_url} serves {wanted or names[0]}"

    async def aclose(self) -> None:
        for session in list(self._sessions):
            await session.aclose()
        await self._chat.aclose()
