"""What is stored of alerts, hooks and deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

AlertKind = Literal[
    "watch_fired", "camera_offline", "camera_online", "task", "engine_offline", "engine_online", "disk", "test"
]
ALERT_KINDS: tuple[str, ...] = get_args(AlertKind)
AlertState = Literal["open", "acknowledged", "snoozed", "closed"]
"""`closed`: nothing waits for anybody; it only informs, or what it told of is over"""
ALERT_STATES: tuple[str, ...] = get_args(AlertState)
Reason = Literal["new", "repeat", "reminder", "escalation", "test"]
"""Why a hook is told: a new alert, further events that joined it, the end of its snooze, nobody acknowledged it"""
DeliveryState = Literal["waiting", "later", "sent", "dead", "refused", "skipped", "cancelled"]
"""`later`: its time has not come. `dead`: given up after all tries. `refused`: the receiver can never take it.
`skipped`: a rule kept it back. `cancelled`: no longer wanted before it was sent"""
DELIVERY_STATES: tuple[str, ...] = get_args(DeliveryState)


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """`wall`: when it happened; `last_wall`: the last event that joined it; `count`: events in it. All times are Unix
    seconds. `watches`: ids. `camera`: the name of the camera or session then. `subject`: what it is about, the same for
    events that repeat. `told`: how many next contacts were told because nobody acknowledged it. `created_wall`: when it
    was written; `revision` grows with each change of any alert,
    `first_revision` is that with which it came."""

    id: str
    kind: AlertKind
    wall: float
    title: str
    text: str
    session_id: str | None = None
    camera_id: str | None = None
    camera: str = ""
    event_id: str | None = None
    watches: tuple[str, ...] = ()
    subject: str = ""
    count: int = 1
    last_wall: float = 0.0
    state: AlertState = "open"
    acknowledged_wall: float | None = None
    acknowledged_by: str | None = None
    snoozed_until: float | None = None
    told: int = 0
    created_wall: float = 0.0
    revision: int = 0
    first_revision: int = 0

    @property
    def escalated(self) -> bool:
        return self.told > 0


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` ("HH:MM", local time), over midnight where `end` is not later; `days`: on which it begins,
    0 is Monday, empty for every day."""

    start: str
    end: str
    days: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class HookRecord:
    """Where alerts go. `events`, `cameras`, `watches`: what it is told of, empty for all. `hold`: what happens in quiet
    hours is sent when they end. `escalates`: 0 for who is told at once, 1 for the next contact, and so on. `sealed`:
    the options as they are stored, where their key is not there; then `options` are empty."""

    id: str
    name: str
    kind: str
    options: Mapping[str, Any] = field(repr=False)
    enabled: bool = True
    events: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    hold: bool = False
    cooldown_s: float = 0.0
    group_s: float = 0.0
    escalate_after_s: float | None = None
    escalates: int = 0
    created_wall: float = 0.0
    updated_wall: float = 0.0
    sealed: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One message to one hook; a test has no alert. `due_wall`: for `later`, when its time comes, `wait_s` after it was
    written. `status`: of the last answer, for HTTP. `error`: of the last try, or why it was never sent. `seq` orders
    what goes to a hook; 0 before it is written."""

    id: str
    hook_id: str
    alert_id: str | None
    reason: Reason
    state: DeliveryState
    created_wall: float
    due_wall: float | None = None
    wait_s: float = 0.0
    attempts: int = 0
    last_wall: float | None = None
    status: int | None = None
    error: str | None = None
    took_s: float | None = None
    seq: int = 0
