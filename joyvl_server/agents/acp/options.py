"""Options of an agent of type `acp`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from joyvl_server.kit.net.option_checks import check_base_url

PresetName = Literal["opencode", "codex", "claude", "openclaw", "custom"]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=())


class AcpModel(_Options):
    """A model server that the agent is to use, instead of what its login gives it."""

    base_url: str = Field(description="Address of the server, up to and with `/v1`.")
    name: str = Field(min_length=1, description="Name of the model.")
    api_key: SecretStr | None = Field(None, description="Key for it.")
    api_key_file: Path | None = Field(None, description="File that holds the key, instead of `api_key`.")
    images: bool = Field(True, description="Whether the model sees pictures.")

    _check_base_url = field_validator("base_url")(classmethod(lambda cls, value: check_base_url(value)))


class AcpLimits(_Options):
    """What a task may take of the machine; more than that ends it."""

    output_mb: float = Field(64, ge=0.1, le=4096, description="What the agent prints in one task, in MB.")
    line_mb: float = Field(4, ge=0.01, le=64, description="Longest line that it prints, in MB.")
    updates: int = Field(50_000, ge=10, description="Messages of one task.")
    permissions: int = Field(100, ge=1, description="Permissions that it may ask for in one task.")
    memory_mb: int = Field(4000, ge=50, description="Memory that all its processes hold, in MB.")
    disk_mb: int = Field(
        1000, ge=1, le=1_000_000, description="What lies in its task's folder, with what is new in its HOME, in MB."
    )
    file_mb: int = Field(500, ge=1, le=1_000_000, description="Largest file that it writes, in MB.")
    processes: int = Field(200, ge=2, description="Processes that it may have at once.")


class AcpOptions(_Options):
    preset: PresetName = Field("custom", description="Which agent it is: its command, login and settings follow.")
    command: tuple[str, ...] = Field((), description="Command that starts it; the preset's own where empty.")
    args: tuple[str, ...] = Field((), description="Further arguments of the command.")
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], SecretStr] = Field(
        default_factory=dict, description="Environment of it. Nothing of the server's own is passed on."
    )
    path: tuple[Path, ...] = Field((), description="Folders in which programs are looked for, before those of PATH.")
    model: AcpModel | None = Field(None, description="Model server that it uses. Null: what its login gives it.")
    mode: str | None = Field(None, description="Its mode, by its own id. Null: one in which it asks.")
    unasked: bool = Field(
        False, description="True: it may also run in a mode in which it does things without asking anybody."
    )
    sandbox: Literal["auto", "none"] = Field(
        "auto",
        description="`auto`: it writes in its task's folder and its HOME only, if the kernel can hold that (Landlock).",
    )
    writable: tuple[Path, ...] = Field((), description="Further folders in which it may write.")
    start_s: float = Field(120, ge=1, le=600, description="Longest time until it is ready for a question, in seconds.")
    silent_s: float = Field(
        180,
        ge=1,
        le=7200,
        description="Seconds without a sign of life that end it. Waiting for people does not count.",
    )
    limits: AcpLimits = Field(default_factory=AcpLimits, description="What a task may take of the machine.")

    @model_validator(mode="after")
    def _check_command(self) -> AcpOptions:
        if self.preset == "custom":
            if not self.command:
                raise ValueError("`command` is needed, or a preset: opencode, codex, claude, openclaw")
            if self.model is not None:
                raise ValueError("`model` is for presets; a custom agent has its own variables: `env`")
        if self.preset == "openclaw" and self.model is not None:
            raise ValueError("`model` cannot be set for openclaw: which one it uses is a setting of its gateway")
        return self
