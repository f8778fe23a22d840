"""Delegated tasks by the names of GPT-Live: told to a Realtime client, and carried on by one that runs an agent."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from joyvl_server.agents.client_agent import TYPE, ClientAgent
from joyvl_server.api.realtime.client_error import ClientError
from joyvl_server.api.realtime.events import Event
from joyvl_server.api.schemas.realtime_events import DelegationAppend
from joyvl_server.core.errors import ConfigError
from joyvl_server.sessions.session import Session

REMEMBERED = 256
OPEN = ("queued", "running", "waiting")


class ClientDelegations:
    """Of one client. `take` each update of its session; `append` what it says of a task."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._told: dict[str, None] = {}

    @contextmanager
    def present(self) -> Generator[None]:
        """The client is connected: who leaves, leaves its tasks to nobody."""
        agents = [self._agent(name) for name in self._session.delegation.queue.agents.names]
        with ExitStack() as stack:
            for agent in agents:
                if agent is not None:
                    stack.enter_context(agent.connected(self._session.id))
            yield

    def take(self, type: str, data: Mapping[str, Any]) -> list[Event]:
        """A task is told once, when an agent can work on it: what a client says of it counts from then on."""
        if type != "task.updated":
            return []
        task = data["task"]
        if task["status"] not in OPEN or task["id"] in self._told:
            return []
        by_client = self._agent(task["agent"]) is not None
        if by_client and not task["progress"]:
            return []
        self._told[task["id"]] = None
        while len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        delegation = {
            "id": task["id"],
            "type": "delegation",
            "target": "client" if by_client else "responses",
            "question": task["question"],  # GPT-Live has none: there the client hears the conversation itself
        }
        return [{"type": "session.delegation.created", "delegation": delegation, "offset_ms": self._now_ms}]

    async def append(self, said: DelegationAppend) -> Event:
        """What the client thinks is the progress of its task, the first that it comments is the answer.

        Raises `ClientError`, `NotFound`, `Conflict` where the task does not run, or was answered.
        """
        if said.delegation_id is None:
            raise ClientError("Only for a delegated task; add a message for what is general.", param="delegation_id")
        agent = await self._own(said.delegation_id)
        if said.type == "session.thinking.append":
            agent.progress(said.delegation_id, said.content)
        else:
            agent.finish(said.delegation_id, said.content)
        named = {} if said.event_id is None else {"client_event_id": said.event_id}
        return {"type": f"{said.type}ed", "start_ms": self._now_ms, "end_ms": self._now_ms, **named}

    async def _own(self, task_id: str) -> ClientAgent:
        """Who works on it. A client answers for tasks of its own session only."""
        task = await self._session.delegation.queue.records.get(task_id)
        if task.session_id != self._session.id:
            raise ClientError(f"There is no task {task_id} here.", "not_found", param="delegation_id")
        if (agent := self._agent(task.agent)) is None:
            sentence = "An agent of the server works on this task; only one of the type client is a client's."
            raise ClientError(sentence, "not_of_a_client", param="delegation_id")
        return agent

    def _agent(self, name: str) -> ClientAgent | None:
        queue = self._session.delegation.queue
        if queue.agents.kind(name) != TYPE:
            return None
        try:
            found = queue.agents.get(name)
        except ConfigError:  # its task says so
            return None
        return found if isinstance(found, ClientAgent) else None

    @property
    def _now_ms(self) -> int:
        return max(0, round(self._session.source.now * 1000))
