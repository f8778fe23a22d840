"""The units of configs/systemd are what systemd takes, and leave the server few rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from joyvl_server.cli.main import app
from joyvl_server.settings import Settings

UNITS = Path(__file__).resolve().parents[1] / "configs/systemd"
MOST_EXPOSED = 25
"""tenths; systemd's own word for less than 2.5 is OK"""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """With a program that is there: `verify` looks for it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not there: install Debian's package systemd")
    for unit in UNITS.iterdir():
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/joyvl/bin/joyvl", sys.executable))
    return tmp_path


def analyze(*args: object) -> tuple[int, str]:
    command = ["systemd-analyze", "--man=no", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.processes
def test_systemd_takes_them(units: Path):
    for unit in sorted(units.iterdir()):
        code, said = analyze("verify", unit)
        ours = [line for line in said.splitlines() if unit.name in line]
        assert code == 0, said
        assert ours == []


@pytest.mark.processes
@pytest.mark.parametrize("name", ["joyvl.service", "joyvl-backup.service"])
def test_they_leave_few_rights(units: Path, name: str):
    code, said = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", units / name)
    assert code == 0, said
    assert float(re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)[0]) * 10 <= MOST_EXPOSED


def test_what_they_start_is_there():
    """Commands and options of the units are ours, and the stop has more time than the server takes for it."""
    import typer.main

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    text = "\n".join(unit.read_text() for unit in UNITS.iterdir())
    started = re.findall(r"^ExecStart=/opt/joyvl/bin/joyvl (\w+)(.*)$", text, re.MULTILINE)
    assert sorted(name for name, _ in started) == ["backup", "serve"]
    for name, rest in started:
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known
    stop_s = float(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0])
    assert stop_s >= Settings().server.shutdown_timeout_s + 5
