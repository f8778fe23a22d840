"""`joyvl serve`: what it refuses at its start."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from fakes.patience import PATIENCE_S
from joyvl_server.cli.main import app

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("setting", ["engine: {name: openai, ", "sessions: {summary_engine: openai}\nengine: {"])
@pytest.mark.parametrize("options", ["base_url: nonsense, timout_s: 3", "base_url: 'http://usr:pw@127.0.0.1:9/v1'"])
def test_options_that_an_engine_does_not_take_are_refused_in_the_words_of_config_check(tmp_path, setting, options):
    file = tmp_path / "joyvl.yaml"
    file.write_text(setting + f"options: {{openai: {{{options}}}}}}}")
    checked = CliRunner().invoke(app, ["config", "check", str(file)])
    assert checked.exit_code == 2
    words = [sys.executable, "-m", "joyvl_server.cli", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    served = subprocess.run([*words, "--config", str(file)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (served.returncode, served.stdout) == (2, "")
    assert served.stderr == f"joyvl: {checked.stderr}"
    assert not (tmp_path / "data").exists()
