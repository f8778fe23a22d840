"""What is said of wrong options, and of a login that is there, missing, or not known of."""

from __future__ import annotations

import pytest

from fakes.clock import ManualClock
from joyvl_server.agents.acp.program import AgentProgram
from joyvl_server.agents.base import AgentContext, AgentError
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.net.policy import NetPolicy


def program(home, **options) -> AgentProgram:
    return AgentProgram(AgentContext("mine", options, home, ManualClock(), NetPolicy()))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "options: `command` is needed, or a preset: opencode, codex, claude, openclaw."),
        ({"command": "run it"}, "options.command: it must be a list, like [one, two]."),
        ({"preset": "codex", "limits": {"memory": 1}}, "options.limits.memory: there is no such option. "
         "Did you mean memory_mb?"),
        ({"preset": "codex", "model": {"foo": 1}}, "options.model.foo: there is no such option. There are: base_url, "
         "name, api_key, api_key_file, images."),
        ({"preset": "codex", "mod": 1}, "options.mod: there is no such option. Did you mean mode?"),
    ],
)  # fmt: skip
def test_wrong_options_are_told_in_words(tmp_path, options, sentence):
    with pytest.raises(ConfigError) as raised:
        program(tmp_path, **options)
    assert f"agents.entries.mine.{sentence}" in str(raised.value)


def test_claude_that_was_never_logged_in_is_not_ready(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    claude = program(tmp_path, preset="claude")
    with pytest.raises(AgentError, match=r"never logged in.*joyvl agents login mine\.") as raised:
        claude.about_login()
    assert raised.value.code == "login"
    (tmp_path / ".claude.json").write_text('{"numStartups": 1}')
    with pytest.raises(AgentError):
        claude.about_login()
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / ".credentials.json").write_text("{}")
    assert "There is a login in its HOME" in claude.about_login()


def test_what_is_known_of_other_logins_is_told(tmp_path):
    opencode = program(tmp_path, preset="opencode")
    assert "No login was found" in opencode.about_login()
    assert "joyvl agents login mine" in opencode.about_login()
    place = tmp_path / ".local" / "share" / "opencode"
    place.mkdir(parents=True)
    (place / "auth.json").write_text('{"openai": {"type": "api"}}')
    assert "There is a login in its HOME" in opencode.about_login()
    assert "first question" in program(tmp_path, preset="claude", env={"ANTHROPIC_API_KEY": "k"}).about_login()
    model = {"base_url": "http://127.0.0.1:1/v1", "name": "m"}
    assert program(tmp_path, preset="claude", model=model).about_login() == "Its model server was not asked."
    assert program(tmp_path, command=["mine"]).about_login() == ""
