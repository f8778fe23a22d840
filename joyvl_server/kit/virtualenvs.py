"""Python environments for big programs such as vLLM, apart from the server's own.

An environment is complete when its stamp is there, which is written last. After a run that broke off the folder stays:
the next run finds what the installer has downloaded already.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from joyvl_server.core.errors import ConfigError, JoyvlError

STAMP = "joyvl-environment.json"
_SOURCES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONFIG_FILE")

Say = Callable[[str], None]


class EnvironmentState(StrEnum):
    MISSING = "missing"
    UNFINISHED = "unfinished"
    OUTDATED = "outdated"
    """made for other requirements"""
    READY = "ready"


@dataclass(frozen=True)
class VirtualEnvironment:
    """Its folder, what is installed in it, and the Pythons it may be made with (lowest, highest minor of 3)."""

    folder: Path
    requirements: tuple[str, ...]
    pythons: tuple[int, int] = (11, 14)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def state(self) -> EnvironmentState:
        if not self.folder.exists():
            return EnvironmentState.MISSING
        try:
            stamp = json.loads((self.folder / STAMP).read_text("utf-8"))
        except (OSError, ValueError):
            return EnvironmentState.UNFINISHED
        if not os.access(self.python, os.X_OK):
            return EnvironmentState.UNFINISHED
        return (
            EnvironmentState.READY
            if stamp.get("requirements") == list(self.requirements)
            else EnvironmentState.OUTDATED
        )


def find_python(pythons: tuple[int, int], named: str | None = None) -> str:
    """A Python to make an environment with: the named one, ours where it fits, else the newest that fits.

    Raises `ConfigError`.
    """
    lowest, highest = pythons
    fits = range(lowest, highest + 1)
    if named is not None:
        found = shutil.which(named)
        minor = _minor(found) if found else None
        if found is None or minor is None:
            raise ConfigError(f"{named} cannot be started as Python.")
        if minor not in fits:
            raise ConfigError(f"{named} is Python 3.{minor}; 3.{lowest} to 3.{highest} are needed.")
        return found
    ours = sys.version_info.minor
    order = sorted(fits, key=lambda minor: (minor == ours, minor), reverse=True)
    for name in [f"python3.{minor}" for minor in order] + ["python3"]:
        found = shutil.which(name)
        if found is not None and _minor(found) in fits:
            return found
    raise ConfigError(f"No Python 3.{lowest} to 3.{highest} is on the path. Install one, or name it with --python.")


def commands(environment: VirtualEnvironment, python: str, installer: str = "auto") -> list[list[str]]:
    """What `make` runs. `installer`: pip, uv, or auto: uv where it is there and pip has no sources of its own."""
    uv = shutil.which("uv")
    if installer == "uv" and uv is None:
        raise ConfigError("uv is not on the path. Install it, or leave --installer out.")
    with_uv = uv if installer == "uv" or (installer == "auto" and not any(map(os.environ.get, _SOURCES))) else None
    there = environment.state() is not EnvironmentState.MISSING and os.access(environment.python, os.X_OK)
    make = [] if there else [[python, "-m", "venv", "--clear", str(environment.folder)]]
    if with_uv is not None:
        make = [] if there else [[with_uv, "venv", "--allow-existing", "--python", python, str(environment.folder)]]
        return [*make, [with_uv, "pip", "install", "--python", str(environment.python), *environment.requirements]]
    pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "install"]
    return [*make, [*pip, "--progress-bar", "off", *environment.requirements]]


def make(environment: VirtualEnvironment, python: str, say: Say, *, installer: str = "auto") -> None:
    """Make it, or finish it. Returns at once when it is ready. Blocks for minutes: not for the event loop.

    Raises `ConfigError` where it must not be made, `JoyvlError` with a sentence where a step failed.
    """
    _refuse_own_environment(environment.folder)
    try:
        environment.folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JoyvlError(f"{environment.folder.parent} cannot be made: {error.strerror}.") from None
    with _locked(environment.folder):
        if environment.state() is EnvironmentState.READY:
            return
        _refuse_other_folder(environment.folder)
        (environment.folder / STAMP).unlink(missing_ok=True)
        for command in commands(environment, python, installer):
            _run(command, say)
        stamp = {"requirements": list(environment.requirements), "python": python}
        unfinished = environment.folder / f"{STAMP}.new"
        unfinished.write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")
        unfinished.replace(environment.folder / STAMP)


def _refuse_own_environment(folder: Path) -> None:
    ours = Path(sys.prefix).resolve()
    wanted = folder.resolve()
    if wanted == ours or wanted in ours.parents or ours in wanted.parents:
        raise ConfigError(f"{folder} is the server's own environment or holds it. Choose another data folder.")


def _refuse_other_folder(folder: Path) -> None:
    """A folder that is no Python environment is somebody else's."""
    if folder.exists() and not (folder / "pyvenv.cfg").is_file() and any(folder.iterdir()):
        raise ConfigError(f"{folder} already exists and is not a Python environment. Move it away.")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JoyvlError(f"{folder} is being made by another process. Wait until that process ends.") from None
        yield


def _run(command: Sequence[str], say: Say) -> None:
    """Run it, hand on every line. Raises `JoyvlError` with the reason."""
    # What leads into the server's own environment must not lead the installer there.
    environ = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    lines: list[str] = []
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", env=environ,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                say(line.rstrip())
                lines = [*lines[-200:], line.rstrip()]
    except OSError as error:
        raise JoyvlError(f"{command[0]} cannot be started: {error.strerror}.") from None
    if process.returncode:
        raise JoyvlError(_why("\n".join(lines)) or f"{Path(command[0]).name} ended with status {process.returncode}.")


_REASONS = (
    (r"No space left on device|\[Errno 28\]", "The disk is full."),
    (r"ensurepip is not available|No module named '?(?:venv|ensurepip)", "This Python cannot make environments. "
     "Install its venv module: apt-get install python3-venv."),
    (r"(?i)NewConnectionError|name resolution|ConnectTimeout|Max retries exceeded|dns error|Connection refused",
     "The package index cannot be reached. Is there a network? PIP_INDEX_URL and PIP_FIND_LINKS name another one."),
    (r"No matching distribution found for (\S+)|no version of (\S+)",
     "There is no {} for this machine and this Python. Try another Python with --python."),
    (r"(?i)no solution found|ResolutionImpossible", "The packages contradict one another; the lines above say where."),
    (r"Permission denied|\[Errno 13\]", "The folder cannot be written."),
)  # fmt: skip


def _why(text: str) -> str:
    for pattern, sentence in _REASONS:
        if found := re.search(pattern, text):
            return sentence.format(next(filter(None, found.groups()), "such package"))
    return ""


def _minor(python: str) -> int | None:
    code = "import sys; print(sys.version_info[0] * 100 + sys.version_info[1])"
    try:
        printed = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, timeout=20, check=True
        ).stdout
        return int(printed) - 300
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
