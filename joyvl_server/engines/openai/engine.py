"""Engine `openai`: any OpenAI-compatible server over HTTP; with vLLM also scores, named pictures, begun answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from joyvl_server.core.errors import EngineError, EngineTimeout
from joyvl_server.engines.base import Capabilities, EngineSettings, EngineSpec
from joyvl_server.engines.openai.abilities import Abilities
from joyvl_server.engines.openai.options import read_options
from joyvl_server.engines.openai.probe import Probe
from joyvl_server.engines.openai.reading import make_wires
from joyvl_server.engines.openai.server import Chat, ChatServer
from joyvl_server.engines.openai.session import OpenAISession
from joyvl_server.engines.openai.shared import ServerState, TokenUsage

PROBE_PAUSE_S = 30.0
"""A server in doubt is probed again at most this often."""

log = structlog.get_logger(__name__)


class OpenAIEngine:
    """See docs/reference/engines.md for the options. Raises `ConfigError` when they are wrong.

    `chat` replaces the server named in the options; `abilities` that are given are not probed.
    """

    name = "openai"

    def __init__(
        self, settings: EngineSettings, *, chat: Chat | None = None, abilities: Abilities | None = None
    ) -> None:
        self._options = read_options(settings)
        self._wires = make_wires(self._options)
        self._chat: Chat = chat or ChatServer(self._options)
        self._link = ServerState(self._chat, self._options, abilities)
        self._link.answered = self._answered
        self._link.changed = lambda: self.on_change()
        self.on_change: Callable[[], None] = lambda: None
        self._given = abilities is not None
        self._sessions: set[OpenAISession] = set()
        self._wanted = False
        """somebody asked for a probe: from then on it is repeated whenever the server is in doubt"""
        self._probing: asyncio.Task[Abilities] | None = None
        self._last_probe = float("-inf")
        self._closed = False

    @property
    def capabilities(self) -> Capabilities:
        return self._link.abilities.capabilities(self._options)

    @property
    def usage(self) -> TokenUsage:
        """What went over the wire since the engine was made: counters that only grow."""
        return self._link.usage

    async def open(self, spec: EngineSpec) -> OpenAISession:
        session = OpenAISession(self._link, self._options, spec, self._wires, self._sessions.discard)
        self._sessions.add(session)
        return session

    async def probe(self) -> Capabilities:
        """Raises `EngineError` where nothing can be found out; once the server answers, it is done all by itself."""
        self._wanted = not self._given
        if not self._given:
            await asyncio.shield(self._probe())
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
        self._answered()
        return f"{self._options.base_url} serves {wanted or names[0]}"

    async def aclose(self) -> None:
        self._closed = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        for session in list(self._sessions):
            await session.aclose()
        await self._chat.aclose()

    def _answered(self) -> None:
        """The server is there. Is it still the one that was probed?"""
        if not (self._wanted and self._link.doubted) or self._closed:
            return
        if asyncio.get_running_loop().time() - self._last_probe >= PROBE_PAUSE_S:
            self._probe()

    def _probe(self) -> asyncio.Task[Abilities]:
        """The probe that runs, or a new one; `aclose` ends it."""
        if self._probing is None or self._probing.done():
            self._last_probe = asyncio.get_running_loop().time()
            self._probing = asyncio.ensure_future(self._find_out())
            self._probing.add_done_callback(_look)
        return self._probing

    async def _find_out(self) -> Abilities:
        if not isinstance(self._chat, ChatServer):
            raise EngineError("This server cannot be probed.", code="engine_cannot")
        before = self._link.abilities
        abilities = await Probe(self._chat, self._options).run()
        self._link.probed(abilities)
        if abilities != before:
            log.info("engine probed", server=self._link.url, mode=abilities.mode, scoring=abilities.scoring)
            if abilities.note:
                log.warning("what the engine lacks", server=self._link.url, note=abilities.note)
            self.on_change()
        return abilities


def _look(probing: asyncio.Task[Abilities]) -> None:
    """A probe that nobody waits for may fail: the next good answer begins another."""
    if not probing.cancelled() and (error := probing.exception()) is not None:
        log.info("the engine could not be probed", error=str(error))
