"""Where a session's memories lie, and where it may look for others."""

from __future__ import annotations

from joyvl_server.store.cameras import Cameras
from joyvl_server.store.sessions import SessionRecord

SHARED = "shared"
"""facts that belong to no camera and no caller: all know them"""


def collection_of(record: SessionRecord, memory_of: str | None) -> str:
    """A camera has its own, edits and engines notwithstanding; a call that of its user or browser, where it says one.
    Others remember no longer than their session."""
    return record.camera_id or memory_of or f"session:{record.id}"


async def may_look_in(own: str, cameras: Cameras, *, across: bool) -> tuple[str, ...]:
    """Its own, what all share, and with `across` those of all cameras; never those of another user or browser. Nor of
    others for a camera that somebody's key is bound to: what is said there, they get.

    Raises `StoreError`. Cancelling it changes nothing.
    """
    if not across or await cameras.is_apart(own):
        return (own, SHARED)
    return (own, SHARED, *(camera.id for camera in await cameras.list() if camera.id != own))
