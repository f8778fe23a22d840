"""Alerts, hooks and deliveries as clients see them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from joyvl_server.api.schemas.common import (
    MAX_PAGE,
    PageQuery,
    PatchModel,
    RequestModel,
    ResponseModel,
    optional_field,
    printable,
)
from joyvl_server.notify.base import MOST_SNOOZE_MINUTES
from joyvl_server.notify.rules.quiet import clock_time
from joyvl_server.store.alerts.records import (
    AlertKind,
    AlertState,
    DeliveryState,
    HookRecord,
    QuietHours,
    Reason,
)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MOST = 100


def _clock(text: str) -> str:
    try:
        return clock_time(text).strftime("%H:%M")
    except ValueError:
        raise PydanticCustomError("time", "Write a time of day like 22:30.") from None


Clock = Annotated[str, StringConstraints(max_length=5), AfterValidator(_clock)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=80)]
HookName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(printable)
]
By = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(printable)]
SnoozeScope = Literal["camera", "watch"]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Options = Annotated[dict[str, Any], Field(max_length=50)]


class AlertsQuery(PageQuery):
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="At most this many, newest first.")
    state: AlertState | None = None
    camera_id: str | None = Field(None, max_length=80)
    kind: AlertKind | None = None
    since: AwareDatetime | None = Field(None, description="RFC 3339 time; alerts at it or later.")
    until: AwareDatetime | None = Field(None, description="RFC 3339 time; alerts before it.")


class AcknowledgeIn(RequestModel):
    by: By = Field("somebody", description="Who takes care of it, in words.")


class AcknowledgeAllIn(AcknowledgeIn):
    camera_id: Id | None = Field(None, description="Only those of this camera.")
    upto: Id | None = Field(None, description="The id of the newest alert that somebody saw: later ones stay open.")


class AcknowledgedOut(ResponseModel):
    acknowledged: int = Field(description="How many were open.")


class SnoozeIn(RequestModel):
    minutes: float = Field(ge=0, le=MOST_SNOOZE_MINUTES, description="0 ends a snooze.")
    scope: Literal["alert", "camera", "watch"] = Field(
        "alert", description="camera, watch: also what the alert's camera or its watches do meanwhile tells nobody."
    )
    by: By = "somebody"


class AlertOut(ResponseModel):
    id: str
    kind: AlertKind
    at: str = Field(description="RFC 3339 time at which it happened.")
    wall: float = Field(description="The same in Unix seconds.")
    last_at: str = Field(description="The time of the last event in it.")
    title: str
    text: str
    session_id: str | None
    camera_id: str | None
    camera: str | None = Field(description="The name of the camera or session then.")
    event_id: str | None
    watches: list[str] = Field(description="Ids of the watches that it is about.")
    count: int = Field(description="Events in it; more than 1 where a hook groups repeats.")
    state: AlertState
    acknowledged_at: str | None
    acknowledged_by: str | None
    snoozed_until: str | None
    escalated: bool = Field(description="A next contact was told, because nobody had acknowledged it.")
    picture_url: str | None
    clip_url: str | None
    link: str | None = Field(description="The page, where the server has a public address.")


class AlertsOut(ResponseModel):
    data: list[AlertOut]
    next: str | None


class SnoozeOut(ResponseModel):
    scope: SnoozeScope
    id: str = Field(description="Of the camera or the watch.")
    name: str | None = Field(description="null: it is gone")
    since: str = Field(description="RFC 3339 time.")
    until: str = Field(description="RFC 3339 time.")


class SnoozesOut(ResponseModel):
    data: list[SnoozeOut]
    next: None


class QuietHoursIn(RequestModel):
    """From one time of day to another, in the server's time zone; over midnight where the end is not later."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    start: Clock = Field(alias="from", examples=["22:00"])
    end: Clock = Field(alias="to", examples=["07:00"])
    days: list[Day] = Field(default_factory=list, max_length=7, description="On which it begins; empty: every day.")

    def record(self) -> QuietHours:
        return QuietHours(self.start, self.end, tuple(sorted({DAYS.index(day) for day in self.days})))


class HookIn(RequestModel):
    name: HookName
    kind: Annotated[str, StringConstraints(min_length=1, max_length=40)] = Field(
        description="webhook, mqtt, apprise, or one that a package brings.", examples=["webhook"]
    )
    options: Options = Field(
        default_factory=dict,
        description="What the kind needs, see docs/alerts.md; secrets are never shown again.",
        examples=[{"url": "https://home.example/alerts"}],
    )
    enabled: bool = True
    events: list[AlertKind] = Field(default_factory=list, max_length=8, description="Kinds of alerts; empty: all.")
    cameras: list[Id] = Field(default_factory=list, max_length=MOST, description="Ids of cameras; empty: all.")
    watches: list[Id] = Field(default_factory=list, max_length=MOST, description="Ids of watches; empty: all.")
    quiet_hours: list[QuietHoursIn] = Field(default_factory=list, max_length=21)
    hold: bool = Field(False, description="What happens in quiet hours is sent when they end.")
    cooldown_s: Seconds = Field(0.0, description="Seconds after a message in which nothing is sent about the same.")
    group_s: Seconds = Field(
        0.0,
        description=(
            "Seconds in which repeats join the first alert; at the end one message tells how many. Where hooks differ, "
            "alerts join for the shortest time; a hook with a longer one is told of the newest when its time is over."
        ),
    )
    escalate_after_s: Annotated[float, Field(ge=5, le=86_400)] | None = Field(
        None, description="Of a next contact: told after this many seconds. Null: alerts.escalate_after_s."
    )
    escalates: int = Field(
        0,
        ge=0,
        le=9,
        description="0: told at once. 1: the next contact, told where nobody acknowledges; 2: the one after",
    )

    def draft(self) -> HookRecord:
        fields = self.model_dump(exclude={"quiet_hours", "events", "cameras", "watches"})
        return HookRecord(
            id="",
            **fields,
            events=tuple(self.events),
            cameras=tuple(self.cameras),
            watches=tuple(self.watches),
            quiet_hours=tuple(hours.record() for hours in self.quiet_hours),
        )


class HookPatch(PatchModel):
    """Fields left out stay as they are; `options` are replaced whole, `***` keeps a secret."""

    name: HookName = optional_field()
    options: Options = optional_field()
    enabled: bool = optional_field()
    events: list[AlertKind] = optional_field(max_length=8)
    cameras: list[Id] = optional_field(max_length=MOST)
    watches: list[Id] = optional_field(max_length=MOST)
    quiet_hours: list[QuietHoursIn] = optional_field(max_length=21)
    hold: bool = optional_field()
    cooldown_s: Seconds = optional_field()
    group_s: Seconds = optional_field()
    escalate_after_s: Annotated[float, Field(ge=5, le=86_400)] | None = None
    escalates: int = optional_field(ge=0, le=9)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("empty", "Give at least one field.")
        return self

    def changes(self) -> dict[str, Any]:
        changes = super().changes()
        for name in ("events", "cameras", "watches"):
            if name in changes:
                changes[name] = tuple(changes[name])
        if "quiet_hours" in changes:
            changes["quiet_hours"] = tuple(hours.record() for hours in self.quiet_hours)
        return changes


class QuietHoursOut(ResponseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    start: str = Field(alias="from")
    end: str = Field(alias="to")
    days: list[Day]


class HookStateOut(ResponseModel):
    ok: bool | None = Field(description="Whether the newest message was taken; null: none was sent yet.")
    last_error: str | None
    waiting: int = Field(description="Messages that wait to be sent.")
    retry_in_s: float | None = Field(description="The pause before the next try.")


class HookOut(ResponseModel):
    id: str
    name: str
    kind: str
    options: dict[str, Any] = Field(description="Secrets as ***.")
    enabled: bool
    events: list[AlertKind]
    cameras: list[str]
    watches: list[str]
    quiet_hours: list[QuietHoursOut]
    hold: bool
    cooldown_s: float
    group_s: float
    escalate_after_s: float | None
    escalates: int
    created_at: str
    updated_at: str
    state: HookStateOut
    notice: str | None = Field(
        description="After a change: what became of the options, and why nothing can arrive; null where all is well."
    )


class HooksOut(ResponseModel):
    data: list[HookOut]
    next: None


class HookTestOut(ResponseModel):
    ok: bool
    status: int | None = Field(description="Of the answer, for HTTP.")
    message: str
    took_s: float
    delivery_id: str


class HookSecretOut(ResponseModel):
    secret: str


class DeliveryOut(ResponseModel):
    id: str = Field(description="What a receiver tells repeats by.")
    alert_id: str | None = Field(description="null: a test")
    title: str | None = Field(description="Of the alert; null where it is gone.")
    reason: Reason
    state: DeliveryState
    at: str = Field(description="RFC 3339 time at which it was written.")
    due_at: str | None = Field(description="For `later`: when its time comes.")
    attempts: int
    last_at: str | None = Field(description="The newest try.")
    status: int | None
    error: str | None = Field(description="What the newest try came to, or why it was not sent.")
    took_s: float | None


class DeliveriesOut(ResponseModel):
    data: list[DeliveryOut]
    next: str | None
