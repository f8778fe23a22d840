"""The whole of `joyvl doctor` and `joyvl support-bundle`: words, exit codes, limits, and no secret anywhere."""

from __future__ import annotations

import asyncio
import json
import tarfile
import threading
import time

import pytest
import yaml
from typer.testing import CliRunner

from fakes.server.server import ServerProcess
from joyvl_server.cli.doctor.bundle.log_lines import kept_lines
from joyvl_server.cli.doctor.examination import examine
from joyvl_server.cli.doctor.machine.clock import ClockCheck
from joyvl_server.cli.doctor.report import Mask, Report, ok, problem, text_of, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.cli.main import app
from joyvl_server.settings import load

pytestmark = pytest.mark.processes

PLANTED = {
    "server": {"api_keys": ["planted-server-key-1"]},
    "engine": {"name": "openai", "options": {"openai": {
        "base_url": "http://user:planted-in-url@127.0.0.1:1/v1", "api_key": "planted-engine-key-2"}}},
    "speech": {"tts": "openai", "options": {"openai": {
        "base_url": "http://127.0.0.1:1/v1", "api_key": "planted-voice-3"}}},
    "agents": {"entries": {"ann": {"type": "openai", "options": {
        "base_url": "http://127.0.0.1:1/v1", "model": "m", "api_key": "planted-agent-4"}}}},
    "memory": {"chroma_url": "http://127.0.0.1:1", "chroma_key": "planted-chroma-5"},
}  # fmt: skip


class SlowCheck:
    name = "slow"
    limit_s = 0.05

    async def run(self):
        await asyncio.sleep(3600)


class HangingCheck:
    name = "hangs"
    limit_s = 0.05

    async def run(self):
        await off_loop(time.sleep, 3600)


class BrokenCheck:
    name = "broken"
    limit_s = 60.0

    async def run(self):
        raise RuntimeError("token=planted-in-a-fault")


class GoodCheck:
    name = "good"
    limit_s = 60.0

    async def run(self):
        return [ok("All is well.")]


async def test_each_check_has_its_time_and_none_hides_another():
    told = []
    report = await examine([SlowCheck(), HangingCheck(), BrokenCheck(), GoodCheck()], Mask(), told.append)
    assert [(one.check, str(one.status)) for one in told] == [
        ("slow", "problem"), ("hangs", "problem"), ("broken", "problem"), ("good", "ok")
    ]  # fmt: skip
    assert tuple(told) == report.findings
    assert "not known after 0.05 s" in told[0].message
    assert "planted" not in told[2].message
    assert not report.healthy
    assert report.summary().startswith("3 problems and no warnings")
    assert Report((), "1").summary() == "No problem was found."
    careful = Report((warning("It is slow.", "Wait."),), "1")
    assert careful.summary().startswith("No problems and 1 warning; ")


@pytest.mark.usefixtures("true_limits")
def test_a_check_that_hangs_is_told_after_its_own_limit(doctor, monkeypatch):
    """Of the real ones, by the command: it ends although the thread of the check still hangs."""
    released = threading.Event()
    monkeypatch.setattr(ClockCheck, "_look", lambda _: released.wait())
    try:
        (found,) = doctor("clock")
    finally:
        released.set()
    assert (found["status"], found["message"]) == ("problem", "This was not known after 5 s.")
    assert "does not answer" in found["advice"]


def test_lines_for_people():
    shown = text_of(problem("It is broken. " * 10, "Mend it."), 80)
    assert shown.splitlines()[0].startswith("problem")
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.splitlines()[-1].strip() == "→ Mend it."


def test_a_name_that_is_no_check():
    result = CliRunner().invoke(app, ["doctor", "prot"])
    assert result.exit_code == 2
    assert "There is no check prot. There are: settings, disk" in result.output


def test_everything_where_nothing_is_installed(doctor):
    found = doctor()
    assert {one["check"] for one in found} >= {
        "settings", "disk", "data folder", "server", "port", "clock", "video", "calls", "turn", "secrets", "keys",
        "card", "model", "markers", "template", "engine", "voices", "ears", "memory", "agents",
    }  # fmt: skip
    assert [one for one in found if one["status"] == "problem" and one["check"] not in ("disk",)] == []


def test_no_secret_comes_out(tmp_path, monkeypatch):
    monkeypatch.setenv("JOYVL_KEY", "planted-key-of-the-user")
    config, bundle, log = tmp_path / "joyvl.yaml", tmp_path / "bundle.tar.gz", tmp_path / "joyvl.log"
    config.write_text(yaml.safe_dump(PLANTED))
    log.write_text('{"event": "planted-engine-key-2 was refused", "answer": "planted words", "level": "error"}\n')
    for arguments in (["doctor"], ["doctor", "--json"]):
        result = CliRunner().invoke(app, [*arguments, "--config", str(config)])
        assert result.exit_code == 1
        assert "planted" not in result.output
    made = CliRunner().invoke(app, ["support-bundle", str(bundle), "--config", str(config), "--log", str(log)])
    assert made.exit_code == 0, made.output
    assert bundle.stat().st_mode & 0o777 == 0o600
    with tarfile.open(bundle) as archive:
        texts = {member.name: archive.extractfile(member).read().decode() for member in archive}
    assert set(texts) == {f"joyvl-support/{name}" for name in (
        "README.txt", "report.txt", "report.json", "settings.yaml", "versions.json", "card.txt", "counts.json",
        "log.txt",
    )}  # fmt: skip
    assert [name for name, text in texts.items() if "planted" in text] == []
    assert "*** was refused" in texts["joyvl-support/log.txt"]
    assert json.loads(texts["joyvl-support/report.json"])["ok"] is False
    again = CliRunner().invoke(app, ["support-bundle", str(bundle), "--config", str(config)])
    assert (again.exit_code, "exists already" in again.output) == (2, True)


def test_a_log_loses_the_words_of_people():
    lines = [
        '{"event": "a task ended", "question": "where is my wife", "level": "info", "code": "timeout"}',
        "2026-11-29T10:00:00.1Z [warning  ] unmarked text              [joyvl] answer='she sleeps' engine=vllm",
        "Traceback (most recent call last):",
        '  File "/app/x.py", line 3, in look',
        "    raise ValueError('she sleeps')",
        "ValueError: she sleeps",
    ]
    kept = kept_lines(lines, Mask())
    assert "where is my wife" not in str(kept)
    assert "she sleeps" not in str(kept)
    assert '"code": "timeout"' in kept[0]
    assert kept[1].endswith("engine=vllm")
    assert kept[-1] == "(2 lines that are not the server's own were left out)"


def test_the_mask_knows_every_secret_of_the_settings(tmp_path):
    (tmp_path / "joyvl.yaml").write_text(yaml.safe_dump(PLANTED))
    mask = Mask.of(load(tmp_path / "joyvl.yaml", environ={}))
    text = "planted-server-key-1 planted-engine-key-2 planted-voice-3 planted-agent-4 planted-chroma-5"
    assert mask.text(text) == "*** *** *** *** ***"


def test_a_running_server_is_found_and_asked(doctor, tmp_path):
    """It listens on a port of its own, and its record is read while it writes."""
    bundle = tmp_path / "bundle.tar.gz"
    with ServerProcess(tmp_path / "data", "--log-level", "warning") as server:
        found = {one["message"]: one["status"] for one in doctor("server", "data-folder", "port", "disk")}
        assert f"The server at {server.url} runs (process {server.pid}), and all its parts are ready." in found
        assert any("is using this data folder" in message for message in found)
        assert any(message.startswith("joyvl.db is whole") for message in found)
        made = CliRunner().invoke(app, ["support-bundle", str(bundle)])
        assert made.exit_code == 0, made.output
    with tarfile.open(bundle) as archive:
        texts = {member.name: archive.extractfile(member).read().decode() for member in archive}
    assert json.loads(texts["joyvl-support/readyz.json"])["ready"] is True
    assert "joyvl_sessions" in texts["joyvl-support/metrics.txt"]
    assert json.loads(texts["joyvl-support/counts.json"])["joyvl.db"]["rows"]["cameras"] == 0
