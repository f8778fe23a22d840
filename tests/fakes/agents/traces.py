"""What an agent leaves behind: processes, and files where it has no business."""

from __future__ import annotations

import os
from pathlib import Path

LEAVES = ("opencode", "codex", "claude", "anthropic", "bun", "openclaw", "npm", "node", "zed")
"""how names begin that agents and what they start give to their files"""
SHARED = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path.home() / ".cache", Path.home() / ".config",
          Path.home() / ".local" / "share", Path.home() / ".local" / "state")  # fmt: skip
"""others write here, too"""


def marked(mark: str) -> dict[int, str]:
    """The command of each process, by its id, that has the mark in its environment; but not this one."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                if mark.encode() in (place / "environ").read_bytes():
                    found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


def living_in(folder: Path) -> list[str]:
    """The commands of processes that work in this folder, or run a program of it, whatever their environment says."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                if any(Path(os.readlink(place / link)).is_relative_to(folder) for link in ("cwd", "exe")):
                    found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return [command for command in found if command]  # the kernel is about to take the others away


def places() -> set[str]:
    """What is where an agent could leave something: in the server's HOME, where it runs, and where all may write."""
    found = set(Path.home().iterdir()) | {path for path in Path.cwd().iterdir() if "cache" not in path.name}
    for folder in SHARED:
        if folder.is_dir():
            found |= {path for path in folder.iterdir() if path.name.lstrip(".").startswith(LEAVES)}
    return set(map(str, found))
