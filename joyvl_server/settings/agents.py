"""Settings of the agents that work on what is handed over."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from joyvl_server.settings.group import Group
from joyvl_server.settings.values import AgentName


class AgentEntry(Group):
    type: str = Field(description="Kind of agent, by its entry-point name: `acp` or `openai`.")
    about: str = Field("", description="What it is good at, in words: the model and people choose by it.")
    options: dict[str, Any] = Field(default_factory=dict, repr=False, description="See docs/agents.md.")


class AgentSettings(Group):
    default: str | None = Field(
        None, description="Agent that gets what nobody has chosen another one for. Null: the first of `entries`."
    )
    entries: dict[AgentName, AgentEntry] = Field(
        default_factory=dict,
        description="The agents by name, like `{codex: {type: acp, options: {preset: codex}}}`. Empty: none.",
    )
    at_once: int = Field(2, ge=1, le=16, description="Tasks that run at once.")
    session_at_once: int = Field(1, ge=1, le=16, description="Tasks of one session that run at once.")
    max_queued: int = Field(100, ge=1, le=10_000, description="Tasks that may wait; the server refuses more.")
    session_queued: int = Field(8, ge=1, le=1000, description="Tasks of one session that may wait.")
    timeout_s: float = Field(600.0, ge=5, le=86_400, description="Longest time that one task may run.")
    permission_timeout_s: float = Field(
        120.0, ge=5, le=3600, description="Seconds until a permission that nobody answers is denied."
    )
    same_s: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="Seconds in which the same question makes no second task once it is answered.",
    )
    frames: int = Field(6, ge=0, le=32, description="Pictures around the moment that an agent gets.")
    frames_s: float = Field(
        20.0, ge=1, le=300, description="How far back the first of these pictures may be, in seconds."
    )
    bundle_mb: float = Field(4.0, ge=0.1, le=64, description="Largest size of all pictures of one task, in MB.")
    kept: int = Field(10_000, ge=100, description="Ended tasks in the database; the server deletes the oldest beyond.")
    files_mb: int = Field(500, ge=1, description="Files of all tasks on disk, in MB; the oldest are deleted beyond it.")

    @model_validator(mode="after")
    def _check_default(self) -> AgentSettings:
        if self.default is not None and self.default not in self.entries:
            raise ValueError(f"agents.entries has no {self.default}")
        return self
