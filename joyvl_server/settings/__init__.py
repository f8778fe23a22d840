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
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.kit.settings_layers import SettingsLayer, env_layer, unknown, yaml_layer
from joyvl_server.settings.agents import AgentEntry, AgentSettings
from joyvl_server.settings.alerts import AlertSettings
from joyvl_server.settings.groups import (
    EngineSettings,
    LogSettings,
    MediaSettings,
    NetSettings,
    SessionSettings,
    SpeechSettings,
    StoreSettings,
)
from joyvl_server.settings.memory import MemorySettings
from joyvl_server.settings.server import ServerSettings
from joyvl_server.settings.timeline import TimelineSettings, TimeZoneName, system_zone
from joyvl_server.settings.traces import TraceSettings
from joyvl_server.settings.values import Folder
from joyvl_server.settings.webrtc import WebRtcSettings

__all__ = [
    "CONFIG_VARIABLE",
    "ENV_PREFIX",
    "AgentEntry",
    "AgentSettings",
    "AlertSettings",
    "EngineSettings",
    "LogSettings",
    "MediaSettings",
    "MemorySettings",
    "NetSettings",
    "ServerSettings",
    "SessionSettings",
    "Settings",
    "SpeechSettings",
    "StoreSettings",
    "TimelineSettings",
    "TraceSettings",
    "WebRtcSettings",
    "asks_for_keys",
    "check_listen",
    "default_data_dir",
    "is_loopback",
    "load",
]

ENV_PREFIX = "JOYVL_"
CONFIG_VARIABLE = "JOYVL_CONFIG"


def default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "joyvl"


_layers: ContextVar[tuple[SettingsLayer, ...]] = ContextVar("layers", default=())


class Settings(BaseSettings):
    """All settings of one server. `load()` builds it; called directly it is the defaults and what is given, no more."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    data_dir: Folder = Field(default_factory=default_data_dir, description="Folder for the database and files.")
    secret_key_file: Path | None = Field(
        None,
        description="File with the key that seals stored passwords. Null: `secret.key` in `data_dir`. Made where it is "
        "not there.",
    )
    demo: bool = Field(True, description="Register the drawn clip as camera `demo` when there is no camera yet.")
    time_zone: TimeZoneName | None = Field(
        None,
        description="Time zone of days, hours and words like `yesterday`, like `Europe/Zurich`. Null: the system's.",
    )
    server: ServerSettings = Field(default_factory=ServerSettings, description="Address, TLS, keys, limits.")
    engine: EngineSettings = Field(default_factory=EngineSettings, description="The engine that decides.")
    sessions: SessionSettings = Field(default_factory=SessionSettings, description="Ticks, sensitivity, context.")
    media: MediaSettings = Field(default_factory=MediaSettings, description="Sources, workers, pictures.")
    webrtc: WebRtcSettings = Field(default_factory=WebRtcSettings, description="Where calls are sent to.")
    net: NetSettings = Field(default_factory=NetSettings, description="What sources may reach.")
    speech: SpeechSettings = Field(default_factory=SpeechSettings, description="Voices, and what understands speech.")
    agents: AgentSettings = Field(
        default_factory=AgentSettings, description="Agents that work on what the model hands over."
    )
    timeline: TimelineSettings = Field(default_factory=TimelineSettings, description="Pictures and clips of events.")
    memory: MemorySettings = Field(default_factory=MemorySettings, description="What stays when frames are gone.")
    alerts: AlertSettings = Field(default_factory=AlertSettings, description="Alerts and the hooks they go to.")
    store: StoreSettings = Field(default_factory=StoreSettings, description="What the database keeps.")
    traces: TraceSettings = Field(default_factory=TraceSettings, description="Traces of ticks, for OpenTelemetry.")
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

    @property
    def speech_models_dir(self) -> Path:
        """Folder of voices and models of speech."""
        return self.speech.models_dir or self.data_dir / "models"

    def zone(self) -> ZoneInfo:
        """The time zone of all that has days and hours."""
        return system_zone() if self.time_zone is None else ZoneInfo(self.time_zone)

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
    file = SettingsLayer() if config is None else yaml_layer(config, Settings)
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


def asks_for_keys(server: ServerSettings) -> bool:
    """Does every request need a key or a signed-in browser? See `ServerSettings.auth`."""
    if server.auth != "auto":
        return server.auth == "on"
    reached = server.allowed_hosts or server.trusted_proxies or server.public_url
    return bool(not is_loopback(server.host) or server.api_keys or reached)


def check_listen(settings: Settings) -> None:
    """Raises `ConfigError` where anybody in the network could drive the server."""
    server = settings.server
    if not asks_for_keys(server) and not is_loopback(server.host):
        raise ConfigError(
            f"server.host is {server.host!r} and server.auth is off: beyond loopback the server asks for keys. Leave "
            "server.auth out, or listen on 127.0.0.1. A proxy that knows its users may send a key of its own."
        )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _given(v) if isinstance(v, Mapping) else v for k, v in values.items() if v is not None}


def _sentence(mistake: Any, layers: tuple[SettingsLayer, ...]) -> str:
    names = tuple(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return unknown(names, Settings)
    text = mistake["msg"].removeprefix("Value error, ").removeprefix("Input ")
    for layer in layers:
        for length in range(len(names), 0, -1):
            if names[:length] in layer.origins:
                return f"{'.'.join(names)}: {text} ({layer.origins[names[:length]]})"
    return f"{'.'.join(names)}: {text}"
