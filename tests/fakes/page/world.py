"""What `page.server` serves: cameras and sessions that live in memory."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fakes.page.alerts import AlertBook
from fakes.page.events import EventBook
from fakes.page.memories import MemoryBook
from fakes.page.shapes import (
    NOTE,
    PRESSURES,
    STRUCTURE,
    engine_ready,
    probe_report,
    rfc3339,
    server_voices,
    source_state,
    speech_facts,
)
from fakes.page.tasks import TaskBook
from joyvl_server.core.watches.named_kinds import named_kinds
from joyvl_server.sessions.spec import SessionSpec


@dataclass
class Session:
    id: str
    name: str
    camera_id: str | None
    state: dict[str, Any]
    threshold: float = 0.5
    fidelity: str = "faithful"
    voice: str = "auto"
    listen: str = "auto"
    wake_word: str = ""
    pressure: int = 0
    capabilities: dict[str, Any] = field(default_factory=lambda: dict(STRUCTURE))
    zones: list[dict[str, Any]] = field(default_factory=list)
    watches: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)
    ticks: list[dict[str, Any]] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    engine_state: dict[str, Any] = field(default_factory=engine_ready)
    created: float = field(default_factory=time.time)
    closing: bool = False
    log_id: str = ""
    _ids: Any = field(default_factory=lambda: itertools.count(1))
    _epochs: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.log_id = f"log_{self.id}"

    def publish(self, type: str, **data: Any) -> None:
        seq = len(self.log) + 1
        head = {"type": type, "id": f"{self.log_id}-{seq}", "seq": seq, "wall": time.time(), "session_id": self.id}
        self.log.append({**head, **data})

    def note(self, type: str, text: str = "", *, wall: float | None = None, **data: Any) -> None:
        """One entry of the timeline."""
        wall = time.time() if wall is None else wall
        about = {"session_id": self.id, "camera_id": self.camera_id, "type": type, "t": wall - self.created}
        event = {"id": f"evt_{self.log_id}_{len(self.events)}", **about, "wall": wall, "at": rfc3339(wall)}
        self.events.append({**event, "text": text, "data": data})

    async def since(self, after: str | None) -> AsyncIterator[dict[str, Any]]:
        position = int(after.rpartition("-")[2]) if after and after.startswith(f"{self.log_id}-") else None
        if position is None:
            position = len(self.log)
            head = {"type": "session.created", "id": f"{self.log_id}-{position}", "seq": position, "wall": time.time()}
            yield {**head, "session_id": self.id, "session": self.to_dict()}
        spoken = time.monotonic()
        while not self.closing:
            while position < len(self.log):
                position += 1
                yield self.log[position - 1]
                spoken = time.monotonic()
                if self.log[position - 1]["type"] == "session.ended":
                    return
            if time.monotonic() - spoken > 2:
                spoken = time.monotonic()
                beat = {"type": "heartbeat", "id": f"{self.log_id}-{position}", "seq": position, "wall": time.time()}
                yield {**beat, "session_id": self.id}
            await asyncio.sleep(0.02)

    def tick(
        self,
        decision: str = "silent",
        *,
        text: str = "",
        question: str = "",
        skipped: str | None = None,
        suppressed: str | None = None,
        score: float | None = None,
        kind: str | None = None,
        zone: str | None = None,
        box: list[float] | None = None,
        watches: list[str] | None = None,
        query: str | None = None,
        wall: float | None = None,
        age_ms: float = 12.0,
    ) -> dict[str, Any]:
        wall = time.time() if wall is None else wall
        speaks = decision != "silent"
        total = None if skipped else age_ms + 20 + (len(self.ticks) * 7 % 40)
        tick = {
            "id": str(len(self.ticks) + 1),
            "t": round(wall - self.created, 3),
            "wall": wall,
            "decision": decision,
            "skipped": skipped,
            "suppressed": suppressed,
            "score": score,
            "kind": kind,
            "zone": zone,
            "box": box,
            "text": text,
            "question": question,
            "watches": watches or [],
            "look": "skip" if skipped else "full",
            "change": None,
            "epoch": next(self._epochs) if speaks else None,
            "query": query,
            "attribution": None,
            "detail": "",
            "timings": {"frame_age_ms": age_ms, "request_ms": 1.0, "score_ms": 14.0, "total_ms": total},
        }
        self.ticks.append(tick)
        if speaks:
            self.publish("response.created", epoch=tick["epoch"])
            for word in text.split(" "):
                self.publish("response.output_text.delta", epoch=tick["epoch"], delta=word + " ")
            self.publish(
                "response.output_text.done", epoch=tick["epoch"], t=tick["t"], wall=wall, text=text, urgency="remark"
            )
            self.publish("response.done", tick=tick)
            about = {
                key: tick[key] for key in ("score", "kind", "zone", "box", "watches", "query", "epoch", "question")
            }
            told = "watch_fired" if tick["watches"] else "spoke" if decision == "speak" else "delegated"
            self.note(told, text, wall=wall, **about)
            for watch_id in tick["watches"]:
                self.publish("watch.fired", watch_id=watch_id, tick=tick)
        else:
            self.publish("response.skip" if skipped else "response.listen", tick=tick)
        return tick

    def say(self, text: str, *, epoch: int | None = None) -> int:
        """Begin to say it, without a decision; returns its epoch."""
        epoch = next(self._epochs) if epoch is None else epoch
        self.publish("response.created", epoch=epoch)
        self.publish("response.output_text.delta", epoch=epoch, delta=text)
        return epoch

    def add_watch(
        self, text: str, *, paused: bool = False, query_id: str | None = None, kinds: list[str] | None = None
    ) -> dict[str, Any]:
        watch = {
            "id": f"wch_{self.id}_{next(self._ids)}",
            "session_id": self.id,
            "name": text[:40],
            "text": text,
            "zones": [],
            "threshold": None,
            "paused": paused,
            "kinds": list(named_kinds(text)) if kinds is None else kinds,
            "query_id": query_id,
            "created_at": rfc3339(time.time()),
            "note": None if self.capabilities["follows_instructions"] else NOTE,
        }
        self.watches.append(watch)
        self.publish("watch.created", watch=dict(watch), query_id=query_id)
        return watch

    def ask(self, text: str) -> dict[str, Any]:
        query = {
            "id": f"qry_{next(self._ids)}",
            "text": text,
            "status": "open",
            "asked_at": rfc3339(time.time()),
            "answer": None,
            "watch_id": None,
        }
        self.queries.append(query)
        self.publish("query.created", query=dict(query))
        self.note("query_asked", text, query_id=query["id"])
        return query

    def close_query(
        self,
        query_id: str,
        status: str,
        answer: str | None = None,
        *,
        watch_id: str | None = None,
        rests_on: tuple[str, ...] = (),
    ) -> None:
        """`rests_on`: ids of events and memories."""
        query = next(q for q in self.queries if q["id"] == query_id)
        query.update(status=status, answer=answer, watch_id=watch_id, rests_on=list(rests_on))
        self.publish("query.closed", query=dict(query))
        about = {"query_id": query_id, "reason": status, "epoch": None, "rests_on": list(rests_on)}
        self.note("query_closed", answer or "", **about)

    def press(self, step: int) -> None:
        """The engine is short of time, or no longer."""
        self.pressure = step
        self.publish("session.updated", session=self.to_dict())

    def change_state(self, **changes: Any) -> None:
        self.state.update(changes, since=rfc3339(time.time()))
        kind = "camera.online" if self.state["status"] == "online" else "camera.offline"
        self.publish(kind, state=dict(self.state))
        self.note(kind.replace(".", "_"), self.state["error"] or "", state=dict(self.state))

    def change_engine(self, status: str, reason: str | None = None, *, ago_s: float = 0.0) -> None:
        """The engine's state, as of `ago_s` seconds ago."""
        since = rfc3339(time.time() - ago_s)
        self.engine_state = {"status": status, "code": None, "reason": reason, "since": since}
        self.publish("session.updated", session=self.to_dict())
        if status in ("away", "cannot", "ready"):
            kind = "engine_online" if status == "ready" else "engine_offline"
            self.note(kind, reason or "", engine_state=dict(self.engine_state))

    def to_dict(self) -> dict[str, Any]:
        totals = sorted(t["timings"]["total_ms"] for t in self.ticks if not t["skipped"])
        rank = lambda share: totals[int(share * len(totals))] if totals else None  # noqa: E731
        return {
            "id": self.id,
            "kind": "camera" if self.camera_id else "call",
            "name": self.name,
            "camera_id": self.camera_id,
            "engine": "motion",
            "threshold": self.threshold,
            "tick_s": 1.0,
            "fidelity": self.fidelity,
            "frames_per_tick": 1,
            "voice": self.voice,
            "listen": self.listen,
            "wake_word": self.wake_word,
            "speech": speech_facts(self.voice),
            "pressure": {
                "step": self.pressure,
                "name": PRESSURES[self.pressure][0],
                "sentence": PRESSURES[self.pressure][1],
            },
            "zones": self.zones,
            "state": self.state,
            "engine_state": self.engine_state,
            "capabilities": self.capabilities,
            "watches": [dict(w) for w in self.watches],
            "queries": [dict(q) for q in self.queries if q["status"] == "open"],
            "last_remark": next((t for t in reversed(self.ticks) if t["decision"] != "silent"), None),
            "latency": {"p50_ms": rank(0.5), "p95_ms": rank(0.95), "count": len(totals)},
            "created_at": rfc3339(self.created),
        }


@dataclass
class Camera:
    id: str
    name: str
    url: str
    enabled: bool
    session_id: str
    state: dict[str, Any]
    spec: dict[str, Any] = field(default_factory=lambda: SessionSpec().model_dump(mode="json"))

    def to_dict(self, world: World) -> dict[str, Any]:
        session = world.sessions.get(self.session_id)
        return {
            "id": self.id,
            "name": self.name,
            "url": self.url,
            "enabled": self.enabled,
            "loop": False,
            "speed": 1.0,
            **self.spec,
            "zones": session.zones if session else [],
            "session_id": self.session_id,
            "created_at": rfc3339(time.time()),
            "updated_at": rfc3339(time.time()),
            "state": self.state if self.enabled else None,
            "engine_state": session.engine_state if session and self.enabled else None,
            "watches": session.watches if session else [],
        }


@dataclass
class World:
    cameras: dict[str, Camera] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    past: dict[str, Session] = field(default_factory=dict)
    sockets: set[Any] = field(default_factory=set)
    resumed_from: list[str | None] = field(default_factory=list)
    asked_for: list[dict[str, str]] = field(default_factory=list)
    """what each connection to updates asked for besides: `audio`, `speaks`"""
    reported: list[dict[str, Any]] = field(default_factory=list)
    """what pages told of their own voice"""
    talked: list[bool] = field(default_factory=list)
    sound: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """pieces of sound by session, for connections with `audio`"""
    voices: list[dict[str, str]] = field(default_factory=server_voices)
    refuse_until: float = 0.0
    time_zone: str = ""
    timeline: EventBook = field(default_factory=EventBook)
    memory: MemoryBook = field(default_factory=MemoryBook)
    alarm: AlertBook = field(default_factory=AlertBook)
    book: TaskBook = field(init=False)
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.book = TaskBook(self._task_changed)

    def _task_changed(self, task: dict[str, Any]) -> None:
        for session in self.sessions.values():
            if task["session_id"] == session.id or (task["camera_id"] and task["camera_id"] == session.camera_id):
                session.publish("task.updated", task=task)

    def add_camera(self, name: str, url: str, *, status: str = "online", enabled: bool = True) -> Camera:
        number = next(self._ids)
        state = source_state(status)
        camera = Camera(f"cam_{number}", name, url, enabled, f"ses_{number}", state)
        self.cameras[camera.id] = camera
        if enabled:
            self.sessions[camera.session_id] = Session(camera.session_id, name, camera.id, state)
        return camera

    def begin_anew(self, camera_id: str) -> None:
        """The camera's session ended; one with the same id starts, with a log of its own. The record goes on."""
        camera = self.cameras[camera_id]
        before = self.sessions.get(camera.session_id) or self.past.get(camera.session_id)
        session = Session(camera.session_id, camera.name, camera.id, camera.state)
        if before is not None:
            session.capabilities, session.watches = before.capabilities, before.watches
            session.ticks, session.events, session._epochs = before.ticks, before.events, before._epochs
        session.fidelity = camera.spec["fidelity"] or "faithful"
        session.log_id = f"{session.id}.{next(self._ids)}"
        self.sessions[session.id] = session

    def close(self) -> None:
        """End every stream of updates, so that the server can stop."""
        self.timeline.closing = self.alarm.closing = True
        for session in self.sessions.values():
            session.closing = True

    def probe(self, url: str) -> dict[str, Any]:
        return probe_report(url)
