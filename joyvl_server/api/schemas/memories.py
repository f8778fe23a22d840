"""Memories as clients see, choose and write them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from joyvl_server.api.schemas.common import PageQuery, PatchModel, RequestModel, ResponseModel, Text, optional_field
from joyvl_server.store.memories.records import MemoryFilter, MemoryKind

LONGEST_QUERY = 10_000

Collection = Annotated[str, Field(min_length=1, max_length=200)]


class MemoriesFilter(RequestModel):
    """What all of them must have in common; each thing that is given narrows it."""

    # Strict is for JSON; a query has only words.
    model_config = {"extra": "forbid", "strict": False}

    camera_id: str | None = Field(None, max_length=80)
    session_id: str | None = Field(None, max_length=80)
    collection: Collection | None = Field(
        None, description="The id of a camera, `user:NAME`, `browser:ID` or `shared`."
    )
    kind: list[MemoryKind] = Field(default_factory=list, max_length=20, description="One of these; may be repeated.")
    kept: bool | None = None
    since: AwareDatetime | None = Field(
        None, description="RFC 3339 time; what ended at it or later.", examples=["2026-11-20T09:30:00Z"]
    )
    until: AwareDatetime | None = Field(None, description="RFC 3339 time; what began before it.")

    def to_filter(self) -> MemoryFilter:
        return MemoryFilter(
            collections=() if self.collection is None else (self.collection,),
            camera_id=self.camera_id,
            session_id=self.session_id,
            kinds=tuple(self.kind),
            kept=self.kept,
            since=None if self.since is None else self.since.timestamp(),
            until=None if self.until is None else self.until.timestamp(),
        )


class MemoriesQuery(MemoriesFilter, PageQuery):
    query: str | None = Field(None, max_length=LONGEST_QUERY, description="Words, or with `by=meaning` a question.")
    by: Literal["words", "meaning"] = Field(
        "words", description="`words`: each of them. `meaning`: the nearest, best first; one page."
    )


class MemoriesToForget(MemoriesFilter):
    all: bool = Field(False, description="All there are. Nothing else may be given with it.")


class MemoryIn(RequestModel):
    text: Text = Field(examples=["The blue box on the table is mine."])
    camera_id: str | None = Field(None, max_length=80, description="A camera that it is about.")
    collection: Collection | None = Field(
        None, description="Where it belongs. Without it: the camera's, or `shared`, which all know."
    )


class MemoryPatch(PatchModel):
    text: Text = optional_field()
    kept: bool = optional_field()


class MemoryOut(ResponseModel):
    id: str
    collection: str
    camera_id: str | None
    session_id: str | None
    kind: MemoryKind
    text: str
    at: str = Field(description="RFC 3339 time at which it begins.")
    wall: float = Field(description="The same in Unix seconds.")
    until: str = Field(description="RFC 3339 time at which it ends; the same as `at` where it is about one moment.")
    kept: bool = Field(description="Retention leaves it.")
    event_id: str | None = Field(description="The event that it is from.")
    picture_url: str | None
    source: str = Field(description="In words, where it comes from.")
    score: float | None = Field(description="With `by=meaning`: it only orders one answer.")


class MemoriesOut(ResponseModel):
    data: list[MemoryOut]
    next: str | None


class CollectionOut(ResponseModel):
    collection: str
    camera_id: str | None
    count: int
    oldest: str
    newest: str


class CollectionsOut(ResponseModel):
    data: list[CollectionOut]
    next: None
    by_meaning: bool | None = Field(
        description="Is a model there that finds memories by meaning? Without one, words alone find them. null: not "
        "known yet."
    )


class ForgottenOut(ResponseModel):
    deleted: int = Field(description="Memories that are gone for good.")
    events: int = Field(description="Events that went with them.")
