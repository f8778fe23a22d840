"""Ticks as clients see them."""

from __future__ import annotations

from pydantic import AwareDatetime, ConfigDict, Field

from joyvl_server.api.schemas.common import RequestModel, ResponseModel


class TicksQuery(RequestModel):
    model_config = ConfigDict(extra="forbid", strict=False)

    limit: int = Field(600, ge=1, le=900, description="At most this many, newest first.")
    after: str | None = Field(
        None, pattern=r"^\d{1,18}$", description="The cursor `next` of the page before, or the `id` of a tick."
    )
    since: AwareDatetime | None = Field(None, description="RFC 3339 time; ticks decided at it or later.")
    until: AwareDatetime | None = Field(None, description="RFC 3339 time; ticks decided before it.")

    @property
    def before(self) -> int | None:
        """Only ticks with a smaller id follow that one: they are newest first."""
        return None if self.after is None else int(self.after)

    def covers(self, id: int) -> bool:
        """Is the tick of this id (microseconds since 1970) asked for?"""
        return (
            (self.before is None or id < self.before)
            and (self.since is None or id >= round(self.since.timestamp() * 1e6))
            and (self.until is None or id < round(self.until.timestamp() * 1e6))
        )


class TimingsOut(ResponseModel):
    frame_age_ms: float | None
    request_ms: float | None
    score_ms: float | None
    total_ms: float | None


class ShareOut(ResponseModel):
    """How likely the remark is about one watch or query; both ids are null for none of those that were offered."""

    watch_id: str | None
    query_id: str | None
    share: float = Field(description="0 to 1; the shares of one tick sum to 1.")


class TickOut(ResponseModel):
    """One second: what was decided, why, and how long it took."""

    id: str = Field(description="Time of the decision in microseconds since 1970; unique in its session, and a cursor.")
    t: float = Field(description="Stream seconds of the session.")
    wall: float = Field(description="Unix seconds.")
    decision: str = Field(description="silent, speak or delegate")
    skipped: str | None = Field(
        description="busy, late, no_frame, offline, still, failed or away: why there was no decision."
    )
    suppressed: str | None = Field(
        description="cooldown, duplicate, zone, kind, empty, hovering or below: why it wanted to speak and did not."
    )
    score: float | None = Field(description="How strongly it wanted to speak, 0 to 1.")
    threshold: float | None = Field(
        description="What the score was compared with: the threshold of what the remark is about, else the lowest one."
    )
    kind: str | None
    zone: str | None
    box: list[float] | None = Field(description="[x0, y0, x1, y1], parts of the picture.")
    text: str
    question: str
    watches: list[str]
    look: str = Field(description="full, glance or skip: what the frame was allowed to cost.")
    change: float | None = Field(description="How much the picture changed since the last full look, 0 to 1.")
    epoch: int | None = Field(description="Names one utterance; the updates of its text have it too.")
    query: str | None = Field(description="The query this answers.")
    attribution: list[ShareOut] | None = Field(
        description="What the engine took the remark to be about, the largest share first; null where it was not asked."
    )
    detail: str = Field(description="What failed, when it did.")
    compact: bool = Field(
        description=(
            "True when only score, threshold, decision and kind are left of the tick: the server keeps text, zone, "
            "box, watches, shares and timings for `store.tick_detail_days`."
        )
    )
    timings: TimingsOut


class TicksOut(ResponseModel):
    data: list[TickOut] = Field(description="Newest first.")
    next: str | None
