"""In which modes agents of type `acp` are started."""

from __future__ import annotations

import pytest

from fakes.agents.acp import AgentHouse
from joyvl_server.agents.acp.modes import choose_mode
from joyvl_server.agents.acp.options import AcpOptions
from joyvl_server.agents.acp.presets import PRESETS
from joyvl_server.agents.base import AgentError
from joyvl_server.core.errors import ConfigError


def test_an_agent_that_works_elsewhere_is_refused_by_its_modes_too():
    preset = PRESETS["openclaw"]
    for offered in ([], ["default", "low", "high"]):
        with pytest.raises(AgentError) as raised:
            choose_mode(offered, preset, AcpOptions(preset="openclaw"))
        assert raised.value.code == "unasked"
        assert "gateway" in str(raised.value)
    with pytest.raises(AgentError):
        choose_mode(["low"], preset, AcpOptions(preset="openclaw", mode="low"))
    assert choose_mode(["default", "low"], preset, AcpOptions(preset="openclaw", unasked=True)) is None
    assert choose_mode(["low"], preset, AcpOptions(preset="openclaw", mode="low", unasked=True)) == "low"


def test_the_model_of_openclaw_is_its_gateways(tmp_path):
    with pytest.raises(ConfigError, match="gateway"):
        AgentHouse(tmp_path).make({"preset": "openclaw", "model": {"base_url": "http://127.0.0.1:1/v1", "name": "m"}})
