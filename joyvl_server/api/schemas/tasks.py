"""Tasks and agents as clients see them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from joyvl_server.agents.queue import MAX_QUESTION
from joyvl_server.api.schemas.common import MAX_PAGE, PageQuery, RequestModel, ResponseModel, printable
from joyvl_server.store.tasks import TaskStatus

Question = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUESTION),
    AfterValidator(printable),
    Field(examples=["Which parcel service was that, and when do they come again?"]),
]
Id = Annotated[str, StringConstraints(min_length=1, max_length=80)]
LongestId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class TaskIn(RequestModel):
    question: Question
    session_id: Id | None = Field(None, description="The session that it is about: its pictures and words go along.")
    camera_id: Id | None = Field(None, description="The same by its camera; give one of the two, or none.")
    agent: Id | None = Field(None, description="Null: the one that the question names (“codex: …”), else the default.")
    priority: int = Field(0, ge=-100, le=100, description="Of tasks that wait, the largest goes first.")
    timeout_s: float | None = Field(
        None, ge=5, le=86_400, description="Longest time that it may run, at most agents.timeout_s."
    )
    follows: Id | None = Field(None, description="A task that has ended; this one goes on with it.")

    @model_validator(mode="after")
    def _about_one(self) -> Self:
        if self.session_id is not None and self.camera_id is not None:
            raise PydanticCustomError("one_of_two", "Give session_id or camera_id, not both.")
        return self


class FollowUpIn(RequestModel):
    question: Question


class PermissionIn(RequestModel):
    option_id: LongestId | None = Field(description="One of the options that the agent offers. Null: denied.")


class TasksQuery(PageQuery):
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="At most this many, newest first.")
    session_id: str | None = Field(None, max_length=80)
    camera_id: str | None = Field(None, max_length=80)
    agent: str | None = Field(None, max_length=80)
    status: TaskStatus | None = None


class TaskFileOut(ResponseModel):
    name: str = Field(description="Its path; `/v1/tasks/{task_id}/files/{name}` downloads it.")
    bytes: int


class PermissionOptionOut(ResponseModel):
    id: str
    name: str
    kind: str = Field(description="allow_once, allow_always, reject_once or reject_always")


class PermissionOut(ResponseModel):
    """What an agent asks for. It waits until somebody answers; at `until` it is denied."""

    id: str
    title: str = Field(description="What it wants to do, one line.")
    detail: str = Field(description="The command, the file and the like.")
    options: list[PermissionOptionOut]
    until: str = Field(description="RFC 3339 time.")


class TaskFacts(ResponseModel):
    """What is told of a task wherever it is told."""

    id: str
    session_id: str | None
    camera_id: str | None
    agent: str
    status: TaskStatus = Field(description="waiting: for a permission")
    origin: str = Field(description="Who delegated it. model: the engine; user: a person or a program, over this API")
    question: str
    note: str = Field(description="What the engine said when it handed it over.")
    follows: str | None
    t: float | None = Field(description="Stream seconds of the moment that it is about.")
    created_at: str
    started_at: str | None
    ended_at: str | None
    progress: str = Field(description="What the agent does now, one line.")
    permission: PermissionOut | None = Field(description="What it asks for, while it waits.")
    digest: str = Field(description="A few words of it, plain text.")
    error: str | None = Field(description="Why there is no answer.")
    code: str | None = Field(description="The same as a stable word.")
    delivered: Literal["spoken", "shown"] | None = Field(description="How somebody was told of the outcome.")


class TaskOut(TaskFacts):
    answer: str = Field(description="Markdown. It was written by an agent: show it without active content.")
    files: list[TaskFileOut]


class TaskOutlineOut(TaskFacts):
    """As lists have it; `GET /v1/tasks/{task_id}` gives the answer and the names of its files."""

    answer_chars: int = Field(description="Length of the answer.")
    files_count: int
    files_bytes: int = Field(description="Size of all its files.")


class TasksOut(ResponseModel):
    data: list[TaskOutlineOut]
    next: str | None


class TaskLogLineOut(ResponseModel):
    at: str
    text: str = Field(description="One line. An agent wrote it, or it is what the agent asked for, with the answer.")


class TaskLogOut(ResponseModel):
    data: list[TaskLogLineOut]
    next: None


class AgentOut(ResponseModel):
    name: str
    type: str
    about: str
    default: bool = Field(description="It gets what nobody has chosen another one for.")


class AgentsOut(ResponseModel):
    data: list[AgentOut]
    next: None


class CheckOut(ResponseModel):
    """Whether an agent has all that it needs. No model was asked."""

    ready: bool
    message: str = Field(description="What is missing, and what to do.")
    version: str
    sandbox: str = Field(description="What keeps it from doing harm.")


class CheckedAgentOut(AgentOut):
    check: CheckOut
