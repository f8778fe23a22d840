"""What clients ask of cameras and calls, and what they get to see."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from joyvl_server.core.zones import Zone
from joyvl_server.ingest.base import PullSpec, SourceState
from joyvl_server.sessions.standing import WatchDraft
from joyvl_server.store.cameras import CameraRecord

MASK = ":***@"


@dataclass(frozen=True, slots=True)
class CameraDraft:
    name: str
    url: str
    enabled: bool = True
    loop: bool = False
    speed: float = 1.0
    engine: str | None = None
    threshold: float | None = None
    zones: tuple[Zone, ...] = ()
    watches: tuple[WatchDraft, ...] = ()


@dataclass(frozen=True, slots=True)
class CameraView:
    """A camera as stored and, while it is enabled, the state of its source."""

    record: CameraRecord
    state: SourceState | None


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    session_id: str
    answer_sdp: str
    created_wall: float


def pull_spec(camera: CameraRecord) -> PullSpec:
    return PullSpec(camera.url, loop=camera.loop, speed=camera.speed)


def keep_password(new_url: str, stored_url: str) -> str:
    """A client that sends back the masked URL it was shown keeps the stored password, for the same user and host only.

    Otherwise a changed host would be handed the password of another camera.
    """
    if MASK not in new_url:
        return new_url
    new, old = urlsplit(new_url), urlsplit(stored_url)
    if (new.username, new.hostname, new.port) != (old.username, old.hostname, old.port) or old.password is None:
        return new_url
    netloc = new.netloc.replace(MASK, f":{old.password}@", 1)
    return urlunsplit(new._replace(netloc=netloc))
