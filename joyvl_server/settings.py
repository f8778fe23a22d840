"""Every setting, in one place. Flags win over environment (`JOYVL_…`), over one YAML file, over these defaults.

Nested names join with two underscores (`JOYVL_SERVER__PORT`); any secret may be given as a file with `_FILE` appended
(`JOYVL_SERVER__API_KEYS_FILE=/run/secrets/keys`, one key a line). What the REST API creates never lands here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from joyvl_server.core.errors import ConfigError


def default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "joyvl"


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(Group):
    host: str = Field("127.0.0.1", description="Address to listen on. Beyond loopback an API key is required.")
    port: int = Field(8099, ge=0, le=65535, description="TCP port; 0 lets the system choose one.")
    api_keys: list[SecretStr] = Field(
        default_factory=list, description="Keys that clients send as `Authorization: Bearer …`. Empty: no key asked, loopback only."
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Further Host names to answer to, beside loopback names and `server.host`; `*` answers to any.",
    )
    allowed_origins: list[str] = Field(
        default_factory=list, description="Origins of web pages elsewhere that may call the API, like `https://my.page`."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body, in bytes.")
    updates_backlog: int = Field(1024, ge=16, description="Updates kept per session for clients that resume.")
    shutdown_timeout_s: float = Field(10.0, gt=0, description="Seconds that running work may take to end on shutdown.")


class EngineSettings(Group):
    name: str = Field("motion", description="The engine of new sessions, by its entry-point name.")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Settings of each engine under its name, like `options: {openai: {base_url: …, model: …}}`. See docs/reference/engines.md.",
    )


class SessionSettings(Group):
    tick_s: float = Field(1.0, ge=0.1, le=60, description="Seconds from one decision to the next.")
    threshold: float = Field(0.5, ge=0, le=1, description="Speak when the score reaches this; lower is more talkative.")
    cooldown_s: float = Field(2.0, ge=0, description="Seconds after a remark in which another of the same kind is not said.")
    duplicate_window_s: float = Field(30.0, ge=0, description="Seconds in which the same words are not said again.")
    fidelity: Literal["faithful", "adaptive"] = Field(
        "faithful", description="What frames may cost: every frame in full, or less where the picture did not change."
    )
    query_ttl_s: float = Field(600.0, gt=0, description="Seconds after which an unanswered question is dropped.")
    context_tokens: int = Field(24_000, ge=2048, description="Token budget of one chunk of context.")
    chunk_s: float = Field(600.0, ge=10, description="Longest chunk of context, in stream seconds.")
    engine_timeout_s: float = Field(20.0, gt=0, description="Longest wait for one answer of the engine, in seconds.")
    max_sessions: int = Field(64, ge=1, description="Sessions at once; more are refused.")
    record_dir: Path | None = Field(None, description="Folder for input logs of every session, for `joyvl replay`. Off by default.")


class MediaSettings(Group):
    worker_cameras: int = Field(16, ge=1, le=64, description="Cameras per media worker process.")
    worker_calls: int = Field(8, ge=1, le=32, description="Browser calls per media worker process.")
    open_timeout_s: float = Field(8.0, gt=0, description="Seconds a source may take to open.")
    stall_timeout_s: float = Field(10.0, gt=0, description="Seconds without a picture after which a source counts as lost.")
    look_timeout_s: float = Field(0.5, gt=0, description="Seconds to wait for the newest picture of a source.")
    max_pixels: int = Field(262_144, ge=65_536, description="Largest picture given to engines and pages, in pixels; larger ones are scaled down.")
    jpeg_quality: int = Field(85, ge=30, le=100, description="JPEG quality, 30 to 100.")
    grey_side: int = Field(192, ge=64, le=512, description="Longer side of the small grey picture, in pixels.")
    file_roots: list[Path] = Field(
        default_factory=list, description="Folders whose files cameras may play. `DATA_DIR/media` is always one."
    )
    call_timeout_s: float = Field(20.0, gt=0, description="Seconds a call may take to connect, or be without packets, before it is hung up.")
    start_bitrate_kbps: int = Field(2500, ge=100, description="Bit rate at which browsers begin to send video.")
    min_bitrate_kbps: int = Field(1250, ge=50, description="Bit rate below which browsers do not go.")
    max_bitrate_kbps: int = Field(4000, ge=100, description="Bit rate browsers may reach.")


class NetSettings(Group):
    schemes: list[str] = Field(default_factory=lambda: ["rtsp", "file"], description="URL schemes that sources may use.")
    allow: list[str] = Field(default_factory=list, description="Networks or host names always allowed, like `192.168.1.0/24`.")
    deny: list[str] = Field(
        default_factory=list,
        description="Networks or host names never allowed. Link-local, metadata, multicast and unspecified addresses are always refused.",
    )


class LogSettings(Group):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least serious level that is logged.")
    format: Literal["auto", "text", "json"] = Field("auto", description="text on a terminal, JSON lines elsewhere.")


class Settings(BaseSettings):
    """All settings of one server. Build it with `load()`; tests may call it directly."""

    model_config = SettingsConfigDict(
        env_prefix="JOYVL_", env_nested_delimiter="__", extra="forbid", frozen=True, nested_model_default_partial_update=True
    )

    data_dir: Path = Field(default_factory=default_data_dir, description="Folder for the database and files.")
    demo: bool = Field(True, description="Register the drawn clip as camera `demo` when there is no camera yet.")
    server: ServerSettings = Field(default_factory=ServerSettings, description="Listening, keys, limits.")
    engine: EngineSettings = Field(default_factory=EngineSettings, description="What decides.")
    sessions: SessionSettings = Field(default_factory=SessionSettings, description="Ticks, sensitivity, context.")
    media: MediaSettings = Field(default_factory=MediaSettings, description="Sources, workers, pictures.")
    net: NetSettings = Field(default_factory=NetSettings, description="What sources may reach.")
    log: LogSettings = Field(default_factory=LogSettings, description="Logging.")
