"""One conversation with an agent: it is greeted, put into a mode in which it asks, and asked the question."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from acp.schema import AgentCapabilities, InitializeResponse
from pydantic import ValidationError

import joyvl_server
from joyvl_server.agents.acp.connection import INVALID, NOT_FOUND, AgentFailure, RpcConnection
from joyvl_server.agents.acp.modes import asks, choose_mode, offered_modes
from joyvl_server.agents.acp.permissions import is_allowed, outcome_of, permission_of
from joyvl_server.agents.acp.program import AgentProgram
from joyvl_server.agents.acp.updates import SessionUpdates
from joyvl_server.agents.base import AgentError, AgentEvent, AskPermission, Finished
from joyvl_server.agents.visible_text import one_line
from joyvl_server.kit.clock import Clock

VERSION = 1
AT_ONCE = 16
"""permissions that are asked for at the same time; more are cancelled"""
CUT_SHORT = {"max_tokens": "its model's limit of words", "max_turn_requests": "its limit of steps"}
ABILITIES = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}


class AgentEvents(Protocol):
    async def put(self, event: AgentEvent, /) -> None:
        """Hand it on. May wait until somebody takes notice."""


class AcpConversation:
    """Takes what comes in on `connection`. Questions to people run in `group`; `end_asking` ends those still open."""

    def __init__(
        self,
        connection: RpcConnection,
        program: AgentProgram,
        clock: Clock,
        ask: AskPermission,
        events: AgentEvents,
        group: asyncio.TaskGroup,
    ) -> None:
        self.version = ""
        self._connection = connection
        self._preset = program.preset
        self._options = program.options
        self._clock = clock
        self._ask = ask
        self._events = events
        self._group = group
        self._updates = SessionUpdates(program.preset.warnings)
        self._abilities = AgentCapabilities()
        self._session_id = ""
        self._ready_by = 0.0
        self._mode: str | None = None
        self._works = False
        self._denied = False
        self._asked = 0
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def heard_at(self) -> float:
        """See `watch.Watched`."""
        return self._clock.monotonic() if self._asking else self._connection.heard_at

    @property
    def sees(self) -> bool:
        """Does it take pictures?"""
        prompts = self._abilities.prompt_capabilities
        return bool(prompts is not None and prompts.image)

    async def open(self, folder: Path, before: str | None) -> None:
        """Until it is ready for a question, in a mode in which it asks. `before`: the session to go on with, if it can.

        Raises `AgentError` (unasked, timeout, login, protocol, died).
        """
        self._ready_by = self._clock.monotonic() + self._options.start_s
        greeting = {"protocolVersion": VERSION, "clientCapabilities": ABILITIES}
        greeting["clientInfo"] = {"name": "joyvl-server", "version": joyvl_server.__version__}
        try:
            hello = InitializeResponse.model_validate(await self._request("initialize", greeting))
        except ValidationError:
            raise AgentError("Its answer to initialize makes no sense.", code="protocol") from None
        if hello.protocol_version != VERSION:
            raise AgentError(f"It speaks version {hello.protocol_version} of the protocol, not 1.", code="protocol")
        self._abilities = hello.agent_capabilities or AgentCapabilities()
        self.version = one_line(hello.agent_info.version)[:100] if hello.agent_info is not None else ""
        opened = await self._session(str(folder), before)
        await self._set_mode(opened)

    async def prompt(self, blocks: list[dict[str, Any]]) -> Finished:
        """Ask, and wait for the end. Raises `AgentError` (refused, died, …). Cancelled, it is told to stop."""
        self._works = True
        try:
            ended = await self._connection.request("session/prompt", {"sessionId": self._session_id, "prompt": blocks})
        except asyncio.CancelledError:
            with suppress(AgentError):
                self._connection.notify("session/cancel", {"sessionId": self._session_id})
            raise
        return self._finished(ended.get("stopReason"))

    async def notified(self, method: str, params: dict[str, Any]) -> None:
        """See `Incoming`. What it repeats of an earlier session, while it loads that, is none of this answer."""
        update = params.get("update")
        if method != "session/update" or not isinstance(update, dict):
            return
        if not self._works:
            return
        event = self._updates.take(update)
        if update.get("sessionUpdate") == "current_mode_update":
            self._keep_mode()
        if event is not None:
            await self._events.put(event)

    def asked(self, request_id: int | str, method: str, params: dict[str, Any]) -> None:
        """See `Incoming`. Files and terminals of ours are not offered, so only permissions are asked for."""
        if method != "session/request_permission":
            self._connection.refuse(request_id, NOT_FOUND, "Method not found")
            return
        self._asked += 1
        if self._asked > self._options.limits.permissions:
            most = self._options.limits.permissions
            raise AgentError(f"It asked for more than {most} permissions: limits.permissions.", code="too_much")
        call = params.get("toolCall")
        if not isinstance(call, dict):
            self._connection.refuse(request_id, INVALID, "Invalid params")
        elif not self._works or len(self._asking) >= AT_ONCE:
            self._connection.answer(request_id, {"outcome": {"outcome": "cancelled"}})
        else:
            asking = self._group.create_task(self._ask_people(request_id, call, params.get("options")))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    def end_asking(self) -> None:
        for asking in self._asking:
            asking.cancel()

    # ---------------------------------------------------------------------------------------------------------- opening

    async def _request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """What it answers before it is ready, within what is left of the time for that."""
        try:
            return await self._connection.request(method, params, max(0.0, self._ready_by - self._clock.monotonic()))
        except AgentError as error:
            if error.code != "timeout":
                raise
            limit = f"{self._options.start_s:g} s (options.start_s)"
            raise AgentError(f"It was not ready within {limit}: it did not answer {method}.", code="timeout") from None

    async def _session(self, folder: str, before: str | None) -> dict[str, Any]:
        """A new one, or the earlier one where it can be loaded."""
        place: dict[str, Any] = {"cwd": folder, "mcpServers": []}
        if before is not None and self._abilities.load_session:
            with suppress(AgentFailure):  # it has forgotten it: the prompt tells what was said before
                opened = await self._request("session/load", {**place, "sessionId": before})
                self._session_id = before
                return opened
        opened = await self._request("session/new", place)
        session_id = opened.get("sessionId")
        if not isinstance(session_id, str) or not session_id:
            raise AgentError("Its answer to session/new makes no sense.", code="protocol")
        self._session_id = session_id
        return opened

    async def _set_mode(self, opened: dict[str, Any]) -> None:
        self._mode = choose_mode(offered_modes(opened), self._preset, self._options)
        if self._mode is None:
            return
        wanted = {"sessionId": self._session_id, "modeId": self._mode}
        try:
            await self._request("session/set_mode", wanted)
        except AgentFailure as error:
            raise AgentError(f"It cannot be put into its mode {self._mode}. {error}", code="unasked") from None

    def _keep_mode(self) -> None:
        """It changed its mode while it worked: only to one in which it asks, too."""
        now = self._updates.current_mode
        if now is None or now == self._mode or self._options.unasked or asks(now, self._preset):
            return
        raise AgentError(f"It changed to its mode {one_line(now)[:50]}, in which it may not ask.", code="unasked")

    # --------------------------------------------------------------------------------------------------------- working

    async def _ask_people(self, request_id: int | str, call: dict[str, Any], options: object) -> None:
        request = permission_of(self._updates.call(call), options, self._preset.unshown)
        if request is None:
            self._connection.answer(request_id, {"outcome": {"outcome": "cancelled"}})
            return
        chosen = await self._ask(request)
        self._denied |= not is_allowed(request, chosen)
        self._connection.heard_at = self._clock.monotonic()
        self._connection.answer(request_id, outcome_of(request, chosen))

    def _finished(self, reason: object) -> Finished:
        answer = self._updates.answer
        if reason == "refusal":
            said = f" It said: {answer[:500]}" if answer else ""
            raise AgentError(f"Its model refused to answer.{said}", code="refused")
        if self._denied and self._updates.ended_silently:
            raise AgentError("It was not allowed what it asked for, and gave no answer.", code="refused")
        if not answer:
            raise AgentError("It ended without an answer.", code="died")
        if isinstance(reason, str) and reason in CUT_SHORT:
            answer += f"\n\n(Cut short by {CUT_SHORT[reason]}.)"
        load = self._abilities.load_session
        return Finished(answer, self._session_id if load else None)
