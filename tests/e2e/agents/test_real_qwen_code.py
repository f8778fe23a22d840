"""Qwen Code, an agent without a preset of ours, with a scripted model on loopback."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from fakes.agents.acp import AgentHouse, People, answer_of
from fakes.agents.model_server import ANSWER, ScriptedModel
from joyvl_server.agents.base import AgentError

pytestmark = pytest.mark.slow

TOUCH = "touch proof.txt"


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_command_is_asked_for(tmp_path, agents_env, allowed):
    house = AgentHouse(tmp_path)
    (house.home / ".qwen").mkdir(parents=True)
    settings = {
        "security": {"auth": {"selectedType": "openai"}}, "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False}, "general": {"disableAutoUpdate": True},
    }  # fmt: skip
    (house.home / ".qwen" / "settings.json").write_text(json.dumps(settings))
    with ScriptedModel(TOUCH) as model:
        env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "OPENAI_MODEL": "scripted"}
        agent = house.make(
            {
                "command": ["qwen", "--acp"], "path": [str(agents_env)], "start_s": 120,
                "env": {**env, "TEST_MARK": house.mark},
            }
        )  # fmt: skip
        report = await agent.check()
        assert report.ready, report.message
        people = People(choose="allow_once" if allowed else "reject_once")
        answer = ""
        with suppress(AgentError):
            answer = (await answer_of(agent, house.folder, people))[0].answer
        assert [TOUCH in request.detail for request in people.requests] == [True]
        assert (house.folder / "proof.txt").exists() == allowed
        if allowed:
            assert ANSWER in answer
    assert house.processes() == []
