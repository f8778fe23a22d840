"""The process between the server and an agent is killed: the task has died, and nothing of it lives on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from fakes.agents.acp import PROGRAM, AgentHouse, People, answer_of
from fakes.agents.traces import marked
from fakes.clock import ManualClock
from fakes.patience import PATIENCE_S, until, wait_until
from joyvl_server.agents.base import AgentError
from joyvl_server.agents.pool import AgentPool
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.settings import AgentSettings

pytestmark = pytest.mark.processes

SERVES = """
import asyncio, json, sys
from pathlib import Path
from fakes.agents.acp import QUESTION, People, answer_of
from joyvl_server.agents.acp.agent import AcpAgent
from joyvl_server.agents.base import AgentContext
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.net.policy import NetPolicy
folder = Path(sys.argv[1])
(folder / "work").mkdir()
context = AgentContext("test", json.loads(sys.argv[2]), folder / "home" / "test", SystemClock(), NetPolicy())
asyncio.run(answer_of(AcpAgent(context), folder / "work"))
"""


def leashes(mark: str) -> list[int]:
    return [pid for pid, command in marked(mark).items() if "leash.py" in command]


@pytest.mark.parametrize("behaviours", [["spread", "hang"], ["many", "hang"]])
async def test_its_keeper_is_killed_and_the_task_has_died_with_all_that_it_started(tmp_path, behaviours):
    house = AgentHouse(tmp_path)
    working = asyncio.create_task(answer_of(house.agent(*behaviours), house.folder, People("…")))
    await until(lambda: len(house.processes()) >= 4 and "sleep 1000" in " ".join(house.processes()))
    [leash] = leashes(house.mark)
    os.kill(leash, signal.SIGKILL)
    with pytest.raises(AgentError) as raised:
        await asyncio.wait_for(working, PATIENCE_S)
    assert raised.value.code == "died"
    assert "SIGKILL" in str(raised.value)
    assert house.processes() == []


async def test_cancelled_just_when_its_keeper_was_killed(tmp_path):
    house = AgentHouse(tmp_path)
    working = asyncio.create_task(answer_of(house.agent("spread", "hang"), house.folder, People("…")))
    await until(lambda: len(house.processes()) > 3)
    [leash] = leashes(house.mark)
    os.kill(leash, signal.SIGKILL)
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    assert house.processes() == []


def test_a_server_that_was_killed_with_the_keepers_is_swept_after_at_the_next_start(tmp_path):
    house = AgentHouse(tmp_path / "other")
    options = f'{{"command": ["{sys.executable}", "{PROGRAM}", "spread", "hang"], "env": {{"M": "{house.mark}"}}}}'
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    server = subprocess.Popen([sys.executable, "-c", SERVES, str(tmp_path), options], env=env)
    try:
        wait_until(lambda: len(house.processes()) >= 4 and "sleep 1000" in " ".join(house.processes()))
        os.kill(leashes(house.mark)[0], signal.SIGSTOP)  # so that it cannot act before it is killed, too
        server.kill()
        server.wait()
        os.kill(leashes(house.mark)[0], signal.SIGKILL)
        wait_until(lambda: not leashes(house.mark))
        assert house.processes() != []
        pool(tmp_path / "another").sweep()
        assert house.processes() != []
        pool(tmp_path).sweep()
        assert house.processes() == []
    finally:
        server.kill()
        for pid in marked(house.mark):
            os.kill(pid, signal.SIGKILL)


def pool(folder: Path) -> AgentPool:
    return AgentPool(AgentSettings(), folder, ManualClock(), NetPolicy())
