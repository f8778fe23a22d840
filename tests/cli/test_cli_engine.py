"""`joyvl engine`: the environment made for real with a small wheel, and what is said about engines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fakes.engines import vllm
from fakes.server.wheel import make_wheel
from joyvl_server.cli.main import app
from joyvl_server.store.folder import DataFolder

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("JOYVL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("JOYVL_CONFIG", raising=False)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_install_makes_the_environment_once(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "wheels", "tinything")
    folder = tmp_path / "data" / "environments" / "vllm"
    made = run("engine", "install", "--requirement", wheel, "--python", sys.executable)
    assert made.exit_code == 0, made.output
    assert "Successfully installed tinything-1.0" in made.output
    assert made.output.endswith(f"{folder} is ready.\n")
    assert (folder / "bin" / "python").exists()
    again = run("engine", "install", "vllm", "--requirement", wheel)
    assert again.output == f"{folder} is ready.\n"


def test_a_dry_run_does_nothing(tmp_path: Path) -> None:
    found = run("engine", "install", "--dry-run", "--python", sys.executable)
    assert found.exit_code == 0, found.output
    assert "vllm is missing. This would be run:" in found.output
    assert f"{sys.executable} -m venv --clear" in found.output
    assert "install --progress-bar off 'vllm>=0.32,<0.34'" in found.output
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_installed_is_a_sentence(tmp_path: Path) -> None:
    failed = run("engine", "install", "--requirement", "no-such-thing", "--python", sys.executable)
    assert failed.exit_code == 1
    assert "joyvl: There is no no-such-thing for this machine" in failed.output
    for arguments, sentence in (
        (("motion",), "Engine motion needs no environment"),
        (("--installer", "conda"), "--installer is auto, pip or uv"),
        (("--python", "/nowhere/python"), "cannot be started as Python"),
    ):
        wrong = run("engine", "install", *arguments)
        assert wrong.exit_code == 2
        assert sentence in wrong.output


def test_list_names_every_engine_and_how_it_is(tmp_path: Path) -> None:
    lines = run("engine", "list").output.splitlines()
    found = {line[2:].split()[0]: line for line in lines}
    assert found["motion"].startswith("* motion")
    assert "Run: joyvl engine install vllm" in found["vllm"]
    assert "openai" in found


def test_list_goes_on_where_one_is_set_up_wrong(tmp_path: Path) -> None:
    config = tmp_path / "joyvl.yaml"
    config.write_text("engine: {name: openai, options: {vllm: {sesions: 2}}}")
    found = run("engine", "list", "--config", config)
    assert found.exit_code == 0
    assert "there is no such option. Did you mean sessions?" in found.output
    assert "* openai" in found.output


def write_config(tmp_path: Path, *lives: str, **options: object) -> Path:
    python = vllm.install(tmp_path / "env", *lives)
    listed = "".join(f", {name}: {value}" for name, value in options.items())
    config = tmp_path / "joyvl.yaml"
    config.write_text(f"engine: {{name: vllm, options: {{vllm: {{python: {python}{listed}}}}}}}")
    return config


def test_check_says_what_a_start_would_find(tmp_path: Path) -> None:
    found = run("engine", "check", "--config", write_config(tmp_path, card_gb=24))
    assert found.exit_code == 0, found.output
    assert found.output == (
        "jdopensource/JoyAI-VL-Interaction as fp8, context 32768 tokens, room for 80682 tokens (calculated)\n"
    )
    small = run("engine", "check", "--config", write_config(tmp_path, card_gb=8))
    assert small.exit_code == 1
    assert "joyvl: The card's 8.0 GiB are too small" in small.output
    assert vllm.calls(tmp_path / "env") == []


def test_check_can_start_it_and_stops_it_again(tmp_path: Path) -> None:
    found = run("engine", "check", "vllm", "--start", "--config", write_config(tmp_path, "slow=1.5", card_gb=24))
    assert found.exit_code == 0, found.output
    assert "vLLM is starting: loading the weights, 40 %" in found.output
    assert "mode: " in found.output
    assert "context: 32768 tokens; cache: 80682 tokens" in found.output
    assert "serves JoyAI-VL-Interaction" in found.output
    [call] = vllm.calls(tmp_path / "env")
    assert not Path(f"/proc/{call['pid']}").exists()


def test_check_says_why_a_start_failed(tmp_path: Path) -> None:
    found = run("engine", "check", "--start", "--config", write_config(tmp_path, "oom", card_gb=24))
    assert found.exit_code == 1
    assert "joyvl: Out of memory: Lower context_tokens" in found.output


def test_check_of_the_others() -> None:
    assert run("engine", "check", "motion").exit_code == 0
    wrong = run("engine", "check", "motoin")
    assert wrong.exit_code == 2
    assert "There is no 'motoin'" in wrong.output


def doctor_started(config: Path, *arguments: str) -> tuple[Result, dict[str, str]]:
    found = run("doctor", "--start", "engine", "--json", "--config", config, *arguments)
    [finding] = json.loads(found.stdout)["findings"]
    return found, finding


def test_the_doctor_starts_it_tells_how_far_that_is_and_stops_it_again(tmp_path: Path) -> None:
    found, finding = doctor_started(write_config(tmp_path, "slow=1.5", card_gb=24))
    assert found.exit_code == 0, found.output
    assert "vLLM is starting: loading the weights, 40 %" in found.stderr
    assert finding["status"] == "warning"
    assert "decided (score 0.00), but gave no answer" in finding["message"]
    [call] = vllm.calls(tmp_path / "env")
    assert not Path(f"/proc/{call['pid']}").exists()


def test_the_doctor_says_why_a_start_failed(tmp_path: Path) -> None:
    found, finding = doctor_started(write_config(tmp_path, "oom", card_gb=24))
    assert (found.exit_code, finding["status"]) == (1, "problem")
    assert "Out of memory: Lower context_tokens" in finding["message"]
    assert finding["advice"] == "Then try again: joyvl doctor --start"


def test_the_doctor_starts_no_second_one_beside_that_of_a_running_server(tmp_path: Path) -> None:
    held = DataFolder.open(tmp_path / "data")
    try:
        found, finding = doctor_started(write_config(tmp_path, card_gb=24))
    finally:
        held.close()
    assert (found.exit_code, finding["status"]) == (0, "skipped")
    assert finding["advice"].endswith("To try its start, stop the server first.")
    assert vllm.calls(tmp_path / "env") == []
