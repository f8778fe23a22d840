"""A `vllm serve` of our own under the supervisor: started when it is wanted, watched, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import httpx2
import structlog

from joyvl_server.core.errors import EngineLoading, EngineUnavailable
from joyvl_server.engines.vllm.card import GpuMemory, find_card
from joyvl_server.engines.vllm.failures import FailureDiagnosis
from joyvl_server.engines.vllm.flags import Plan, flags, plan
from joyvl_server.engines.vllm.options import VllmOptions
from joyvl_server.engines.vllm.progress import Download, Progress, Stage
from joyvl_server.kit.child import Launch
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.kit.net import http
from joyvl_server.kit.supervisor import Limits, Status, Supervisor
from joyvl_server.kit.virtualenvs import STAMP

log = structlog.get_logger(__name__)

POLL_S = 0.5
LONGEST_PAUSE_S = 300.0
"""Between two starts that failed: what kept the first from starting is seldom gone a second later."""
TELL_EVERY_S = 30.0


class ServerUser(Protocol):
    """Who uses the server."""

    async def warm_up(self) -> None:
        """Called on each new server once it is healthy, before it counts as ready; raises nothing.

        Cancelled when the start takes too long or the server ends meanwhile: that start has failed.
        """


class VllmProcess:
    """The process, how it is, and why it ended. Its address and key stay the same from start to start.

    `restarts` counts how often a server that was ready has been replaced by a new one: its caches were lost then.
    """

    name = "vllm"

    def __init__(self, options: VllmOptions, user: ServerUser | None = None, clock: Clock | None = None) -> None:
        self.restarts = 0
        self.plan: Plan | None = None
        self.progress = Progress()
        self.failure = ""
        """why the last one ended, a sentence; empty while none has"""
        self.port = options.port or free_port()
        self.key = secrets.token_urlsafe(32)
        self._options = options
        self._user = user
        self._clock: Clock = clock or SystemClock()
        limits = Limits(
            start_timeout_s=options.start_timeout_s,
            stop_timeout_s=10.0,
            check_every_s=options.check_every_s,
            check_timeout_s=options.check_timeout_s,
            cooldown_s=2.0,
            cooldown_max_s=LONGEST_PAUSE_S,
            stable_s=600.0,
            log_lines=100,
        )
        self._supervisor = Supervisor(self, limits, self._clock, on_line=self._heard)
        self._diagnosis = FailureDiagnosis(options.model)
        self._download = Download(options.model)
        self._client = http.client(timeout_s=5.0, verify=False, base_url=f"http://127.0.0.1:{self.port}")
        self._ready = False
        self._ready_before = False
        self._started = False
        self._ends = 0
        self._since = 0.0
        self._news = asyncio.Event()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def is_ready(self) -> bool:
        return self._ready

    @property
    def pid(self) -> int | None:
        return self._supervisor.pid

    @property
    def last_lines(self) -> list[str]:
        return self._supervisor.last_lines

    @property
    def started(self) -> bool:
        return self._started

    def start(self) -> None:
        """Begin, in the background. Once is enough."""
        if not self._started:
            self._started = True
            self._supervisor.start()

    async def wait(self) -> None:
        """Until it is ready, however long that takes. Raises `EngineUnavailable` when a start fails meanwhile.

        Cancelling it only ends the wait.
        """
        self.start()
        ends = self._ends
        while not self._ready:
            if self._ends != ends:
                raise EngineUnavailable(self.failure)
            await self._news.wait()

    def state(self) -> str:
        """How it is, as a sentence; empty when it is ready. May read a folder."""
        if self._ready:
            return ""
        if not self._started:
            return "vLLM is not running yet: the first session that uses it starts it."
        if self._supervisor.status is Status.STARTING and self._since:
            took = self._clock.monotonic() - self._since
            how = self.progress.sentence(self._download.so_far_gb())
            return f"vLLM is starting: {how} ({took:.0f} s so far)." + (
                f" Before that: {self.failure}" * bool(self.failure)
            )
        return f"{self.failure} It is started again after a pause.".strip()

    def check_ready(self) -> None:
        """Raises `EngineUnavailable` with the state, where it is not ready."""
        if not self._ready:
            raise self.not_ready()

    def not_ready(self) -> EngineUnavailable:
        """The error that says how it is; `EngineLoading` while it starts. May read a folder."""
        starting = self._started and self._supervisor.status is Status.STARTING and self._since > 0
        return EngineLoading(self.state()) if starting else EngineUnavailable(self.state())

    async def aclose(self) -> None:
        """End the process and all its children. Idempotent. Cancelled, it kills at once instead of waiting."""
        await self._supervisor.aclose()
        await self._client.aclose()

    async def look(self) -> Plan:
        """What a start would find: the environment, the card, the weights. Raises `EngineUnavailable`.

        Cancelling it changes nothing.
        """
        python = self._options.found_python
        if not await asyncio.to_thread(os.access, python, os.X_OK):
            raise EngineUnavailable(f"vLLM is not installed ({python} is not there). Run: joyvl engine install vllm")
        if self._options.python is None and not (python.parents[1] / STAMP).is_file():
            raise EngineUnavailable("vLLM's environment is not finished. Finish it with: joyvl engine install vllm")
        return plan(self._options, await self._card(), await asyncio.to_thread(read_config, self._options.model))

    async def describe(self) -> str:
        """What `look` finds, in words; never raises for what it finds. Cancelling it changes nothing."""
        try:
            made = await self.look()
        except EngineUnavailable as error:
            return str(error)
        capacity = f", room for {made.kv_tokens} tokens (calculated)" if made.kv_tokens else ""
        return f"{self._options.model} as {made.weights or 'it is'}, context {made.context_tokens} tokens{capacity}"

    # What the supervisor asks

    async def launch(self) -> Launch:
        """See `Service`."""
        self._since = self._clock.monotonic()
        self._diagnosis = FailureDiagnosis(self._options.model)
        self.progress = Progress()
        self.plan = await self.look()
        if not port_is_free(self.port):
            raise EngineUnavailable(
                f"Port {self.port} is taken by another program. Set another port in engine.options.vllm, or 0."
            )
        python = self._options.found_python
        arguments = flags(self._options, self.plan, self.port)
        log.info("vLLM starts", model=self._options.model, python=str(python), **asdict(self.plan))
        command = (str(python), "-I", "-m", "vllm.entrypoints.cli.main", "serve", *arguments)
        return Launch(command, self._environment(python), family=True)

    async def ready(self) -> None:
        """See `Service`."""
        telling = asyncio.create_task(self._tell(), name="progress of vllm")
        try:
            await self.check()
            if self._user is not None:
                self.progress = Progress(Stage.TRYING, kv_tokens=self.progress.kv_tokens)
                await self._user.warm_up()
        finally:
            telling.cancel()
        self.restarts += self._ready_before
        self._ready = self._ready_before = True
        self.failure = ""
        log.info("vLLM is ready", seconds=round(self._clock.monotonic() - self._since, 1), restarts=self.restarts)
        self._tell_all()

    async def check(self) -> None:
        """See `Service`. Bounded by the supervisor: one slow answer is no reason to end it."""
        while not await self._healthy():  # noqa: ASYNC110  # another process has no event to wait for
            await asyncio.sleep(POLL_S)

    def gone(self, reason: str) -> None:
        self._ready = False
        self._ends += 1
        launched = reason.removeprefix("it cannot be started: ")
        self.failure = launched if launched != reason else self._diagnosis.sentence(reason)
        if reason != "it was stopped":
            log.warning("vLLM is gone", why=self.failure, reason=reason)
        self._tell_all()

    def _heard(self, line: str) -> None:
        self._diagnosis.read(line)
        self.progress = self.progress.after(line)

    def _tell_all(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _tell(self) -> None:
        """Tell the log about a start that takes long: when the stage changes, and now and then in between."""
        told, at = "", self._clock.monotonic()
        while True:
            await asyncio.sleep(POLL_S)
            stage, now = str(self.progress.stage), self._clock.monotonic()
            if stage != told or now - at >= TELL_EVERY_S:
                told, at = stage, now
                log.info("vLLM is starting", state=await asyncio.to_thread(self.state))

    async def _healthy(self) -> bool:
        try:
            return (await self._client.get("/health")).status_code == 200
        except httpx2.HTTPError:
            return False

    async def _card(self) -> GpuMemory | None:
        if self._options.device == "cpu" or self._options.card_gb is not None:
            return None
        return await find_card()

    def _environment(self, python: Path) -> dict[str, str]:
        """What is added to ours. The key goes this way, because everybody may read a command line."""
        return {
            "VLLM_API_KEY": self.key,
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            **self._options.env,
        }


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the last one may linger
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def read_config(model: str) -> dict[str, Any]:
    """config.json of a model in a folder; empty for a name on the Hub and for what cannot be read."""
    try:
        found = json.loads((Path(model) / "config.json").read_text("utf-8")) if model.startswith("/") else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
