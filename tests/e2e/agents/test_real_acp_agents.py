"""Real agents, with a scripted model on loopback: from the question to the answer, with a command that takes a
permission. Whatever becomes of it, no process is left afterwards, and no file but in the task folder and HOME."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.agents.acp import QUESTION, AgentHouse, People, answer_of
from fakes.agents.model_server import ANSWER, ScriptedModel
from fakes.patience import PATIENCE_S
from joyvl_server.agents.base import AgentError

PRESETS = ("opencode", "codex", "claude")
WRITE = "echo done > proof.txt"
LONG = "touch begun.txt; (setsid sleep 1000 &); sleep 1000"
START_S = 120


@pytest.fixture(params=PRESETS)
def preset(request):
    return request.param


@pytest.fixture
def house(tmp_path):
    house = AgentHouse(tmp_path)
    before = places(tmp_path)
    yield house
    assert house.processes() == []
    assert places(tmp_path) - before == set()


def places(tmp_path) -> set[str]:
    """What stands where an agent could leave something: beside its folders, in the server's HOME and in /tmp."""
    ours = {tmp_path / "home", tmp_path / "work"}
    found = {path for path in tmp_path.iterdir() if path not in ours} | set((tmp_path / "work").iterdir())
    found |= set(Path.home().iterdir())
    names = ("opencode", "codex", "claude", "bun", "openclaw")
    found |= {path for path in Path("/tmp").iterdir() if path.name.lstrip(".").startswith(names)}
    return set(map(str, found))


def made(house, agents_env, preset, model, **options):
    return house.make(
        {
            "preset": preset, "path": [str(agents_env)], "env": {"TEST_MARK": house.mark}, "start_s": START_S,
            "model": {"base_url": model.url, "name": "scripted", "api_key": "not-a-secret"}, **options,
        }
    )  # fmt: skip


async def test_ready(house, agents_env, preset):
    with ScriptedModel() as model:
        report = await made(house, agents_env, preset, model).check()
    assert report.ready, report.message
    assert report.version
    assert model.requests == []


async def test_allowed_denied_and_followed_up(house, agents_env, preset):
    with ScriptedModel(WRITE) as model:
        agent = made(house, agents_env, preset, model)
        denied = People(None)
        with suppress(AgentError):  # some end without a word then
            await answer_of(agent, house.folder, denied)
        assert len(denied.requests) == 1
        assert WRITE in denied.requests[0].detail
        assert not (house.folder / "proof.txt").exists()
        assert house.processes() == []

        (house.folder / "frame_1.jpg").unlink()
        (house.folder / "frame_2.jpg").unlink()
        allowed = People(choose="allow_once")
        finished, _ = await answer_of(agent, house.folder, allowed)
        assert len(allowed.requests) == 1
        assert ANSWER in finished.answer
        assert (house.folder / "proof.txt").read_text() == "done\n"
        assert house.processes() == []

        model.command = None
        (house.folder / "frame_1.jpg").unlink()
        (house.folder / "frame_2.jpg").unlink()
        again = replace(QUESTION, question="And the plate?", agent_session=finished.agent_session)
        followed, _ = await answer_of(agent, house.folder, People(), again)
        assert followed.answer == ANSWER
        assert followed.agent_session == finished.agent_session
        assert QUESTION.question in str(model.requests[-1])  # it remembers


async def test_unanswered(house, agents_env, preset):
    """Nobody answers; then whoever runs the task gives up."""
    with ScriptedModel(WRITE) as model:
        people = People("…")
        working = asyncio.create_task(answer_of(made(house, agents_env, preset, model), house.folder, people))
        await asyncio.wait_for(people.asked.wait(), START_S)
        working.cancel()
        await asyncio.wait({working})
        assert house.processes() == []
        assert not (house.folder / "proof.txt").exists()


@pytest.mark.parametrize("how", ["cancelled", "killed"])
async def test_ended_while_the_command_runs(house, agents_env, preset, how):
    with ScriptedModel(LONG) as model:
        people = People(choose="allow_once")
        working = asyncio.create_task(answer_of(made(house, agents_env, preset, model), house.folder, people))
        async with asyncio.timeout(START_S):
            while not (house.folder / "begun.txt").exists():
                await asyncio.sleep(0.05)
            while sum("sleep 1000" in command for command in house.processes()) < 2:
                await asyncio.sleep(0.05)
        if how == "cancelled":
            working.cancel()
            await asyncio.wait({working})
        else:
            for pid in house.pids(lambda command: "sleep" not in command and "confine" not in command):
                with suppress(ProcessLookupError):
                    os.kill(pid, 9)
            with pytest.raises(AgentError) as raised:
                await asyncio.wait_for(working, PATIENCE_S)
            assert raised.value.code == "died"
        assert house.processes() == []
