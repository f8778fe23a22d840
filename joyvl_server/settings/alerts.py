"""Settings of alerts and of the hooks they go to."""

from __future__ import annotations

from pydantic import Field

from joyvl_server.settings.group import Group
from joyvl_server.settings.values import Rule


class AlertSettings(Group):
    allow: list[Rule] = Field(
        default_factory=list,
        description=(
            "Private networks, addresses or host names that hooks may reach, like `192.168.1.0/24` or `*.lan`. Public "
            "addresses need no entry."
        ),
    )
    timeout_s: float = Field(10.0, ge=0.5, le=120, description="Longest time that a hook may take for one message.")
    give_up_h: float = Field(
        72.0, gt=0, le=8760, description="Hours after which a message that a hook does not take is given up."
    )
    max_attempts: int | None = Field(
        None, ge=1, description="Tries after which a message is given up. Null: only `give_up_h` counts."
    )
    max_waiting: int = Field(
        10_000, ge=10, description="Messages that may wait for one hook; beyond it the oldest are given up."
    )
    kept: int = Field(10_000, ge=100, description="Alerts in the database; the server deletes the oldest beyond this.")
    days: float = Field(90.0, gt=0, description="Days for which alerts are kept.")
    escalate_after_s: float = Field(
        300.0,
        ge=5,
        le=86_400,
        description=(
            "Seconds without an acknowledgement after which the next contact is told, where its hook says nothing else."
        ),
    )
    occupied_s: float = Field(
        60.0, ge=1, le=3600, description="Seconds for which a watch counts as occupied after it fired (MQTT)."
    )
    links_h: float = Field(72.0, gt=0, le=8760, description="Hours for which links to pictures and clips work.")
