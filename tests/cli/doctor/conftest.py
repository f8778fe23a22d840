"""The doctor in a world of the tests' own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from fakes.patience import PATIENCE_S
from joyvl_server.cli.doctor import checks
from joyvl_server.cli.doctor.machine import turn, webrtc
from joyvl_server.cli.main import app

LIMITS = {
    check: check.limit_s
    for name, check in vars(checks).items()
    if name.endswith("Check") and isinstance(getattr(check, "limit_s", None), float)
}
"""as they are for people"""


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings, no weights, no card of the machine on which the tests run."""
    for name in ("JOYVL_CONFIG", "JOYVL_KEY", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JOYVL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))


@pytest.fixture(autouse=True)
def patient_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is true of the machine is found there, too, only later."""
    for check in LIMITS:
        monkeypatch.setattr(check, "limit_s", PATIENCE_S)
    for module, limit in ((webrtc, "CALL_S"), (webrtc, "ECHO_S"), (turn, "ANSWER_S")):
        monkeypatch.setattr(module, limit, PATIENCE_S / 2)


@pytest.fixture
def true_limits(patient_on_a_busy_machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for check, limit_s in LIMITS.items():
        monkeypatch.setattr(check, "limit_s", limit_s)


@pytest.fixture
def doctor(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """`doctor("port", settings={…})`: the findings, as --json prints them; it checks that the exit code fits."""

    def run(*arguments: object, settings: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        import json

        given = [str(argument) for argument in arguments]
        if settings is not None:
            (tmp_path / "joyvl.yaml").write_text(yaml.safe_dump(settings))
            given += ["--config", str(tmp_path / "joyvl.yaml")]
        result = CliRunner().invoke(app, ["doctor", "--json", *given])
        report = json.loads(result.stdout)
        problems = [finding for finding in report["findings"] if finding["status"] == "problem"]
        assert result.exit_code == bool(problems) == (not report["ok"]), result.output
        for finding in problems:
            assert finding["message"], finding  # what is wrong
            assert finding["advice"], finding  # and what to do
        return report["findings"]

    return run
