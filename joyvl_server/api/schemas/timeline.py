"""Events as clients ask for and see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from joyvl_server.api.schemas.common import MAX_PAGE, PageQuery, RequestModel, ResponseModel
from joyvl_server.core.watches.kinds import ALIASES, WatchKind
from joyvl_server.store.events import ClipState, EventFilter, EventType

MAX_QUERY = 500
CURSOR = r"^[a-z]{1,16}_[0-9a-z]{26}(~[0-9]{1,18}~-?0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,3})?$"
"""an id, or `EventRecord.cursor`"""


class EventsFilter(RequestModel):
    """Events that match everything given."""

    model_config = ConfigDict(extra="forbid", strict=False)

    query: str | None = Field(
        None,
        max_length=MAX_QUERY,
        description=(
            "Words that all occur in the text or in the name of a watch; in Chinese any piece of a sentence, a single "
            "character too. `smok*` finds what begins so. With `by=meaning`, what it is about."
        ),
    )
    camera_id: str | None = Field(None, max_length=80)
    session_id: str | None = Field(None, max_length=80)
    type: list[EventType] = Field(default_factory=list, max_length=40, description="May be given several times.")
    kind: list[WatchKind] = Field(
        default_factory=list,
        max_length=40,
        description="The kind of happening. May be given several times.",
    )
    watch_id: str | None = Field(None, max_length=80, description="Events that this watch is named in.")
    kept: bool | None = None
    since: AwareDatetime | None = Field(
        None, description="RFC 3339 time; events at it or later.", examples=["2026-11-20T09:30:00Z"]
    )
    until: AwareDatetime | None = Field(None, description="RFC 3339 time; events before it.")

    def to_filter(self) -> EventFilter:
        """The same for the store; a `query` counts as words."""
        return EventFilter(
            words=self.query,
            session_id=self.session_id,
            camera_id=self.camera_id,
            types=tuple(self.type),
            kinds=(*self.kind, *(alias for alias, kind in ALIASES.items() if kind in self.kind)),
            watch_id=self.watch_id,
            kept=self.kept,
            since=None if self.since is None else self.since.timestamp(),
            until=None if self.until is None else self.until.timestamp(),
        )


class EventsQuery(EventsFilter, PageQuery):
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="At most this many, newest first.")
    after: str | None = Field(None, pattern=CURSOR, description="The cursor `next` of the page before, or an id.")
    by: Literal["words", "meaning"] = Field(
        "words", description="What `query` means. By meaning, the nearest come first and there is no next page."
    )


class EventChange(RequestModel):
    kept: bool = Field(description="Whether it and its files stay when the oldest must go.")


class WatchNameOut(ResponseModel):
    id: str
    name: str = Field(description="As it was called then; empty for events of older versions.")


class ClipOut(ResponseModel):
    state: ClipState
    reason: str = Field(description="A sentence: why there is no clip. Empty where there is nothing to say.")
    url: str | None
    seconds_before: float | None = Field(description="Seconds that it shows before the event.")


class EventOut(ResponseModel):
    id: str
    session_id: str
    camera_id: str | None
    camera: str | None = Field(description="The name of the camera or session, also of one that is deleted.")
    type: str
    t: float = Field(description="Stream seconds of the session.")
    at: str = Field(description="RFC 3339 time.")
    wall: float = Field(description="The same in Unix seconds.")
    text: str
    data: dict[str, Any]
    kept: bool
    score: float | None
    threshold: float | None
    kind: str | None
    watches: list[WatchNameOut]
    transcript: list[str] = Field(description="What people said or typed around a remark, oldest first.")
    picture_url: str | None = Field(description="The picture that made it speak, as JPEG.")
    clip: ClipOut


class EventsOut(ResponseModel):
    data: list[EventOut]
    next: str | None


class EventsDeletedOut(ResponseModel):
    deleted: int
