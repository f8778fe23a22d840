"""`joyvl replay` on logs of other versions and damaged ones."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.media.frames import make_frame
from joyvl_server.cli.main import app
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Score
from joyvl_server.core.inputs import Scored, Tick
from joyvl_server.core.observer import Observer
from joyvl_server.core.replay import encode_step, header


def steps() -> list[dict]:
    observer = Observer(ObserverConfig())
    inputs = [Tick(0.0, make_frame(0.0)), Scored(0.1, 1, Score(0.2))]
    return [encode_step(input, observer.handle(input)) for input in inputs]


def replayed(path: Path, entries: list[dict]):
    path.write_text("\n".join(json.dumps(entry) for entry in [header(ObserverConfig()), *entries]) + "\n")
    return CliRunner().invoke(app, ["replay", str(path)])


def test_what_older_logs_did_not_tell_is_no_difference(tmp_path: Path) -> None:
    entries = steps()
    (begin, append, _) = entries[0]["out"]
    assert (append["type"], append["turn"].pop("burst"), append["turn"].pop("backlog")) == ("Append", [], [])
    assert (begin["type"], begin["chunk"].pop("origin")) == ("BeginChunk", 0.0)
    result = replayed(tmp_path / "old.jsonl", entries)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 5


@pytest.mark.parametrize("change", [{"answer": "</response> Hello"}, {"type": "Shout"}, {"why": "?"}])
def test_another_answer_than_recorded_is_a_difference(tmp_path: Path, change) -> None:
    entries = steps()
    entries[1]["out"][0].update(change)
    result = replayed(tmp_path / "other.jsonl", entries)
    assert result.exit_code == 1
    assert "1 steps differ from what was recorded." in result.output


def test_a_log_of_version_1_has_no_difference() -> None:
    log = Path(__file__).parents[1] / "core" / "logs" / "version_1.jsonl"
    result = CliRunner().invoke(app, ["replay", str(log)])
    assert result.exit_code == 0, result.output
