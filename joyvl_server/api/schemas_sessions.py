"""Sessions, ticks, watches and queries as clients see them."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from joyvl_server.api.schemas import Input, Name, Output, Text, Threshold, kept
from joyvl_server.sessions.standing import WatchDraft


class WatchIn(Input):
    text: Text = Field(examples=["Tell me when someone falls."])
    name: Name | None = Field(None, description="Short name; without one, the beginning of the text.")
    zones: list[Name] = Field(
        default_factory=list, max_length=32, description="Names of zones; empty: the whole picture."
    )
    threshold: Threshold | None = Field(None, description="Null: the session's.")
    paused: bool = False

    def to_draft(self) -> WatchDraft:
        return WatchDraft(self.text, self.name, tuple(self.zones), self.threshold, self.paused)


class WatchPatch(Input):
    """Fields left out stay as they are."""

    name: Name = kept()
    text: Text = kept()
    zones: list[Name] = kept(max_length=32)
    threshold: Threshold | None = None
    paused: bool = kept()

    def changes(self) -> dict[str, Any]:
        changes: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        if "zones" in changes:
            changes["zones"] = tuple(self.zones)
        return changes


class QueryIn(Input):
    text: Text = Field(examples=["How many people are in the room?"])


class SessionPatch(Input):
    threshold: Threshold


class TicksQuery(Input):
    model_config = ConfigDict(extra="forbid", strict=False)

    limit: int = Field(600, ge=1, le=900, description="The newest ones, at most this many.")


class WatchOut(Output):
    id: str
    session_id: str
    name: str
    text: str
    zones: list[str]
    threshold: float | None
    paused: bool
    created_at: str
    note: str | None = Field(description="What the engine makes of it, where that is not what one expects.")


class WatchesOut(Output):
    data: list[WatchOut]
    next: str | None


class QueryOut(Output):
    id: str
    text: str
    status: str = Field(description="open, answered, withdrawn or expired", examples=["open"])
    asked_at: str
    answer: str | None


class QueriesOut(Output):
    data: list[QueryOut]
    next: str | None


class TimingsOut(Output):
    frame_age_ms: float | None
    request_ms: float | None
    score_ms: float | None
    total_ms: float | None


class TickOut(Output):
    """One second: what was decided, why, and how long it took."""

    t: float = Field(description="Stream seconds of the session.")
    wall: float = Field(description="Unix seconds.")
    decision: str = Field(description="silent, speak or delegate")
    skipped: str | None = Field(description="busy, late, no_frame, offline, still or failed: no decision was taken.")
    suppressed: str | None = Field(description="cooldown, duplicate, zone or empty: it wanted to speak and did not.")
    score: float | None
    kind: str | None
    zone: str | None
    box: list[float] | None = Field(description="[x0, y0, x1, y1], parts of the picture.")
    text: str
    question: str
    watches: list[str]
    look: str = Field(description="full, glance or skip: what the frame was allowed to cost.")
    change: float | None = Field(description="How much the picture changed since the last full look, 0 to 1.")
    epoch: int | None = Field(description="Names one remark; the updates of its text carry it too.")
    query: str | None = Field(description="The query this answers.")
    detail: str = Field(description="What failed, when it did.")
    timings: TimingsOut


class TicksOut(Output):
    data: list[TickOut] = Field(description="Oldest first.")
    next: None


class CapabilitiesOut(Output):
    follows_instructions: bool = Field(description="Reads watches and queries as words.")
    scores: bool = Field(description="The score is a probability, not only 0 or 1.")
    reports_kinds: bool = Field(description="Says what kind of thing happened, and where.")
    needs_every_frame: bool = Field(description="No frame may be skipped or shrunk.")


class LatencyOut(Output):
    p50_ms: float | None
    p95_ms: float | None
    count: int


class SessionOut(Output):
    id: str
    kind: str = Field(description="camera, call or file")
    name: str
    camera_id: str | None
    engine: str
    capabilities: CapabilitiesOut
    threshold: float
    tick_s: float
    zones: list[dict[str, Any]]
    state: dict[str, Any] | None
    watches: list[WatchOut]
    queries: list[QueryOut] = Field(description="The open ones.")
    last_remark: TickOut | None = Field(description="The newest second in which it spoke or delegated.")
    latency: LatencyOut = Field(description="From the capture of a frame to its decision.")
    created_at: str


class SessionsOut(Output):
    data: list[SessionOut]
    next: str | None
