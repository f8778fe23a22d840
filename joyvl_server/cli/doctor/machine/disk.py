"""Disks: is there space where the server writes, and can it write there?"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from joyvl_server.cli.doctor.report import Finding, ok, problem, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.settings import Settings

LEAST_GB, COMFORTABLE_GB = 0.2, 2.0
TRIAL_BYTES = 262_144
WEIGHTS_GB = 18.0
"""what the 8B weights take on the disk"""


class DiskCheck:
    """See `Check`. Writes a small file into a folder that is there, and removes it; makes no folder."""

    name = "disk"
    limit_s = 20.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self) -> Iterable[Finding]:
        return await off_loop(self._look)

    def _look(self) -> list[Finding]:
        data = self._settings.data_dir.absolute()
        found = [self._data(data)]
        temporary = Path(tempfile.gettempdir())
        if why := write_trial(temporary):
            message = f"The folder for temporary files, {temporary}, {why}."
            found.append(problem(message, "Make room there, or set TMPDIR."))
        return found

    def _data(self, data: Path) -> Finding:
        place = existing(data)
        where = f"{data}" if place == data else f"{place}, where the data folder {data} would be made,"
        try:
            free_gb = _free_gb(place)
        except OSError as error:
            return problem(f"{where} cannot be looked at: {error.strerror}.", "Check data_dir and who owns it.")
        if why := write_trial(place):
            return problem(f"The data folder {where} {why}.", _advice(why))
        if free_gb < LEAST_GB:
            return problem(
                f"The disk of {where} has only {free_gb * 1000:.0f} MB free: nothing can be kept soon.",
                "Free some space, or move data_dir to another disk.",
            )
        quota = self._settings.timeline.max_gb
        kept_gb = _size_gb(data / "timeline")
        if free_gb + kept_gb < min(quota, COMFORTABLE_GB + kept_gb) or free_gb < COMFORTABLE_GB:
            return warning(
                f"The disk of {where} has {free_gb:.1f} GB free.",
                "Free some space, or lower timeline.max_gb and store.max_ticks_mb.",
            )
        if free_gb + kept_gb < quota:
            return warning(
                f"The disk of {where} has {free_gb:.1f} GB free, and pictures and clips may take {quota:g} GB "
                f"(timeline.max_gb; {kept_gb:.1f} GB now).",
                f"Set timeline.max_gb to {max(1, int((free_gb + kept_gb) * 0.7))}, or use a larger disk.",
            )
        return ok(f"{where} can be written and has {free_gb:.0f} GB free.")


def existing(path: Path) -> Path:
    """The path, or the nearest of its parents that is there."""
    return next((place for place in (path, *path.parents) if os.path.lexists(place)), Path("/"))


def write_trial(folder: Path) -> str:
    """Why nothing can be written there, in words that follow the folder's name; empty where it can. Blocks."""
    trial = folder / f".joyvl-doctor-{os.getpid()}"
    try:
        descriptor = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return _reason(error)
    try:
        left = memoryview(bytes(TRIAL_BYTES))
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError as error:
        return _reason(error)
    finally:
        os.close(descriptor)
        with suppress(OSError):
            trial.unlink()
    return ""


def _reason(error: OSError) -> str:
    return {
        errno.ENOSPC: "is on a full disk",
        errno.EDQUOT: "is on a disk whose quota is used up",
        errno.EROFS: "is on a read-only disk",
        errno.EACCES: "cannot be written by this user",
        errno.EPERM: "cannot be written by this user",
        errno.ENOTDIR: "is no folder",
        errno.EIO: "is on a disk that fails",
    }.get(error.errno or 0, f"cannot be written: {error.strerror}")


def _advice(why: str) -> str:
    if "full" in why or "quota" in why:
        return "Delete files there, or move data_dir to another disk. A running server keeps nothing until then."
    if "read-only" in why:
        return "Mount it writable, or set data_dir to another folder. In a container data_dir must be a volume."
    if "user" in why:
        return f"Give the folder to the user of the server (here uid {os.geteuid()}: chown -R {os.geteuid()} FOLDER)."
    return "Check data_dir, the disk's health and its mount."


def _free_gb(place: Path) -> float:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize / 1e9


def _size_gb(folder: Path, most: int = 200_000) -> float:
    """The size of the files below a folder, of at most `most` of them."""
    total, seen = 0, 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size
            seen += 1
            if seen >= most:
                return total / 1e9
    return total / 1e9
