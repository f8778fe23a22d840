"""Records as tests need them, each field overridable."""

from joyvl_server.kit.ids import new_id
from joyvl_server.store.cameras import CameraRecord
from joyvl_server.store.events import EventRecord
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.ticks.records import TickRecord
from joyvl_server.store.watches import WatchRecord

SPEC = '{"zones": [{"name": "door", "points": [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]}]}'


def camera(**changes):
    values = {
        "id": new_id("cam"),
        "name": "front",
        "url": "rtsp://cam:geheim@10.0.0.2/x",
        "enabled": True,
        "loop": False,
        "speed": 1.0,
        "session_id": new_id("ses"),
        "created_wall": 100.0,
        "updated_wall": 100.5,
        "spec": SPEC,
    }
    return CameraRecord(**{**values, **changes})


def session(**changes):
    values = {
        "id": new_id("ses"),
        "kind": "call",
        "name": "Browser call",
        "camera_id": None,
        "engine": "motion",
        "owner": None,
        "created_wall": 100.0,
    }
    return SessionRecord(**{**values, **changes})


def watch(session_id, **changes):
    values = {
        "id": new_id("wch"),
        "session_id": session_id,
        "name": "falls",
        "text": "tell me when someone falls",
        "zones": ("door",),
        "threshold": 0.25,
        "paused": False,
        "created_wall": 100.0,
    }
    return WatchRecord(**{**values, **changes})


def event(**changes):
    values = {
        "id": new_id("evt"),
        "session_id": "ses_1",
        "camera_id": "cam_1",
        "type": "spoke",
        "t": 1.5,
        "wall": 1_800_000_000.0,
        "text": "Someone comes in – links.",
        "data": {"score": 0.75, "box": [0.1, 0.2, 0.3, 0.4], "zone": None},
    }
    return EventRecord(**{**values, **changes})


def tick(session_id="ses_1", **changes):
    values = {
        "id": 1_795_166_400_000_000,
        "session_id": session_id,
        "t": 1.5,
        "wall": 1_795_166_400.0,
        "decision": "silent",
        "look": "full",
        "score": 0.125,
        "threshold": 0.5,
    }
    return TickRecord(**{**values, **changes})


async def drained(db):
    """Wait until all that was posted so far is written."""
    await db.write(lambda connection: None)
