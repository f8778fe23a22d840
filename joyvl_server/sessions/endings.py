"""Why sessions end: the words people read, and the stable code that programs go by."""

from __future__ import annotations

SOURCE_ENDED = "the source has ended"
ENDED = "it was ended"
HUNG_UP = "the call was hung up"
CAMERA_CHANGED = "the camera was changed"
CAMERA_DISABLED = "the camera was disabled"
CAMERA_DELETED = "the camera was deleted"
STOPPED = "the server was stopped"
CRASHED = "an internal error ended it"
KILLED = "the server ended without notice"
"""Only in the timeline, written at the next start: nobody was left to tell clients."""

CODES = {
    SOURCE_ENDED: "source_ended",
    ENDED: "ended",
    HUNG_UP: "hung_up",
    CAMERA_CHANGED: "camera_changed",
    CAMERA_DISABLED: "camera_disabled",
    CAMERA_DELETED: "camera_deleted",
    STOPPED: "stopped",
    CRASHED: "crashed",
    KILLED: "killed",
}


def end_code(reason: str) -> str:
    """The code of a reason; `failed` where the reason is the sentence of an error."""
    return CODES.get(reason, "failed")
