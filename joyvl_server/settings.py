"""Every setting, in one place. Flags win over environment (`JOYVL_…`), over one YAML file, over these defaults.

Nested names join with two underscores (`JOYVL_SERVER__PORT`); any setting may be given as a file with `_FILE` appended
(`JOYVL_SERVER__API_KEYS_FILE=/run/secrets/keys`, one key a line). What the REST API creates never lands here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.layers import Layer, env_layer, unknown, yaml_layer
from joyvl_server.kit.netpolicy import NetPolicy, parse_rule

ENV_PREFIX = "JOYVL_"
CONFIG_VARIABLE = "JOYVL_CONFIG"


def default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "joyvl"


def _expand(path: Path) -> Path:
    return path.expanduser()


def _check_rule(rule: str) -> str:
    try:
        parse_rule(rule)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return rule


def _check_origin(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("an origin is written like https://my.page or http://localhost:3000, without a path")
    return origin


def _check_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not text or any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError("a key is one word, without spaces, and not empty")
    return key


def _number_to_text(value: Any) -> Any:
    # YAML reads a key of digits as a number.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Folder = Annotated[Path, AfterValidator(_expand)]
Key = Annotated[SecretStr, BeforeValidator(_number_to_text), AfterValidator(_check_key)]
Rule = Annotated[str, AfterValidator(_check_rule)]
Scheme = Literal["rtsp", "file"]
Origin = Annotated[str, AfterValidator(_check_origin)]


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
    cooldown_s: float = Field(
        2.0, ge=0, description="Seconds after a remark in which another of the same kind is not said."
    )
    duplicate_window_s: float = Field(30.0, ge=0, description="Seconds in which the same words are not said again.")
    fidelity: Literal["faithful", "adaptive"] = Field(
        "faithful", description="What frames may cost: every frame in full, or less where the picture did not change."
    )
    query_ttl_s: float = Field(600.0, gt=0, description="Seconds after which an unanswered question is dropped.")
    context_tokens: int = Field(24_000, ge=2048, description="Token budget of one chunk of context.")
    chunk_s: float = Field(600.0, ge=10, description="Longest chunk of context, in stream seconds.")
    engine_timeout_s: float = Field(20.0, gt=0, description="Longest wait for one answer of the engine, in seconds.")
    max_sessions: int = Field(64, ge=1, description="Sessions at once; more are refused.")
    record_dir: Folder | None = Field(
        None, description="Folder for input logs of every session, for `joyvl replay`. Off by default."
    )


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
    max_ended_sessions: int = Field(
        10_000, ge=100, description="Ended sessions kept in the database; beyond this the oldest are deleted."
    )


class LogSettings(Group):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least serious level logged.")
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="`text`, `json` lines, or `auto`: text on a terminal, JSON lines elsewhere."
    )


_layers: ContextVar[tuple[Layer, ...]] = ContextVar("layers", default=())


class Settings(BaseSettings):
    """All settings of one server. `load()` builds it; called directly it is the defaults and what is given, no more."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    data_dir: Folder = Field(default_factory=default_data_dir, description="Folder for the database and files.")
    demo: bool = Field(True, description="Register the drawn clip as camera `demo` when there is no camera yet.")
    server: ServerSettings = Field(default_factory=ServerSettings, description="Listening, keys, limits.")
    engine: EngineSettings = Field(default_factory=EngineSettings, description="What decides.")
    sessions: SessionSettings = Field(default_factory=SessionSettings, description="Ticks, sensitivity, context.")
    media: MediaSettings = Field(default_factory=MediaSettings, description="Sources, workers, pictures.")
    net: NetSettings = Field(default_factory=NetSettings, description="What sources may reach.")
    store: StoreSettings = Field(default_factory=StoreSettings, description="What the database keeps.")
    log: LogSettings = Field(default_factory=LogSettings, description="Logging.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, *(InitSettingsSource(settings_cls, layer.values) for layer in _layers.get()))

    def net_policy(self) -> NetPolicy:
        """What sources may reach, for main and for the media workers."""
        return NetPolicy(
            schemes=tuple(self.net.schemes),
            allow=tuple(self.net.allow),
            deny=tuple(self.net.deny),
            file_roots=tuple(str(root) for root in (self.data_dir / "media", *self.media.file_roots)),
        )


def load(
    config: Path | None = None, overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """The effective settings. `config`: a YAML file, else the one `JOYVL_CONFIG` names, else none.

    `overrides` are flags as a nested dict; None stands for a flag not given. `environ` is for tests. Raises
    `ConfigError`, a line for each mistake, that names the setting and where it was written, never its value.
    """
    variables = os.environ if environ is None else environ
    if config is None and variables.get(CONFIG_VARIABLE):
        config = Path(variables[CONFIG_VARIABLE]).expanduser()
    env = env_layer(variables, ENV_PREFIX, Settings, own=(CONFIG_VARIABLE,))
    file = Layer() if config is None else yaml_layer(config, Settings)
    token = _layers.set((env, file))
    try:
        return Settings(**_given(overrides or {}))
    except ValidationError as error:
        sentences = dict.fromkeys(_sentence(mistake, (env, file)) for mistake in error.errors(include_input=False))
        raise ConfigError("\n".join(sentences)) from None
    finally:
        _layers.reset(token)


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_listen(settings: Settings) -> None:
    """Raises `ConfigError` where anybody in the network could drive the server."""
    server = settings.server
    if not server.api_keys and not is_loopback(server.host):
        raise ConfigError(
            f"server.host is {server.host!r}: beyond loopback an API key is required. Set server.api_keys, for example "
            "JOYVL_SERVER__API_KEYS_FILE=/path/to/keys, or listen on 127.0.0.1."
        )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _given(v) if isinstance(v, Mapping) else v for k, v in values.items() if v is not None}


def _sentence(mistake: Any, layers: tuple[Layer, ...]) -> str:
    names = tuple(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return unknown(names, Settings)
    text = mistake["msg"].removeprefix("Value error, ").removeprefix("Input ")
    for layer in layers:
        for length in range(len(names), 0, -1):
            if names[:length] in layer.origins:
                return f"{'.'.join(names)}: {text} ({layer.origins[names[:length]]})"
    return f"{'.'.join(names)}: {text}"
