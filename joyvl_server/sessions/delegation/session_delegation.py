"""What a session gives along with a question that is handed over: pictures around the moment, and what was said."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from joyvl_server.agents.base import BundleFrame, TaskBundle
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.agents.queue import TaskQueue
from joyvl_server.core.frame import Frame
from joyvl_server.sessions.memory.recaller import Recaller
from joyvl_server.settings import AgentSettings
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.tasks import TaskRecord

TRANSCRIPT = 16
"""newest lines of what was said that an agent gets"""
LONGEST_SAID = 500


class RecentFrames:
    """The pictures of the last `seconds` of a session, about one a second."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._frames: deque[BundleFrame] = deque()

    def add(self, frame: Frame) -> None:
        if not frame.image.jpeg:
            return
        frames = self._frames
        if frames and frame.t <= frames[-1].t:
            frames.clear()  # the time of the source began again
        frames.append(BundleFrame(frame.image.jpeg, frame.t, frame.wall))
        while frames[-1].t - frames[0].t > self._seconds:
            frames.popleft()

    def forget(self, since: float, until: float) -> None:
        """The pictures between these wall times."""
        self._frames = deque(frame for frame in self._frames if not since <= frame.wall < until)

    def around(self, t: float | None, count: int, most_bytes: int) -> tuple[BundleFrame, ...]:
        """At most `count`, oldest first, evenly over the time up to `t` (None: now), the last one always; fewer where
        they would be more than `most_bytes` together."""
        upto = [frame for frame in self._frames if t is None or frame.t <= t + 0.05] or list(self._frames)[:1]
        while count > 0 and upto:
            if count == 1 or len(upto) == 1:
                chosen = upto[-1:]
            else:
                number = min(count, len(upto))
                chosen = [upto[round(index * (len(upto) - 1) / (number - 1))] for index in range(number)]
            if sum(len(frame.jpeg) for frame in chosen) <= most_bytes:
                return tuple(chosen)
            count = min(count, len(upto)) - 1
        return ()


class SessionDelegation:
    """Hands the questions of one session over. `frames` None: there are no agents on this server, nobody needs any."""

    def __init__(
        self,
        record: SessionRecord,
        frames: RecentFrames | None,
        settings: AgentSettings,
        queue: TaskQueue,
        language: str,
        recaller: Recaller,
    ) -> None:
        self._recaller = recaller
        self.queue = queue
        self._record = record
        self._frames = frames
        self._settings = settings
        self._language = language
        self._said: deque[str] = deque(maxlen=TRANSCRIPT)

    def heard(self, speaker: str, text: str) -> None:
        """Somebody said this, or the server did."""
        if text.strip():
            self._said.append(f"{speaker}: {' '.join(text.split())[:LONGEST_SAID]}")

    def forget(self, since: float, until: float) -> None:
        """Pictures between these wall times, and what was said last."""
        if self._frames is not None:
            self._frames.forget(since, until)
        self._said.clear()

    async def hand_over(self, draft: TaskDraft) -> TaskRecord:
        """See `TaskQueue.submit`; it is a task of this session, with what is seen and was said around `draft.t`."""
        draft = replace(draft, session_id=self._record.id, camera_id=self._record.camera_id)
        most = round(self._settings.bundle_mb * 1_000_000)
        bundle = TaskBundle(
            task_id="",
            question=draft.question,
            source=self._record.name,
            language=self._language,
            frames=() if self._frames is None else self._frames.around(draft.t, self._settings.frames, most),
            transcript=tuple(self._said),
            memories=await self._recaller.for_task(draft.question),
        )
        return await self.queue.submit(draft, bundle)
