"""The clock and the time zone: days, hours and every certificate depend on them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from joyvl_server.cli.doctor.report import Finding, ok, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.settings import Settings
from joyvl_server.settings.timeline import LOCALTIME

BUILT = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
"""The program is no older than this."""
FAR = datetime(2060, 1, 1, tzinfo=UTC).timestamp()
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
DAEMON = Path("/run/systemd/timesync")


class ClockCheck:
    """See `Check`."""

    name = "clock"
    limit_s = 5.0

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()

    async def run(self) -> Iterable[Finding]:
        return await off_loop(self._look)

    def _look(self) -> list[Finding]:
        now, zone = self._clock.wall(), self._settings.zone()
        shown = datetime.fromtimestamp(min(max(now, 0.0), FAR), zone).strftime("%Y-%m-%d %H:%M")
        if not BUILT < now < FAR:
            return [
                warning(
                    f"The clock says {shown}, which cannot be: events get wrong times, and certificates are refused.",
                    "Set the clock, and switch on time synchronisation: timedatectl set-ntp true",
                )
            ]
        if DAEMON.is_dir() and not SYNCHRONISED.exists():
            return [
                warning(
                    f"It is {shown} ({zone.key}), but this machine's clock is not synchronised.",
                    "See what timedatectl timesync-status says.",
                )
            ]
        named = self._settings.time_zone is not None or os.environ.get("TZ") or LOCALTIME.exists()
        if zone.key == "UTC" and not named:
            return [
                warning(
                    f"It is {shown} UTC, and this machine names no time zone: words like “this morning” mean UTC.",
                    "Set time_zone, like JOYVL_TIME_ZONE=Europe/Zurich.",
                )
            ]
        return [ok(f"It is {shown} ({zone.key}). If that is not your zone, set time_zone.")]
