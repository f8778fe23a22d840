"""The shapes of what goes out: ticks, watches, queries, sources, as JSON-able dicts. Updates and REST share them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

from joyvl_server.core.decisions import Pressure
from joyvl_server.core.effects import Decided
from joyvl_server.core.watches.kinds import in_words
from joyvl_server.core.watches.zones import Zone
from joyvl_server.engines.base import Capabilities
from joyvl_server.ingest.base import SourceState
from joyvl_server.kit.masking import mask_text
from joyvl_server.sessions.engines.state import EngineState
from joyvl_server.sessions.machine.tick_timer import Timings
from joyvl_server.sessions.query_list import QueryView
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.settings import SessionSettings
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.ticks.records import TickRecord
from joyvl_server.store.watches import WatchRecord


class Observed(Protocol):
    """The part of a session that clients see."""

    @property
    def record(self) -> SessionRecord: ...
    @property
    def engine_name(self) -> str: ...
    @property
    def capabilities(self) -> Capabilities: ...
    @property
    def spec(self) -> SessionSpec: ...
    @property
    def settings(self) -> SessionSettings: ...
    @property
    def pressure(self) -> Pressure: ...
    @property
    def state(self) -> SourceState: ...
    @property
    def engine_state(self) -> EngineState: ...
    @property
    def last_remark(self) -> dict[str, Any] | None: ...
    def watches(self) -> list[WatchRecord]: ...
    def queries(self) -> list[QueryView]: ...
    def latency(self) -> dict[str, float | int | None]: ...


def rfc3339(wall: float) -> str:
    """Unix seconds as an RFC 3339 time in UTC with milliseconds."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tick_record(session_id: str, id: int, decided: Decided, timings: Timings, threshold: float) -> TickRecord:
    box = decided.box
    return TickRecord(
        id=id,
        session_id=session_id,
        t=round(decided.t, 3),
        wall=round(decided.wall, 3),
        decision=decided.decision.value,
        look=decided.look.value,
        score=decided.score,
        threshold=threshold,
        change=_rounded(decided.change, 4),
        skipped=decided.skipped and decided.skipped.value,
        suppressed=decided.suppressed and decided.suppressed.value,
        kind=decided.kind,
        query=decided.query,
        epoch=decided.epoch,
        watches=decided.watches,
        frame_age_ms=_rounded(timings.frame_age_ms, 2),
        request_ms=_rounded(timings.request_ms, 2),
        score_ms=_rounded(timings.score_ms, 2),
        total_ms=_rounded(timings.total_ms, 2),
        zone=decided.zone,
        box=None if box is None else tuple(round(v, 4) for v in (box.x0, box.y0, box.x1, box.y1)),
        text=decided.text,
        question=decided.question,
        detail=decided.detail,
    )


def kept_tick(record: TickRecord) -> dict[str, Any]:
    """A tick as clients see it: updates, memory and store show the same."""
    return {
        "id": str(record.id),
        "t": record.t,
        "wall": record.wall,
        "decision": record.decision,
        "skipped": record.skipped,
        "suppressed": record.suppressed,
        "score": _rounded(record.score, 4),
        "threshold": _rounded(record.threshold, 4),
        "kind": record.kind,
        "zone": record.zone,
        "box": None if record.box is None else list(record.box),
        "text": record.text,
        "question": record.question,
        "watches": list(record.watches),
        "look": record.look,
        "change": record.change,
        "epoch": record.epoch,
        "query": record.query,
        "detail": record.detail,
        "compact": record.compact,
        "timings": {
            "frame_age_ms": record.frame_age_ms,
            "request_ms": record.request_ms,
            "score_ms": record.score_ms,
            "total_ms": record.total_ms,
        },
    }


def watch(record: WatchRecord, of: Observed | None) -> dict[str, Any]:
    """`of` is the session it stands in, while that runs."""
    return {
        "id": record.id,
        "session_id": record.session_id,
        "name": record.name,
        "text": record.text,
        "zones": list(record.zones),
        "threshold": record.threshold,
        "paused": record.paused,
        "kinds": list(record.fires_at),
        "query_id": record.query_id,
        "created_at": rfc3339(record.created_wall),
        "note": None if of is None else watch_note(record, of),
    }


def watch_note(record: WatchRecord, of: Observed) -> str | None:
    """What the engine makes of a watch's words, where that is not what people expect."""
    if of.capabilities.follows_instructions:
        return None
    at = in_words(record.fires_at if of.capabilities.reports_kinds else ())
    where = " in its zones" if record.zones else ""
    return f"The engine {of.engine_name} does not read words: this watch fires {at}{where}."


def query(view: QueryView) -> dict[str, Any]:
    return {
        "id": view.id,
        "text": view.text,
        "status": view.status,
        "asked_at": rfc3339(view.asked_wall),
        "answer": view.answer,
        "watch_id": view.watch_id,
    }


def zones(of: Iterable[Zone]) -> list[dict[str, Any]]:
    return [{"name": z.name, "points": [list(p) for p in z.points]} for z in of]


def source(state: SourceState) -> dict[str, Any]:
    return {
        "status": state.status.value,
        "since": rfc3339(state.since_wall),
        "error_code": state.error_code,
        "error": state.error,
        "retry_in_s": state.retry_in_s,
        "attempts": state.attempts,
        "width": state.width,
        "height": state.height,
        "fps": state.fps,
        "codec": state.codec,
    }


def engine_state(state: EngineState) -> dict[str, Any]:
    """Whether the engine decides for a session, and if not why. Sentences of an engine's may quote addresses."""
    return {
        "status": state.status.value,
        "code": state.code,
        "reason": None if state.reason is None else mask_text(state.reason),
        "since": rfc3339(state.since_wall),
    }


PRESSURES = {
    Pressure.NONE: "The engine keeps up.",
    Pressure.GLANCES: "Short of engine time: the engine gets small pictures where little changed.",
    Pressure.SLOWER: "Short of engine time: the engine looks less often at still cameras.",
    Pressure.FULL: "Short of engine time: the engine takes no further session.",
}


def pressure(step: Pressure) -> dict[str, Any]:
    """How short of time the engine is: the ladder's step, its name for programs and a sentence for people."""
    return {"step": int(step), "name": step.name.lower(), "sentence": PRESSURES[step]}


def session(of: Observed) -> dict[str, Any]:
    """A session as clients see it: REST and `session.created` show the same."""
    record = of.record
    return {
        "id": record.id,
        "kind": record.kind,
        "name": record.name,
        "camera_id": record.camera_id,
        **of.spec.shown(of.settings),
        "engine": of.engine_name,
        "capabilities": asdict(of.capabilities),
        "tick_s": of.settings.tick_s,
        "pressure": pressure(of.pressure),
        "state": source(of.state),
        "engine_state": engine_state(of.engine_state),
        "watches": [watch(w, of) for w in of.watches()],
        "queries": [query(q) for q in of.queries() if q.status == "open"],
        "last_remark": of.last_remark,
        "latency": of.latency(),
        "created_at": rfc3339(record.created_wall),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
