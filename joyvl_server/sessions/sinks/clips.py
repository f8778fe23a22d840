"""Clips of remarks, of all sessions: asked of their sources, and told in the timeline when they are there or not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import structlog

from joyvl_server.core.errors import NotFound, SourceError, StoreError
from joyvl_server.ingest.base import ClipOrder, Source
from joyvl_server.kit.clock import Clock
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.settings import Settings
from joyvl_server.store.events import ClipState, EventRecord
from joyvl_server.timeline.timeline import Timeline

log = structlog.get_logger(__name__)

AT_ONCE = 64
"""clips of all sessions that may be under way"""
CLOSE_S = 5.0
PAUSES_S = (1.0, 5.0, 30.0)
"""between tries to tell the timeline what came of a clip"""
NO_CLIPS = {
    "call": "Calls have no clips.",
    "file": "Only registered cameras have clips.",
}
STOPPED = "The server was stopped before the clip was written."


class ClipTasks:
    """`start` before use; `aclose` when the sessions are over and their sources are still there."""

    def __init__(self, settings: Settings, timeline: Timeline, metrics: Metrics, clock: Clock) -> None:
        self._settings = settings
        self._timeline = timeline
        self._metrics = metrics
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Clips that an earlier run has not finished come no more. Raises `StoreError`."""
        await self._timeline.events.fail_clips(STOPPED)

    def prospect(self, kind: str) -> tuple[ClipState, str]:
        """With which state of its clip the remark of a session of this kind is written, and why."""
        if kind in NO_CLIPS:
            return "none", NO_CLIPS[kind]
        if not self._settings.timeline.record_clips:
            return "none", "Clips are switched off (timeline.record_clips)."
        if not self._settings.media.clip_mb:
            return "none", "Clips have no memory (media.clip_mb)."
        return "recording", ""

    def begin(self, event: EventRecord, source: Source) -> None:
        """The event is on its way into the store, with a clip that is being recorded. Returns at once."""
        task = asyncio.create_task(self._record(event, source), name=f"clip of {event.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Wait for those that are under way, `CLOSE_S` at most. Cancelled, it waits no longer; what is left then is
        told at the next start."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=CLOSE_S)
            for task in left:
                task.cancel()

    async def _record(self, event: EventRecord, source: Source) -> None:
        if len(self._tasks) > AT_ONCE:
            await self._failed(event, "There is no clip: too many were wanted at once.")
            return
        temporary: Path | None = None
        try:
            temporary = await self._timeline.files.unfinished(event)
            settings = self._settings.timeline
            clip = await source.clip(ClipOrder(temporary, event.t, settings.before_s, settings.after_s))
            size = await self._timeline.files.take_over(temporary, event)
        except SourceError as error:
            await self._failed(event, str(error))
        except TimeoutError:
            await self._failed(event, "There is no clip: the disk does not answer.")
        except OSError as error:
            await self._failed(event, f"There is no clip: it could not be written ({(error.strerror or '').lower()}).")
        except StoreError:
            await self._failed(event, "There is no clip: the store could not be read.")
        except Exception:  # the edge of one clip
            log.exception("a clip failed in an unknown way", event_id=event.id)
            await self._failed(event, "There is no clip: it failed inside the server. Its log says more.")
        else:
            self._metrics.clips.labels("ready").inc()
            await self._tell(event, "ready", clip.reason, size, max(0.0, round(event.t - clip.start, 3)))
        finally:
            if temporary is not None:
                await asyncio.shield(asyncio.to_thread(_remove, temporary))

    async def _failed(self, event: EventRecord, reason: str) -> None:
        self._metrics.clips.labels("failed").inc()
        log.info("no clip", event_id=event.id, reason=reason)
        await self._tell(event, "failed", reason)

    async def _tell(
        self, event: EventRecord, state: ClipState, reason: str, size: int = 0, before_s: float | None = None
    ) -> None:
        """A disk that is full now may have room in a moment; after that the next start tells."""
        for pause in (*PAUSES_S, None):
            try:
                await self._timeline.events.set_clip(event.id, state, reason, size, before_s=before_s)
                return
            except NotFound:
                return  # it was deleted meanwhile
            except StoreError as error:
                if pause is None:
                    log.warning("what came of a clip is not stored", event_id=event.id, error=str(error))
                    return
                await self._clock.sleep(pause)


def _remove(temporary: Path) -> None:
    """What a worker that died has left, too."""
    with suppress(OSError):
        for path in temporary.parent.glob(f"{temporary.name}*"):
            path.unlink(missing_ok=True)
