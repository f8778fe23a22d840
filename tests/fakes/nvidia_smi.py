"""`nvidia-smi` as a script: it answers every `--query-gpu` with what its card has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

CARDS = {
    12: {"name": "NVIDIA GeForce RTX 3060", "memory.total": "12288", "compute_cap": "8.6"},
    24: {"name": "NVIDIA GeForce RTX 3090", "memory.total": "24576", "compute_cap": "8.6"},
    80: {"name": "NVIDIA H100 80GB HBM3", "memory.total": "81559", "compute_cap": "9.0"},
}
USUAL = {"memory.used": "310", "driver_version": "580.95.05"}
_SCRIPT = """\
#!{python} -I
import sys
facts = {facts!r}
fields = next((a.split("=", 1)[1] for a in sys.argv if a.startswith("--query-gpu=")), "name").split(",")
print({said!r} or ", ".join(facts.get(field, "[N/A]") for field in fields))
sys.exit({status})
"""


def put_nvidia_smi(
    folder: Path, monkeypatch: pytest.MonkeyPatch, gb: int = 24, *, said: str = "", status: int = 0, **facts: str
) -> None:
    """Into a folder that comes first in PATH. `said`: it prints this instead."""
    folder.mkdir(exist_ok=True)
    program = folder / "nvidia-smi"
    known = {**USUAL, **CARDS[gb], **{name.replace("__", "."): value for name, value in facts.items()}}
    program.write_text(_SCRIPT.format(python=sys.executable, facts=known, said=said, status=status))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
