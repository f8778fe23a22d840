"""What of the timeline is an alert, and in which words. Runs in the transaction that writes the event."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

from joyvl_server.kit.ids import new_id
from joyvl_server.store.alerts.records import AlertKind, AlertRecord
from joyvl_server.store.events import EventRecord

ALERTING = ("watch_fired", "camera_offline", "camera_online", "task")
"""types of events that may be alerts"""
WAITS: tuple[AlertKind, ...] = ("watch_fired", "camera_offline", "engine_offline", "disk")
"""kinds that wait for somebody to acknowledge them; the others only inform and are closed from the start"""
TITLE, TEXT = 200, 2000
"""longest, in characters; a title is one line: it becomes the subject of a mail"""


def alert_of(connection: sqlite3.Connection, event: EventRecord, now: float) -> AlertRecord | None:
    """The alert that an event is, None where it is none. `now`: Unix seconds."""
    if event.type not in ALERTING:
        return None
    camera = camera_name(connection, event)
    match event.type:
        case "watch_fired":
            return _watch_fired(connection, event, now, camera)
        case "camera_offline" if event.camera_id is not None and _status(event) != "ended":
            subject = camera_subject(event)
            return _alert("camera_offline", event, now, f"{camera} is offline", event.text, subject, camera)
        case "camera_online" if event.camera_id is not None:
            subject = camera_subject(event)
            return _alert("camera_online", event, now, f"{camera} is back", event.text, subject, camera)
        case "task" if _task(event).get("status") in ("completed", "failed"):
            return _task_ended(event, now, camera)
        case _:
            return None


def camera_subject(event: EventRecord) -> str:
    return f"camera:{event.camera_id}"


def camera_name(connection: sqlite3.Connection, event: EventRecord) -> str:
    """What people call the camera; of a call or a file, its session."""
    for table, id in (("cameras", event.camera_id), ("sessions", event.session_id)):
        row = connection.execute(f"SELECT name FROM {table} WHERE id = ?", (id,)).fetchone()
        if row is not None:
            return str(row["name"])
    return "A camera"


def _watch_fired(connection: sqlite3.Connection, event: EventRecord, now: float, camera: str) -> AlertRecord:
    given = event.data.get("watches") or [event.data.get("watch_id")]
    watches = tuple(str(watch["id"] if isinstance(watch, dict) else watch) for watch in given if watch)
    names = [str(name) for name in event.data.get("watch_names") or () if name]
    for watch_id in watches if not names else ():
        row = connection.execute("SELECT name, text FROM watches WHERE id = ?", (watch_id,)).fetchone()
        if row is not None:
            names.append(str(row["name"] or row["text"]))
    title = f"{camera}: {', '.join(names)}" if names else camera
    subject = f"watch:{event.camera_id or event.session_id}:{','.join(sorted(watches))}"
    return replace(_alert("watch_fired", event, now, title, event.text, subject, camera), watches=watches)


def _task_ended(event: EventRecord, now: float, camera: str) -> AlertRecord:
    task = _task(event)
    done = task.get("status") == "completed"
    text = task.get("digest") if done else task.get("error")
    title = f"{'Done' if done else 'Failed'}: {event.text}"
    return _alert("task", event, now, title, str(text or ""), f"task:{task.get('id', event.id)}", camera)


def _alert(
    kind: AlertKind, event: EventRecord, now: float, title: str, text: str, subject: str, camera: str
) -> AlertRecord:
    return AlertRecord(
        id=new_id("alr"),
        kind=kind,
        wall=event.wall,
        title=" ".join(title.split())[:TITLE],
        text=text[:TEXT],
        session_id=event.session_id,
        camera_id=event.camera_id,
        camera=camera,
        event_id=event.id,
        subject=subject,
        last_wall=event.wall,
        state="open" if kind in WAITS else "closed",
        created_wall=now,
    )


def _task(event: EventRecord) -> dict[str, Any]:
    task = event.data.get("task")
    return task if isinstance(task, dict) else {}


def _status(event: EventRecord) -> str | None:
    state = event.data.get("state")
    return state.get("status") if isinstance(state, dict) else None
