"""What an agent is: it is given a question and what goes with it, works on it for seconds or minutes, and answers.

Agents are found through the entry-point group `joyvl.agents`: the entry is a callable `(AgentContext) -> Agent`. One
entry can serve several agents of the settings, each with a name and options of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.store.tasks import TaskOrigin

GROUP = "joyvl.agents"

PermissionKind = Literal["allow_once", "allow_always", "reject_once", "reject_always"]


class AgentError(JoyvlError):
    """The agent cannot be used, or did not answer.

    Codes: not_installed (a program is missing), login (it wants a login), unasked (it has no mode in which it asks),
    unavailable (it cannot be reached or started), refused (it will not do it), died, silent (no sign of life for too
    long), timeout, too_much (more output, time or memory than it may have), protocol (what it says makes no sense).
    """

    code = "agent"


@dataclass(frozen=True, slots=True)
class AgentContext:
    """`name`: of the agent in the settings; `options`: its own. `home`: a folder that stays, which is its HOME, so that
    nothing of the user's is read but what was put there (`joyvl agents login`)."""

    name: str
    options: Mapping[str, Any]
    home: Path
    clock: Clock
    policy: NetPolicy


@dataclass(frozen=True, slots=True)
class BundleFrame:
    """A picture of the scene: `t` in stream seconds, `wall` in Unix seconds, both of its capture."""

    jpeg: bytes = field(repr=False)
    t: float
    wall: float


@dataclass(frozen=True, slots=True)
class TaskBundle:
    """All that an agent is given. `origin`: who asked, where only the user's own words may give orders (`prompt.py`
    says so to the agent). `source`: what is watched, by name. `frames`: oldest first; the index of each, from 1
    on, is the one that texts speak of. `transcript`: what was said lately, oldest first. `memories`: what is remembered
    of it. `earlier`: question and answer of the task that this one follows up."""

    task_id: str
    question: str
    origin: TaskOrigin = "model"
    note: str = ""
    source: str = ""
    asked_wall: float = 0.0
    language: str = "en"
    frames: tuple[BundleFrame, ...] = ()
    transcript: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()
    earlier: tuple[tuple[str, str], ...] = ()
    agent_session: str | None = None
    """of that task, where the agent can go on with it"""
    session_id: str | None = None
    """of the session that it is about"""


@dataclass(frozen=True, slots=True)
class AgentProgress:
    """What it does now: one line, for people."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """More of its answer, Markdown."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event. `answer`: all of it, Markdown. `agent_session`: by which a follow-up goes on, where it can."""

    answer: str
    agent_session: str | None = None


AgentEvent = AgentProgress | AnswerDelta | Finished


@dataclass(frozen=True, slots=True)
class PermissionOption:
    id: str
    name: str
    kind: PermissionKind


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """`title`: what it wants to do, one line. `detail`: the command, the file and the like, as it will be done."""

    title: str
    detail: str
    options: tuple[PermissionOption, ...]


AskPermission = Callable[[PermissionRequest], Awaitable[str | None]]
"""Returns the id of the chosen option; None: denied. It waits for a person, or a timeout."""


@dataclass(frozen=True, slots=True)
class AgentReport:
    """What `check` found. `ready` False: `message` says in words what is missing and what to do. `version`: of the
    agent, where it tells. `sandbox`: what keeps it from doing harm, in words."""

    ready: bool
    message: str
    version: str = ""
    sandbox: str = ""


class Agent(Protocol):
    """Several tasks may run at once."""

    name: str

    async def check(self) -> AgentReport:
        """Is all there that it needs? Asks no model. Cancelled, nothing of it runs on."""

    def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission) -> AsyncGenerator[AgentEvent, None]:
        """Work on it in `folder`, which is empty, its own, and removed afterwards; files of the answer are left in it.

        Ends with `Finished`. Raises `AgentError`. Cancelled or closed early, everything it has started is ended before
        this returns.
        """

    async def aclose(self) -> None:
        """Idempotent. Cancelled, what runs is killed at once."""
