"""Folders of tasks: the one in which an agent works, and the files of its answer that stay."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from joyvl_server.core.errors import NotFound
from joyvl_server.store.tasks import TaskFile

MOST_FILES = 50
LARGEST = 50_000_000
"""bytes of one file"""


class TaskFiles:
    """`folder`: in it each task's files lie in `ID`. All methods block. `limit_mb`: of all files; the oldest go."""

    def __init__(self, folder: Path, limit_mb: int) -> None:
        self._folder = folder
        self._limit = limit_mb * 1_000_000

    def keep(self, task_id: str, work: Path) -> tuple[TaskFile, ...]:
        """Move what the agent left in `work`: plain files, not hidden ones, no links. Returns them, sorted by name."""
        found: list[tuple[Path, str, int]] = []
        for parent, folders, names in os.walk(work):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(parent, name)
                about = path.lstat()
                if name.startswith(".") or not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST:
                    continue
                found.append((path, path.relative_to(work).as_posix(), about.st_size))
        kept = found[:MOST_FILES]
        for path, name, _ in kept:
            target = self._folder / task_id / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(path, target)
            target.chmod(0o600)
        if kept:
            self._trim(task_id)
        return tuple(TaskFile(name, size) for _, name, size in kept)

    def path(self, task_id: str, name: str) -> Path:
        """Raises `NotFound` for what is none of its files, wherever the name points to."""
        root = (self._folder / task_id).resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise NotFound(f"The task has no file {name}.")
        return path

    def remove(self, task_id: str) -> None:
        shutil.rmtree(self._folder / task_id, ignore_errors=True)

    def remove_work(self, work: Path) -> None:
        """The folder of a task that has ended; an agent may have taken our rights away from parts of it."""
        for parent, folders, _ in os.walk(work):
            for name in folders:
                path = Path(parent, name)
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(work, ignore_errors=True)

    def sweep_work(self, folder: Path) -> None:
        """Remove what tasks of an earlier run left behind."""
        for left in folder.iterdir() if folder.is_dir() else ():
            self.remove_work(left)

    def _trim(self, newest: str) -> None:
        """Ids sort by time: the oldest tasks lose their files first; those of the newest stay."""
        sizes = [
            (path.name, sum(file.lstat().st_size for file in path.rglob("*") if file.is_file()))
            for path in sorted(self._folder.iterdir())
        ]
        total = sum(size for _, size in sizes)
        for name, size in sizes:
            if total <= self._limit or name == newest:
                break
            self.remove(name)
            total -= size
