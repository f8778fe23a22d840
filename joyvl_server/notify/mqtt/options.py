"""Options of an MQTT hook."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from joyvl_server.notify.base import MOST_SNOOZE_MINUTES
from joyvl_server.notify.mqtt.topics import prefix_fault

PORT, TLS_PORT = 1883, 8883


class MqttOptions(BaseModel):
    """`host`, `port`: of the broker; without a port 1883, with TLS 8883. `ca`: the certificate (PEM) that it must be
    signed by, where the system's do not do. `tls_verify` False takes any certificate.

    `topic`: what all topics begin with. `discovery`: whether Home Assistant shows the cameras by itself, under
    `discovery_topic`. `pictures`: the JPEG itself, its signed address, or none. `snooze_minutes`: what the snooze
    button asks for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, max_length=253)
    port: int | None = Field(None, ge=1, le=65535)
    tls: bool = False
    tls_verify: bool = True
    ca: str = Field("", max_length=65_536)
    username: str | None = Field(None, max_length=1000)
    password: SecretStr | None = Field(None, max_length=10_000)
    topic: str = "joyvl"
    discovery: bool = True
    discovery_topic: str = "homeassistant"
    pictures: Literal["jpeg", "url", "none"] = "jpeg"
    snooze_minutes: int = Field(10, ge=1, le=MOST_SNOOZE_MINUTES)

    @field_validator("host")
    @classmethod
    def _host(cls, host: str) -> str:
        if any(c.isspace() or not c.isprintable() or c in "/@?#\\" for c in host):
            raise ValueError("must be a host name or an address alone, like broker.lan or 192.168.1.5")
        return host.strip("[]")

    @field_validator("topic", "discovery_topic")
    @classmethod
    def _topic(cls, text: str) -> str:
        if fault := prefix_fault(text):
            raise ValueError(fault)
        return text

    @field_validator("username")
    @classmethod
    def _username(cls, name: str | None) -> str | None:
        if name is not None and not (name and name.isprintable()):
            raise ValueError("must be printable text")
        return name

    @property
    def address(self) -> str:
        """As the net policy reads it: `mqtt://HOST:PORT`, or `mqtts://`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.at_port}"

    @property
    def at_port(self) -> int:
        return self.port or (TLS_PORT if self.tls else PORT)

    def same_broker(self, other: MqttOptions) -> bool:
        return (self.host, self.at_port, self.tls) == (other.host, other.at_port, other.tls)

    def stored(self) -> dict[str, Any]:
        """As they are kept, the password with them."""
        password = self.password.get_secret_value() if self.password else None
        return {**self.model_dump(mode="json", exclude={"password"}), "password": password}
