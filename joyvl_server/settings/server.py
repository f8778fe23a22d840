"""Settings of the HTTP server: where it listens, for whom, with which certificate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from joyvl_server.settings.group import Group
from joyvl_server.settings.values import Folder, Key, Origin, ProxyNetwork, PublicUrl

Tls = Annotated[
    Literal["off", "self-signed", "files"],
    BeforeValidator(lambda value: "off" if value is False else value),  # YAML reads `off` as a truth value
]
Auth = Annotated[
    Literal["auto", "on", "off"],
    BeforeValidator(lambda value: {False: "off", True: "on"}.get(value, value) if isinstance(value, bool) else value),
]


class ServerSettings(Group):
    host: str = Field("127.0.0.1", description="Address to listen on. Beyond loopback the server asks for keys.")
    port: int = Field(8099, ge=0, le=65535, description="TCP port; 0 lets the system choose one.")
    api_keys: list[Key] = Field(
        default_factory=list,
        description="Keys of admins, sent as `Authorization: Bearer …`. `joyvl keys` makes keys with other roles.",
    )
    auth: Auth = Field(
        "auto",
        description=(
            "Whether every request needs a key or a signed-in browser. `auto`: where others can reach the server, "
            "because `host` is beyond loopback or because `allowed_hosts`, `trusted_proxies`, `public_url` or "
            "`api_keys` is set. `off`: on loopback only."
        ),
    )
    requests_per_s: float = Field(
        100.0,
        ge=0,
        description=(
            "Requests a second of one key with all its browsers, or of one address without a key, where keys are asked "
            "for; ten seconds' worth may come at once. 0: no limit."
        ),
    )
    tls: Tls = Field(
        "off",
        description=(
            "`off`: http. `self-signed`: https with a certificate that the server makes for the names and addresses of "
            "this host and keeps in `DATA_DIR/tls`. `files`: https with `tls_cert` and `tls_key`. Browsers give pages "
            "a camera only over https, or from the same machine."
        ),
    )
    tls_cert: Folder | None = Field(
        None,
        description=(
            "For `tls: files`: the certificate with its chain, a PEM file. The server reads it again when it changes."
        ),
    )
    tls_key: Folder | None = Field(
        None, description="The key of `tls_cert`, as a PEM file without a passphrase. Null: it is in the same file."
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Host names to accept in addition to loopback names and `server.host`; `*` accepts any.",
    )
    allowed_origins: list[Origin] = Field(
        default_factory=list,
        description="Origins of web pages elsewhere that may call the API, like `https://my.page`.",
    )
    public_url: PublicUrl = Field(
        "",
        description=(
            "Where others reach this server, like `https://home.example:8443`; links in alerts begin with it. Empty: "
            "signed links begin with the address that was called, and alerts hold none."
        ),
    )
    trusted_proxies: list[ProxyNetwork] = Field(
        default_factory=list,
        description=(
            "Addresses or networks of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` the server "
            "believes. Empty: none."
        ),
    )
    max_connections: int = Field(
        1024,
        ge=8,
        description=(
            "Connections at once, at most half of the file descriptors that the system grants. At the limit, a new "
            "client makes the server close the connection that has been idle longest."
        ),
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body, in bytes.")
    updates_backlog: int = Field(1024, ge=16, description="Updates kept per session for clients that resume.")
    shutdown_timeout_s: float = Field(10.0, gt=0, description="Seconds that running work may take to end at shutdown.")

    @model_validator(mode="after")
    def _check_tls(self) -> ServerSettings:
        if self.tls == "files" and self.tls_cert is None:
            raise ValueError("tls is `files`: name the certificate in tls_cert")
        if self.tls == "off" and self.tls_cert is not None:
            raise ValueError("tls_cert is given while tls is `off`: set tls to `files`, or leave tls_cert out")
        return self
