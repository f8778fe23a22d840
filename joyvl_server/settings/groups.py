"""The groups of settings, each with its defaults, bounds and words."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from joyvl_server.core.config import Fidelity
from joyvl_server.settings.values import Folder, FramesPerTick, Key, Language, Origin, ProxyNetwork, Rule, Scheme


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(Group):
    host: str = Field("127.0.0.1", description="Address to listen on. Beyond loopback an API key is required.")
    port: int = Field(8099, ge=0, le=65535, description="TCP port; 0 lets the system choose one.")
    api_keys: list[Key] = Field(
        default_factory=list,
        description="Keys that clients send as `Authorization: Bearer …`. Empty: no key asked, loopback only.",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Further Host names to answer to, beside loopback names and `server.host`; `*` answers to any.",
    )
    allowed_origins: list[Origin] = Field(
        default_factory=list,
        description="Origins of web pages elsewhere that may call the API, like `https://my.page`.",
    )
    trusted_proxies: list[ProxyNetwork] = Field(
        default_factory=list,
        description=(
            "Addresses or networks of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. "
            "Empty: nobody's."
        ),
    )
    max_connections: int = Field(
        1024,
        ge=8,
        description=(
            "Connections at once, at most half of the file descriptors the system grants. When all are taken, new "
            "clients get the place of the connection that has been idle longest."
        ),
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body, in bytes.")
    updates_backlog: int = Field(1024, ge=16, description="Updates kept per session for clients that resume.")
    shutdown_timeout_s: float = Field(10.0, gt=0, description="Seconds that running work may take to end on shutdown.")


class EngineSettings(Group):
    name: str = Field("motion", description="The engine of new sessions, by its entry-point name.")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        repr=False,
        description=(
            "Settings of each engine under its name, like `options: {openai: {base_url: …, model: …}}`. "
            "See docs/reference/engines.md."
        ),
    )


class SessionSettings(Group):
    tick_s: float = Field(1.0, ge=0.1, le=60, description="Seconds from one decision to the next.")
    threshold: float = Field(0.5, ge=0, le=1, description="Speak when the score reaches this; lower is more talkative.")
    hysteresis: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description=(
            "After a remark the score must fall this much below the threshold before the threshold alone counts again; "
            "until then it must rise this much above it."
        ),
    )
    cooldown_s: float = Field(
        2.0, ge=0, description="Seconds after a remark in which another of the same kind is not said."
    )
    duplicate_window_s: float = Field(30.0, ge=0, description="Seconds in which the same words are not said again.")
    fidelity: Fidelity = Field(
        "faithful",
        description=(
            "What frames may cost: every frame in full; a small picture where little changed; or, beside that, fewer "
            "decisions while the picture stays still. Cameras and calls may have their own."
        ),
    )
    frames_per_tick: FramesPerTick = Field(
        1,
        description="Pictures of one second that a decision sees; more for fast scenes. Each costs a picture's tokens.",
    )
    query_ttl_s: float = Field(600.0, gt=0, description="Seconds after which an unanswered question is dropped.")
    context_tokens: int = Field(24_000, ge=2048, description="Token budget of one chunk of context.")
    chunk_s: float = Field(600.0, ge=10, description="Longest chunk of context, in stream seconds.")
    lead_turns: int = Field(
        8, ge=1, le=60, description="Turns of the old chunk that stand at the start of the next one."
    )
    model_time_s: float = Field(
        7200.0, ge=60, description="The model's time restarts at the first change of chunk after this, in seconds."
    )
    memory_tokens: int = Field(
        2400, ge=256, description="Room for what is remembered of earlier chunks, in tokens; part of `context_tokens`."
    )
    summary_tokens: int = Field(240, ge=32, le=2000, description="Longest summary of one chunk, in tokens.")
    language: Language = Field("en", description="Language of the summaries, like `en` or `de-CH`.")
    summary_engine: str | None = Field(
        None, description="The engine that writes the summaries, by its name. Null: the one that decides."
    )
    engine_timeout_s: float = Field(20.0, gt=0, description="Longest wait for one answer of the engine, in seconds.")
    engine_loading_s: float = Field(
        600.0, gt=0, description="Longest time an engine may load its model before it counts as away, in seconds."
    )
    max_sessions: int = Field(64, ge=1, description="Sessions at once; more are refused.")
    record_dir: Folder | None = Field(
        None, description="Folder for input logs of every session, for `joyvl replay`. Off by default."
    )

    @model_validator(mode="after")
    def _check_memory(self) -> SessionSettings:
        if self.summary_tokens > self.memory_tokens:
            raise ValueError("summary_tokens may be at most memory_tokens")
        return self


class MediaSettings(Group):
    worker_cameras: int = Field(16, ge=1, le=64, description="Cameras per media worker process.")
    worker_calls: int = Field(8, ge=1, le=32, description="Browser calls per media worker process.")
    open_timeout_s: float = Field(8.0, gt=0, description="Seconds a source may take to open.")
    stall_timeout_s: float = Field(
        10.0, gt=0, description="Seconds without a picture after which a source counts as lost."
    )
    look_timeout_s: float = Field(0.5, gt=0, description="Seconds to wait for the newest picture of a source.")
    max_pixels: int = Field(
        262_144,
        ge=65_536,
        description="Largest picture given to engines and pages, in pixels; larger ones are scaled down.",
    )
    jpeg_quality: int = Field(85, ge=30, le=100, description="JPEG quality; higher is sharper and larger.")
    grey_side: int = Field(192, ge=64, le=512, description="Longer side of the small grey picture, in pixels.")
    file_roots: list[Folder] = Field(
        default_factory=list, description="Folders whose files cameras may play. `DATA_DIR/media` is always one."
    )
    call_timeout_s: float = Field(
        20.0, gt=0, description="Seconds a call may take to connect, or be without packets, before it is hung up."
    )
    start_bitrate_kbps: int = Field(2500, ge=100, description="Bit rate at which browsers begin to send video.")
    min_bitrate_kbps: int = Field(1250, ge=50, description="Bit rate below which browsers do not go.")
    max_bitrate_kbps: int = Field(4000, ge=100, description="Bit rate browsers may reach.")

    @model_validator(mode="after")
    def _check_bitrates(self) -> MediaSettings:
        if not self.min_bitrate_kbps <= self.start_bitrate_kbps <= self.max_bitrate_kbps:
            raise ValueError("min_bitrate_kbps, start_bitrate_kbps and max_bitrate_kbps must rise in this order")
        return self


class NetSettings(Group):
    schemes: list[Scheme] = Field(["rtsp", "file"], description="URL schemes that sources may use.")
    allow: list[Rule] = Field(
        default_factory=list,
        description=(
            "Networks or host names that sources may reach although `net.deny` holds them, like `192.168.1.0/24` or "
            "`*.lan`. The more exact rule wins."
        ),
    )
    deny: list[Rule] = Field(
        default_factory=list,
        description=(
            "Networks or host names that sources may not reach. Link-local, metadata, multicast and unspecified "
            "addresses are always refused, but to a `net.allow` that names exactly them."
        ),
    )


class StoreSettings(Group):
    max_events: int = Field(
        1_000_000, ge=1000, description="Events kept in the database; beyond this the oldest are deleted."
    )
    tick_days: float = Field(
        7.0,
        ge=0.01,
        description=(
            "Days for which the score, threshold and decision of every tick are kept: about 1 MB a day and session."
        ),
    )
    tick_detail_days: float = Field(
        1.0,
        ge=0,
        description="Days for which a tick's text, box and timings are kept too: about 1 MB a day and session.",
    )
    max_ticks_mb: int = Field(
        2000,
        ge=16,
        description="Largest size of the ticks in MB; beyond it the oldest details are deleted, then the oldest ticks.",
    )
    max_ended_sessions: int = Field(
        10_000, ge=100, description="Ended sessions kept in the database; beyond this the oldest are deleted."
    )


class LogSettings(Group):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least serious level logged.")
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="`text`, `json` lines, or `auto`: text on a terminal, JSON lines elsewhere."
    )
