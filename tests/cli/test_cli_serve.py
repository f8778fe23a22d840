"""`joyvl serve`: what it tells at its start."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.server.server import ServerProcess
from joyvl_server.cli.main import app

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("setting", ["engine: {name: openai, ", "sessions: {summary_engine: openai}\nengine: {"])
def test_an_engine_with_wrong_options_is_told_in_the_words_of_config_check(tmp_path: Path, setting: str):
    file = tmp_path / "joyvl.yaml"
    file.write_text(setting + "options: {openai: {base_url: nonsense, timout_s: 3}}}")
    checked = CliRunner().invoke(app, ["config", "check", str(file)]).stderr.strip()
    assert "timout_s" in checked
    with ServerProcess(tmp_path / "data", "--config", str(file)) as server:
        printed = f"The engine openai cannot be used. {checked}\n"
        server.wait(lambda: printed in server.log)
        server.wait(lambda: any("the engine cannot be used" in line and '"error"' in line for line in server.log))
