"""`joyvl agents run` that is told to end, or killed: nothing runs on, and nothing is left on the disk for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.agents.acp import PROGRAM, AgentHouse
from fakes.patience import wait_until
from joyvl_server.agents.task_files import TRIALS, sweep_trials

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_told_to_end_it_leaves_nothing(tmp_path: Path, number: signal.Signals):
    house = AgentHouse(tmp_path / "house")
    config, homes = tmp_path / "joyvl.yaml", tmp_path / "data" / "agents" / "home"
    options = f"{{command: [{sys.executable}, {PROGRAM}, spread, hang], env: {{M: {house.mark}}}}}"
    config.write_text(f"agents: {{entries: {{test: {{type: acp, options: {options}}}}}}}")
    command = ["agents", "run", "test", "What is it?", "--config", str(config), "--data-dir", str(tmp_path / "data")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    asking = subprocess.Popen(
        [sys.executable, "-m", "joyvl_server.cli", *command],
        env=env,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    try:
        wait_until(lambda: len(house.processes()) >= 4 and "sleep 1000" in " ".join(house.processes()))
        assert list((homes / TRIALS).iterdir())
        asking.send_signal(number)
        code = asking.wait()
    finally:
        asking.kill()
    wait_until(lambda: house.processes() == [])
    if number == signal.SIGKILL:
        sweep_trials(homes)
    else:
        assert code == 128 + number
    assert list((homes / TRIALS).iterdir()) == []
