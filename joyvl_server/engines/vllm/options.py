"""The options of engine `vllm`: how its server is started. The rest goes to the engine `openai` in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from joyvl_server.core.errors import ConfigError
from joyvl_server.engines.openai.options import OpenAIOptions
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.settings import default_data_dir

WHERE = "engine.options.vllm"
MODEL = "jdopensource/JoyAI-VL-Interaction"
ENVIRONMENTS = "environments"
"""folder under the data folder"""

Quantization = Literal["auto", "none", "fp8", "int4"]

_SET_BY_US = ("base_url", "api_key", "api_key_file", "model")
"""Options of engine `openai` that follow from how the server was started."""
_FLAGS_OF_OURS = ("--host", "--port", "--api-key", "--model", "--served-model-name", "--uds")


class VllmOptions(BaseModel):
    """What stands under `engine.options.vllm`, beside options of engine `openai`. Times in seconds, sizes in GiB."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=())

    model: str = Field(MODEL, min_length=1, description="Name on the Hugging Face Hub, or a folder with the weights.")
    revision: str | None = Field(None, description="Branch, tag or commit of a model on the Hub.")
    python: Path | None = Field(
        None, description="Python of the environment that has vLLM; empty takes what `joyvl engine install` made."
    )
    environments_dir: Path = Field(
        default_factory=lambda: Path(os.environ.get("JOYVL_DATA_DIR") or default_data_dir()) / ENVIRONMENTS,
        description="Folder of the environments that `joyvl engine install` makes.",
    )
    device: Literal["auto", "cpu"] = Field("auto", description="`cpu` for vLLM's CPU build: to try things.")
    quantization: Quantization = Field(
        "auto",
        description=(
            "`fp8` makes 8-bit weights while loading, `none` leaves them as they are, `int4` says that `model` has "
            "4-bit weights already. `auto` looks at the weights and the card."
        ),
    )
    card_gb: float | None = Field(None, gt=0, le=2048, description="Memory of the card; empty asks the driver.")
    gpu_memory_utilization: float = Field(
        0.92, gt=0.05, le=1, description="Share of the card's memory that vLLM may take."
    )
    context_tokens: int | None = Field(
        None, ge=2048, le=262_144, description="Longest prompt with its answer; empty takes what the card holds."
    )
    sessions: int = Field(4, ge=1, le=256, description="Sessions at once to make room for.")
    max_pixels: int = Field(262_144, ge=65_536, le=16_777_216, description="Largest picture, in pixels.")
    mm_cache_gb: float | None = Field(
        None, ge=0, le=512, description="Main memory for pictures already sent, taken twice; empty: by `sessions`."
    )
    kv_cache_dtype: str | None = Field(None, description="Data type of the key-value cache, as vLLM names it.")
    chat_template: Path | None = Field(None, description="File with a chat template instead of the model's own.")
    port: int = Field(0, ge=0, le=65535, description="Port on loopback; 0 takes a free one.")
    start_timeout_s: float = Field(3600.0, gt=0, description="Longest start, with the download of the weights.")
    check_every_s: float = Field(5.0, gt=0, le=300, description="Pause between two health checks.")
    check_timeout_s: float = Field(30.0, gt=0, le=300, description="How long a health check may fail before a restart.")
    env: dict[str, str] = Field(default_factory=dict, description="Further environment variables of vLLM.")
    extra_args: tuple[str, ...] = Field((), description="Further flags of `vllm serve`; the last one of a name wins.")

    @field_validator("model")
    @classmethod
    def _find_folder(cls, value: str) -> str:
        """A folder becomes an absolute path; a name on the Hub stays."""
        if value.startswith(("/", "~", ".")):
            folder = Path(value).expanduser().absolute()
            if not (folder / "config.json").is_file():
                raise ValueError(f"there is no model in {folder}: it has no config.json")
            return str(folder)
        return value

    @field_validator("chat_template")
    @classmethod
    def _find_template(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        path = value.expanduser().absolute()
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
        return path

    @field_validator("extra_args")
    @classmethod
    def _check_extra_args(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for argument in value:
            if argument.partition("=")[0] in _FLAGS_OF_OURS:
                raise ValueError(f"must not hold {argument.partition('=')[0]}, which is the engine's own")
        return value

    @property
    def found_python(self) -> Path:
        """The Python that runs vLLM; it need not exist."""
        return (
            self.python.expanduser() if self.python else self.environments_dir.expanduser() / "vllm" / "bin" / "python"
        )

    @property
    def served_name(self) -> str:
        """How the model is called in requests: the last part of its name."""
        return self.model.rstrip("/").rpartition("/")[2]


def read_options(given: Mapping[str, object]) -> tuple[VllmOptions, dict[str, object]]:
    """Ours, and what is left for the engine `openai`. Raises `ConfigError`, never with a secret in it."""
    passed = {n: v for n, v in given.items() if n in OpenAIOptions.model_fields and n not in VllmOptions.model_fields}
    for name in _SET_BY_US:
        if name in passed:
            raise ConfigError(
                f"{WHERE}.{name}: the engine sets this itself, because it starts its own server; remove it."
            )
    known = [*VllmOptions.model_fields, *(n for n in OpenAIOptions.model_fields if n not in _SET_BY_US)]
    return validated(VllmOptions, {n: v for n, v in given.items() if n not in passed}, WHERE, known), passed
