"""What goes along with tasks that wait, on disk: they run after a restart, too, with their pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import structlog

from joyvl_server.agents.base import BundleFrame, TaskBundle
from joyvl_server.agents.prompt import frame_name, write_frames

log = structlog.get_logger(__name__)

FACTS = "bundle.json"
KEPT = ("source", "language", "transcript", "memories")
"""all else of a bundle is in the task's record"""


class WaitingBundles:
    """`folder`: in it `ID` for each task that waits. All methods block, and none raises for a disk that fails.

    At most as many lie here as tasks may wait (agents.max_queued), each with pictures of agents.bundle_mb at most.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unwritten: dict[str, TaskBundle] = {}
        """those that no disk would take; they are lost in a restart"""

    def keep(self, task_id: str, bundle: TaskBundle) -> None:
        """It is there whole, or not at all, whenever the server is killed."""
        half = self._folder / f".{task_id}"
        try:
            half.mkdir(parents=True, mode=0o700)
            write_frames(bundle, half)
            told: dict[str, Any] = {name: getattr(bundle, name) for name in KEPT}
            told["frames"] = [[frame.t, frame.wall] for frame in bundle.frames]
            (half / FACTS).write_text(json.dumps(told))
            half.rename(self._folder / task_id)
        except OSError as error:
            log.warning("what goes along with a task is not on disk", task=task_id, error=str(error))
            shutil.rmtree(half, ignore_errors=True)
            self._unwritten[task_id] = bundle

    def read(self, task_id: str) -> TaskBundle | None:
        """None where nothing goes along, or it cannot be read."""
        if task_id in self._unwritten:
            return self._unwritten[task_id]
        folder = self._folder / task_id
        try:
            told = json.loads((folder / FACTS).read_text())
            frames = [
                BundleFrame((folder / frame_name(index)).read_bytes(), t, wall)
                for index, (t, wall) in enumerate(told["frames"], 1)
            ]
            transcript, memories = tuple(told["transcript"]), tuple(told["memories"])
            return TaskBundle(
                task_id, "", source=told["source"], language=told["language"], frames=tuple(frames),
                transcript=transcript, memories=memories,
            )  # fmt: skip
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("what goes along with a task cannot be read", task=task_id, error=str(error))
            return None

    def remove(self, task_id: str) -> None:
        """Idempotent."""
        self._unwritten.pop(task_id, None)
        shutil.rmtree(self._folder / task_id, ignore_errors=True)

    def sweep(self, waiting: Collection[str]) -> None:
        """Remove what belongs to none of these tasks."""
        for left in self._folder.iterdir() if self._folder.is_dir() else ():
            if left.name not in waiting:
                shutil.rmtree(left, ignore_errors=True)
