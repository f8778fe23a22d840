"""Engine `vllm`: the engine `openai` with a server that we start, watch and start again ourselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import structlog

from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import ConfigError, EngineError
from joyvl_server.core.prompt.turns import Chunk, Draft, UserTurn
from joyvl_server.engines.base import (
    Capabilities,
    EngineEvents,
    EngineSession,
    EngineSettings,
    EngineSpec,
    Piece,
    Warmth,
)
from joyvl_server.engines.openai.engine import OpenAIEngine
from joyvl_server.engines.openai.server_state import TokenUsage
from joyvl_server.engines.vllm.options import WHERE, read_options
from joyvl_server.engines.vllm.process import VllmProcess
from joyvl_server.kit.clock import Clock

log = structlog.get_logger(__name__)


class VllmEngine:
    """See `Engine`, and docs/engines.md for the options. Raises `ConfigError` when they are wrong.

    The server starts with the first `probe` or `open`. Sessions may open before it is ready: their requests fail with
    `EngineUnavailable` and how far the start is, until it is there.
    """

    name = "vllm"

    def __init__(self, settings: EngineSettings, *, clock: Clock | None = None) -> None:
        self._options, passed = read_options(settings)
        self._process = VllmProcess(self._options, self, clock)
        ours = {
            "base_url": self._process.base_url,
            "api_key": self._process.key,
            "model": self._options.served_name,
        }
        usual = {"parallel": self._options.sessions, "priority": True}
        try:
            self.openai = OpenAIEngine({**usual, **passed, **ours})
        except ConfigError as error:
            raise ConfigError(str(error).replace("engine.options.openai", WHERE)) from None

    @property
    def restarts(self) -> int:
        """How often a ready server was replaced by a new one: each time all it had cached was lost."""
        return self._process.restarts

    @property
    def loading_s(self) -> float:
        """The longest start, the download of the weights included, in seconds."""
        return self._options.start_timeout_s

    @property
    def process(self) -> VllmProcess:
        return self._process

    @property
    def usage(self) -> TokenUsage:
        """What went over the wire since the engine was made: counters that only grow."""
        return self.openai.usage

    def report_to(self, events: EngineEvents) -> None:
        """See `ReportsEvents`."""
        self.openai.report_to(events)

    @property
    def capabilities(self) -> Capabilities:
        """What the model's own probe found, within what the server was started with; `note` says how the server is."""
        found, made = self.openai.capabilities, self._process.plan
        state = self._process.state()
        if made is not None:
            found = replace(
                found,
                context_tokens=found.context_tokens or made.context_tokens,
                cache_tokens=found.cache_tokens or self._process.progress.kv_tokens or made.kv_tokens,
                parallel=min(found.parallel, made.sequences),
            )
        return replace(found, note=" ".join(filter(None, (state, found.note))))

    async def open(self, spec: EngineSpec) -> VllmSession:
        self._process.start()
        return VllmSession(await self.openai.open(spec), self._process)

    async def probe(self) -> Capabilities:
        """Start it, wait until it is ready, and probe a server that is in doubt.

        Raises `EngineUnavailable`, a sentence, when a start fails. Cancelling it does not end the process.
        """
        await self._process.wait()
        if self.openai.doubted:
            await self.openai.probe()
        return self.capabilities

    async def check(self) -> str:
        if not self._process.started:
            return self._process.state()
        if not self._process.is_ready:
            raise await asyncio.to_thread(self._process.not_ready)
        again = f", started again {self.restarts} times" if self.restarts else ""
        return f"{await self.openai.check()} (process {self._process.pid}{again})"

    async def aclose(self) -> None:
        await self.openai.aclose()
        await self._process.aclose()

    async def warm_up(self) -> None:
        """See `ServerUser`. The first requests compile for many seconds."""
        try:
            await self.openai.probe()
        except EngineError as error:
            log.warning("vLLM is healthy, but trying it failed", why=str(error))


class VllmSession:
    """See `EngineSession`. One of the engine `openai`; a request is refused with the reason while the server is not
    ready."""

    def __init__(self, session: EngineSession, process: VllmProcess) -> None:
        self._session = session
        self._process = process

    async def begin(self, chunk: Chunk) -> None:
        await self._session.begin(chunk)

    async def append(self, turn: UserTurn) -> None:
        await self._session.append(turn)

    async def score(self) -> Score:
        self._process.check_ready()
        return await self._session.score()

    def say(self) -> AsyncIterator[str]:
        return self._session.say()

    async def choose(self, question: str, options: Sequence[str]) -> tuple[float, ...]:
        self._process.check_ready()
        return await self._session.choose(question, options)

    async def prepare(self, chunk: Chunk) -> None:
        await self._session.prepare(chunk)

    async def warm(self, tokens: int) -> Warmth:
        self._process.check_ready()
        return await self._session.warm(tokens)

    async def write(self, draft: Draft, so_far: str, tokens: int) -> Piece:
        self._process.check_ready()
        return await self._session.write(draft, so_far, tokens)

    async def settle(self, answer: str) -> None:
        await self._session.settle(answer)

    async def rollback(self) -> None:
        await self._session.rollback()

    async def aclose(self) -> None:
        await self._session.aclose()
