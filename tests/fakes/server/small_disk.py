"""A real disk of two megabytes that can be filled and freed: a tmpfs, mounted for one test."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.patience import PATIENCE_S


class SmallDisk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "other people's things"

    def fill(self) -> None:
        """Not a byte is left."""
        descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (65_536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(descriptor, bytes(size))
        finally:
            os.close(descriptor)

    def free(self) -> None:
        self._filler.unlink()

    def unmount(self) -> None:
        """As when a disk is pulled out: what has it open keeps it, everybody else finds an empty folder."""
        _run("umount", "--lazy", str(self.path))


@contextlib.contextmanager
def small_disk(path: Path, size: str = "2m") -> Iterator[SmallDisk]:
    """Mounted at `path`, which is made. Skips the test where mounting is not allowed."""
    path.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(path))
    except OSError as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield SmallDisk(path)
    finally:
        with contextlib.suppress(OSError):
            _run("umount", "--lazy", str(path))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode:
        raise OSError(errno.EPERM, done.stderr.strip())
