"""Settings of the timeline's pictures and clips, and the time zone of days."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from joyvl_server.settings.group import Group

LOCALTIME = Path("/etc/localtime")


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("write the name of a time zone of the IANA database, like Europe/Zurich or UTC") from None
    return name


TimeZoneName = Annotated[str, AfterValidator(_check_zone)]


class TimelineSettings(Group):
    max_gb: float = Field(
        10.0,
        ge=0.01,
        description="Largest size of all pictures and clips in GB; the server deletes the oldest beyond this.",
    )
    days: float = Field(
        30.0,
        ge=0.01,
        description=(
            "Days for which the server keeps pictures and clips. The entries stay (`store.max_events`), and so does "
            "everything that somebody keeps."
        ),
    )
    record_clips: bool = Field(True, description="Whether remarks of cameras get a clip.")
    before_s: float = Field(5.0, ge=0, le=30, description="Seconds that a clip shows before the remark.")
    after_s: float = Field(10.0, ge=0, le=60, description="Seconds that a clip shows after the remark.")


def system_zone() -> ZoneInfo:
    """The machine's own time zone: `TZ`, else what /etc/localtime leads to, else UTC."""
    linked = str(LOCALTIME.resolve()).partition("zoneinfo/")[2]
    for name in (os.environ.get("TZ", "").removeprefix(":"), linked):
        try:
            if name:
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    try:
        with LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (ValueError, OSError):
        return ZoneInfo("UTC")
