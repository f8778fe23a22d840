"""Settings of traces: what each tick took, sent to an OpenTelemetry receiver."""

from __future__ import annotations

from pydantic import Field

from joyvl_server.settings.group import Group


class TraceSettings(Group):
    endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description=(
            "Where traces of ticks go: an OTLP receiver over HTTP, like `http://127.0.0.1:4318/v1/traces`. Empty: none "
            "are made. Needs the extra `otel`."
        ),
    )
    service: str = Field("joyvl-server", min_length=1, max_length=100, description="Name of the service in traces.")
    share: float = Field(1.0, gt=0, le=1, description="Share of the ticks that are traced.")
