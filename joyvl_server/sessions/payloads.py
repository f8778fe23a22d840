"""The shapes of what goes out: ticks, watches, queries, sources, as JSON-able dicts. Updates and REST share them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from joyvl_server.core.decisions import Pressure
from joyvl_server.core.watches.zones import Zone
from joyvl_server.engines.base import Capabilities
from joyvl_server.ingest.base import SourceState
from joyvl_server.kit.masking import mask_text
from joyvl_server.sessions.engines.state import EngineState
from joyvl_server.sessions.query_list import QueryView
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.settings import SessionSettings
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.tasks import TaskOutline, TaskRecord
from joyvl_server.store.ticks.records import TickRecord
from joyvl_server.store.watches import WatchRecord


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as it is now; `settings` are those that count for it."""

    record: SessionRecord
    spec: SessionSpec
    settings: SessionSettings
    capabilities: Capabilities
    pressure: Pressure
    source: SourceState
    engine: EngineState
    watches: list[dict[str, Any]]
    queries: list[QueryView]
    last_remark: TickRecord | None
    latency: dict[str, float | int | None]
    speech: dict[str, Any]


def rfc3339(wall: float) -> str:
    """Unix seconds as an RFC 3339 time in UTC with milliseconds."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tick(record: TickRecord) -> dict[str, Any]:
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
        "attribution": None if record.attribution is None else list(record.attribution),
        "detail": record.detail,
        "compact": record.compact,
        "timings": {
            "frame_age_ms": record.frame_age_ms,
            "request_ms": record.request_ms,
            "score_ms": record.score_ms,
            "total_ms": record.total_ms,
        },
    }


def watch(record: WatchRecord, note: str | None = None) -> dict[str, Any]:
    """`note`: what the engine makes of its words, while its session runs; see `WatchList.note`."""
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
        "note": note,
    }


def query(view: QueryView) -> dict[str, Any]:
    return {
        "id": view.id,
        "text": view.text,
        "status": view.status,
        "asked_at": rfc3339(view.asked_wall),
        "answer": view.answer,
        "watch_id": view.watch_id,
        "rests_on": list(view.rests_on),
        "note": view.note,
    }


def task(record: TaskRecord, *, brief: bool = False) -> dict[str, Any]:
    """`brief`: without the answer and what it asks for."""
    shown: dict[str, Any] = {
        "id": record.id,
        "session_id": record.session_id,
        "camera_id": record.camera_id,
        "agent": record.agent,
        "status": record.status,
        "origin": record.origin,
        "question": record.question,
        "note": record.note,
        "follows": record.follows,
        "created_at": rfc3339(record.created_wall),
        "started_at": None if record.started_wall is None else rfc3339(record.started_wall),
        "ended_at": None if record.ended_wall is None else rfc3339(record.ended_wall),
        "digest": record.digest,
        "error": record.error,
        "code": record.code,
        "delivered": record.delivered,
    }
    if not brief:
        shown |= {
            "t": record.t,
            "progress": record.progress,
            "permission": _permission(record),
            "answer": record.answer,
            "files": [asdict(file) for file in record.files],
        }
    return shown


def task_outline(outline: TaskOutline) -> dict[str, Any]:
    """What lists have: how much there is of the answer, in place of it and its files."""
    record = outline.task
    return {
        **task(record, brief=True),
        "t": record.t,
        "progress": record.progress,
        "permission": _permission(record),
        "answer_chars": outline.answer_chars,
        "files_count": len(record.files),
        "files_bytes": sum(file.bytes for file in record.files),
    }


def _permission(record: TaskRecord) -> dict[str, Any] | None:
    if record.permission is None:
        return None
    return {**record.permission, "until": rfc3339(record.permission["until"])}


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
    """How short of time the engine is: the step, its name for programs and a sentence for people."""
    return {"step": int(step), "name": step.name.lower(), "sentence": PRESSURES[step]}


def session(view: SessionView) -> dict[str, Any]:
    """A session as clients see it: REST and `session.created` show the same."""
    record, settings = view.record, view.settings
    return {
        "id": record.id,
        "kind": record.kind,
        "name": record.name,
        "camera_id": record.camera_id,
        **view.spec.shown(settings),
        "engine": record.engine,
        "capabilities": asdict(view.capabilities),
        "tick_s": settings.tick_s,
        "pressure": pressure(view.pressure),
        "state": source(view.source),
        "engine_state": engine_state(view.engine),
        "watches": view.watches,
        "queries": [query(q) for q in view.queries if q.status == "open"],
        "last_remark": None if view.last_remark is None else tick(view.last_remark),
        "latency": view.latency,
        "speech": view.speech,
        "created_at": rfc3339(record.created_wall),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
