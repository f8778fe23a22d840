"""Folders of tasks: the one in which an agent works, and the files of its answer that stay."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from joyvl_server.agents.base import AgentError
from joyvl_server.core.errors import NotFound
from joyvl_server.kit.processes.marks import owner, owner_lives
from joyvl_server.store.tasks import TaskFile

MOST_FILES = 50
LARGEST = 50_000_000
"""bytes of one file"""
TRIALS = ".trials"
"""beside the HOMEs of agents"""


class TaskFiles:
    """`folder`: in it each task's files lie in `ID`. All methods block. `limit_mb`: of all files; the oldest go."""

    def __init__(self, folder: Path, limit_mb: int) -> None:
        self._folder = folder
        self._limit = limit_mb * 1_000_000

    def keep(self, task_id: str, work: Path, given: Mapping[str, bytes] = {}) -> tuple[TaskFile, ...]:
        """Move what the agent left in `work`: plain files, not hidden ones, no links, none that is still as it was
        `given`. Returns them, sorted by name. Raises `OSError`, with what was moved so far removed."""
        kept = list(islice(_files_in(work, given), MOST_FILES))
        try:
            self._move(task_id, kept)
        except OSError:
            self.remove(task_id)
            raise
        if kept:
            self._trim(task_id)
        return tuple(sorted((TaskFile(name, size) for _, name, size in kept), key=lambda file: file.name))

    def _move(self, task_id: str, kept: list[tuple[Path, str, int]]) -> None:
        for path, name, _ in kept:
            target = self._folder / task_id / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(path, target)
            target.chmod(0o600)

    def path(self, task_id: str, name: str) -> Path:
        """Raises `NotFound` for what is none of its files, wherever the name points to."""
        folder = self._folder.resolve()
        try:
            root = (folder / task_id).resolve()
            path = (root / name).resolve()
            if root.parent == folder and path.is_relative_to(root) and path.is_file():
                return path
        except (OSError, ValueError):
            pass  # a name that no file can have
        raise NotFound(f"The task has no file {name[:200]}.")

    def remove(self, task_id: str) -> None:
        shutil.rmtree(self._folder / task_id, ignore_errors=True)

    def remove_work(self, work: Path) -> None:
        """The folder of a task that has ended; an agent may have taken our rights away from parts of it."""
        _remove(work)

    def sweep_work(self, folder: Path) -> None:
        """Remove what tasks of an earlier run left behind."""
        for left in folder.iterdir() if folder.is_dir() else ():
            _remove(left)

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


@contextmanager
def trial_folder(homes: Path) -> Iterator[Path]:
    """A folder for an agent that works on no task of a queue; removed afterwards, at the latest by the next trial.
    `homes`: the folder of the agents' HOMEs. Raises `AgentError` (unavailable). Blocks."""
    try:
        sweep_trials(homes)
        (homes / TRIALS).mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(prefix=f"{owner()}.", dir=homes / TRIALS)).resolve()
    except OSError as error:
        raise AgentError(f"No folder can be made for it: {error}.", code="unavailable") from None
    try:
        yield folder
    finally:
        _remove(folder)


def sweep_trials(homes: Path) -> None:
    """Remove what those left behind who were killed in a trial. Blocks."""
    trials = homes / TRIALS
    for left in trials.iterdir() if trials.is_dir() else ():
        if not owner_lives(left.name.partition(".")[0]):
            _remove(left)


def _remove(work: Path) -> None:
    if work.is_dir() and not work.is_symlink():
        _allow(work)
        for parent, folders, _ in os.walk(work):
            for name in folders:
                _allow(Path(parent, name))
    shutil.rmtree(work, ignore_errors=True)


def _files_in(work: Path, given: Mapping[str, bytes]) -> Iterator[tuple[Path, str, int]]:
    """Path, name and size of what may be kept. Files that go away, or that nobody may look at, are passed over."""
    for parent, folders, names in os.walk(work):
        folders[:] = sorted(name for name in folders if _is_plain(name))
        for name in sorted(filter(_is_plain, names)):
            path = Path(parent, name)
            with suppress(OSError):
                about = path.lstat()
                if not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST:
                    continue
                relative = path.relative_to(work).as_posix()
                before = given.get(relative)
                if before is None or len(before) != about.st_size or path.read_bytes() != before:
                    yield path, relative, about.st_size


def _is_plain(name: str) -> bool:
    """Not hidden, and text that can be shown; names on disk may be any bytes."""
    return not name.startswith(".") and name.isprintable()


def _allow(folder: Path) -> None:
    with suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(0o700)
