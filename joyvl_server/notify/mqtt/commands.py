"""What people ask for over MQTT: acknowledge or snooze the newest open alert, or one that they name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from joyvl_server.core.errors import JoyvlError
from joyvl_server.notify.base import MOST_SNOOZE_MINUTES, AlertActions, CameraFacts
from joyvl_server.notify.mqtt.topics import Topics

log = structlog.get_logger(__name__)

LONGEST = 1000
"""bytes of a command"""


@dataclass(frozen=True, slots=True)
class Command:
    """`alert_id`: None for the newest open one. `minutes`: None where they are not said."""

    alert_id: str | None = None
    minutes: float | None = None

    @classmethod
    def read(cls, payload: bytes) -> Command:
        """Nothing or `PRESS`, the id of an alert, minutes, or `{"alert_id": …, "minutes": …}`. Raises `ValueError` in
        words."""
        if len(payload) > LONGEST:
            raise ValueError("it is too long")
        text = payload.decode("utf-8", "replace").strip()
        if text in ("", "PRESS"):
            return cls()
        if text.startswith("alr_") and text.isprintable():
            return cls(text)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError('write PRESS, the id of an alert, minutes, or {"alert_id": …, "minutes": …}') from None
        if not isinstance(found, dict):
            found = {"minutes": found}
        ident, minutes = found.get("alert_id"), found.get("minutes")
        if ident is not None and not isinstance(ident, str):
            raise ValueError("alert_id must be the id of an alert")
        if minutes is not None:
            right = isinstance(minutes, int | float) and not isinstance(minutes, bool)
            if not right or not math.isfinite(minutes) or not 0 < minutes <= MOST_SNOOZE_MINUTES:
                raise ValueError(f"minutes must be a number above 0, at most {MOST_SNOOZE_MINUTES}")
            minutes = float(minutes)
        return cls(ident, minutes)


class CommandTopics:
    """Which topic means what. `by`: who asks, in words; `minutes`: of a snooze that names none."""

    def __init__(self, topics: Topics, actions: AlertActions, by: str, minutes: float) -> None:
        self._topics = topics
        self._actions = actions
        self._by = by
        self._minutes = minutes
        self._meaning: dict[str, tuple[str, str | None]] = {}
        self.listed(())

    def listed(self, cameras: Iterable[CameraFacts]) -> None:
        """These cameras there are now."""
        self._meaning = {self._topics.acknowledge: ("acknowledge", None), self._topics.snooze: ("snooze", None)}
        for camera in cameras:
            theirs = self._topics.camera(camera.id, camera.name)
            self._meaning[theirs.acknowledge] = ("acknowledge", camera.id)
            self._meaning[theirs.snooze] = ("snooze", camera.id)

    async def take(self, topic: str, payload: bytes) -> None:
        """Do it. What cannot be done is told in the log. Cancelled, it may be done all the same."""
        if topic not in self._meaning:
            return
        action, camera_id = self._meaning[topic]
        try:
            command = Command.read(payload)
            ident = command.alert_id
            if ident is None:
                newest = await self._actions.newest(camera_id)
                if newest is None:
                    log.info("an MQTT command found no open alert", topic=topic)
                    return
                ident = newest.id
            if action == "acknowledge":
                await self._actions.acknowledge(ident, self._by)
            else:
                await self._actions.snooze(ident, command.minutes or self._minutes, self._by)
        except (ValueError, JoyvlError) as error:
            log.warning("an MQTT command cannot be carried out", topic=topic[:300], error=str(error)[:200])
