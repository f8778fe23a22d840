"""Sessions, watches and queries as clients see them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from joyvl_server.api.schemas.common import PatchModel, RequestModel, ResponseModel, Text, optional_field
from joyvl_server.api.schemas.settings import SettingsPatch, with_settings
from joyvl_server.api.schemas.ticks import TickOut
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.engines.base import Mode
from joyvl_server.sessions.engines.state import EngineStatus
from joyvl_server.sessions.spec import Name, Threshold
from joyvl_server.sessions.watch_list import WatchDraft

KindsIn = Annotated[
    list[Annotated[WatchKind, Strict(False)]],
    Field(
        max_length=32,
        description=(
            "What it fires at, with engines that report kinds; empty: anything. Null: the kinds that its text names, "
            "also when the text changes. Engines that read words follow the text."
        ),
    ),
]


class WatchIn(RequestModel):
    text: Text = Field(examples=["Tell me when someone falls."])
    name: Name | None = Field(None, description="Short name; without one, the beginning of the text.")
    zones: list[Name] = Field(
        default_factory=list, max_length=32, description="Names of zones; empty: the whole picture."
    )
    threshold: Threshold | None = Field(None, description="Null: the session's.")
    paused: bool = False
    kinds: KindsIn | None = None

    def to_draft(self) -> WatchDraft:
        kinds = None if self.kinds is None else tuple(self.kinds)
        return WatchDraft(self.text, self.name, tuple(self.zones), self.threshold, self.paused, kinds=kinds)


class WatchPatch(PatchModel):
    """Fields left out stay as they are."""

    name: Name = optional_field()
    text: Text = optional_field()
    zones: list[Name] = optional_field(max_length=32)
    threshold: Threshold | None = None
    paused: bool = optional_field()
    kinds: KindsIn | None = None

    def changes(self) -> dict[str, Any]:
        changes = super().changes()
        if "zones" in changes:
            changes["zones"] = tuple(self.zones)
        if self.kinds is not None:
            changes["kinds"] = tuple(self.kinds)
        return changes


class QueryIn(RequestModel):
    text: Text = Field(examples=["How many people are in the room?"])


@with_settings(live=True, camera=False)
class SessionPatch(SettingsPatch):
    """Fields left out stay as they are; null is the server's default."""


class WatchOut(ResponseModel):
    id: str
    session_id: str
    name: str
    text: str
    zones: list[str]
    threshold: float | None
    paused: bool
    kinds: list[WatchKind] = Field(description="What it fires at, with engines that report kinds; empty: anything.")
    query_id: str | None = Field(description="The query that became this watch. Delete the watch to undo that.")
    created_at: str
    note: str | None = Field(description="How the engine treats the watch, where that is not what one expects.")


class WatchesOut(ResponseModel):
    data: list[WatchOut]
    next: str | None


class QueryOut(ResponseModel):
    id: str
    text: str
    status: str = Field(
        description=(
            "open, answered, withdrawn, expired; standing: it became a watch; cancel: it ended a watch or a question"
        ),
        examples=["open"],
    )
    asked_at: str
    answer: str | None
    watch_id: str | None = Field(description="The watch that the query became, or that it paused.")
    rests_on: list[str] = Field(description="Ids of the events and memories that the answer rests on, best first.")
    note: str | None = Field(description="A sentence, where it was asked without what it needs.")


class QueriesOut(ResponseModel):
    data: list[QueryOut]
    next: str | None


class CapabilitiesOut(ResponseModel):
    """What an engine can do; probed where it can be."""

    mode: Mode = Field(
        description=(
            "structure: it sees changes and movement, no words. scored: the probability of the model's own markers. "
            "markers: the model writes its markers. instruct: any vision model, with instructions in words."
        )
    )
    note: str = Field(description="What users should know about the engine; empty if nothing.")
    follows_instructions: bool = Field(description="Reads watches and queries as words.")
    scores: bool = Field(description="The score is a probability, not only 0 or 1.")
    reports_kinds: bool = Field(description="Says what kind of thing happened, and where.")
    needs_every_frame: bool = Field(description="It needs every frame in full size.")
    takes_back: bool = Field(description="A turn that failed leaves no trace in what it remembers.")
    chooses: bool = Field(description="Says which watch a remark is about, and whether a query is a question.")
    prepares: bool = Field(description="Prepares the next chunk of context while the present one runs.")
    writes: bool = Field(description="Writes summaries.")
    prefills: bool = Field(description="Continues a begun answer.")
    uuids: bool = Field(description="Gets each picture once; later requests name it.")
    priority: bool = Field(description="Orders its waiting requests by priority.")
    context_tokens: int | None = Field(description="The longest prompt with its answer.")
    cache_tokens: int | None = Field(description="Tokens that its cache holds for all sessions.")
    parallel: int = Field(description="Requests that it handles well at the same time.")


class PressureOut(ResponseModel):
    """How short of time the engine is."""

    step: int = Field(description="0 to 3, one of the names.")
    name: Literal["none", "glances", "slower", "full"] = Field(
        description=(
            "none: it keeps up. glances: small pictures where little changed. slower: also fewer looks at still "
            "cameras. full: also no further session."
        )
    )
    sentence: str = Field(examples=["Short of engine time: the engine looks less often at still cameras."])


class EngineStateOut(ResponseModel):
    """Whether the engine decides for this session."""

    status: EngineStatus = Field(
        description=(
            "ready: it decides. loading: it starts, loads its model, or was not asked yet. away: it cannot be reached "
            "or does not answer. cannot: it answers and cannot decide. slow: it decides, but less than once a second."
        )
    )
    code: str | None = Field(description="A stable word; null while it decides as usual, and until it was asked.")
    reason: str | None = Field(description="A sentence for people; null while there is nothing to say.")
    since: str = Field(description="RFC 3339 time.")


class LatencyOut(ResponseModel):
    p50_ms: float | None
    p95_ms: float | None
    count: int


class SpeechOut(ResponseModel):
    """What the session says aloud and hears."""

    speaks: Literal["off", "client", "server"] = Field(
        description="client: it speaks with a voice of its own (the browser's). server: the sound comes from here."
    )
    audible: bool = Field(description="Somebody hears what it says now.")
    hears: bool = Field(description="The source has sound.")
    plays: bool = Field(description="The other side of the call hears the server.")
    half_duplex: bool = Field(description="It hears nothing while it speaks: nothing takes its own voice out.")
    error: str | None = Field(description="What is wrong with its sound, as a sentence.")


@with_settings(resolved=True)
class SessionOut(ResponseModel):
    id: str
    kind: str = Field(description="camera, call or file")
    name: str
    camera_id: str | None
    engine: str
    capabilities: CapabilitiesOut
    tick_s: float
    pressure: PressureOut
    zones: list[dict[str, Any]]
    state: dict[str, Any] | None
    engine_state: EngineStateOut
    watches: list[WatchOut]
    queries: list[QueryOut] = Field(description="The open ones.")
    last_remark: TickOut | None = Field(description="The newest second in which it spoke or delegated.")
    latency: LatencyOut = Field(description="From the capture of a frame to its decision.")
    speech: SpeechOut
    created_at: str


class SessionsOut(ResponseModel):
    data: list[SessionOut]
    next: str | None
