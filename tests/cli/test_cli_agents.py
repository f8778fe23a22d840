"""`joyvl agents`: what is configured, what is missing, one real round trip, and permissions on a terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fakes.agents.steered_agent import RUN_IT, SteeredAgent, offer
from fakes.patience import until, wait_until
from joyvl_server.agents.base import AgentContext, AgentError, AgentReport, PermissionOption, PermissionRequest
from joyvl_server.cli.agents.terminal import TerminalPermissions
from joyvl_server.cli.main import app

CONFIG = """
agents:
  default: second
  entries:
    first: {type: steered, about: looks things up}
    second: {type: steered}
    odd: {type: not-there}
"""


@pytest.fixture
def change() -> list[Any]:
    """What is done to each agent that is made."""
    return []


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, change: list[Any]) -> dict[str, SteeredAgent]:
    made: dict[str, SteeredAgent] = {}

    def make(context: AgentContext) -> SteeredAgent:
        agent = made[context.name] = SteeredAgent(context)
        for one in change:
            one(agent)
        return agent

    offer(monkeypatch, steered=make)
    return made


@pytest.fixture
def run(tmp_path: Path, made: dict[str, SteeredAgent]) -> Any:
    (tmp_path / "joyvl.yaml").write_text(CONFIG)

    def run(*arguments: str) -> Result:
        more = ["--config", str(tmp_path / "joyvl.yaml"), "--data-dir", str(tmp_path / "data")]
        return CliRunner().invoke(app, ["agents", *arguments, *more])

    return run


def test_agents_are_listed_without_starting_one(run: Any, made: dict[str, SteeredAgent]):
    found = run("list")
    assert found.exit_code == 0, found.output
    assert [line.split() for line in found.output.splitlines()] == [
        ["first", "steered", "looks", "things", "up"],
        ["*", "second", "steered"],
        ["odd", "not-there"],
    ]
    assert made == {}


def test_without_any_it_says_where_to_read(tmp_path: Path, made: dict[str, SteeredAgent]):
    found = CliRunner().invoke(app, ["agents", "list", "--data-dir", str(tmp_path)])
    assert found.exit_code == 0
    assert "docs/agents.md" in found.output
    assert "Installed types: steered." in found.output


def test_a_check_says_what_is_missing(run: Any, made: dict[str, SteeredAgent], change: list[Any]):
    found = run("check", "first")
    assert (found.exit_code, found.stdout) == (0, "It is there.\nversion: 1.2\nsandbox: None: it is a test.\n")
    assert made["first"].closed
    change.append(lambda agent: setattr(agent, "report", AgentReport(ready=False, message="Node 24 is missing.")))
    missing = run("check", "first")
    assert (missing.exit_code, missing.stdout, missing.stderr) == (1, "", "Node 24 is missing.\n")
    assert made["first"].closed
    odd = run("check", "odd")
    assert odd.exit_code == 1
    assert "not-there" in odd.stderr
    nobody = run("check", "nobody")
    assert (nobody.exit_code, nobody.stderr) == (1, "joyvl: There is no agent nobody. There are: first, second, odd.\n")


def test_one_question_makes_a_round_trip(run: Any, made: dict[str, SteeredAgent], change: list[Any]):
    change.append(lambda agent: agent.files.update({"notes/one.txt": b"1"}))
    change.append(lambda agent: setattr(agent, "answer", "**42**\x1b[31m\nnext line"))
    found = run("run", "first", "What is it?")
    assert found.exit_code == 0, found.output
    assert found.stdout == "**42**\ufffd[31m\nnext line\n", "a terminal would obey what an agent writes"
    assert "Reading the question." in found.stderr
    assert "notes/one.txt" in found.stderr
    agent = made["first"]
    assert (agent.bundles[0].question, agent.bundles[0].origin) == ("What is it?", "user")
    assert (agent.ended, agent.closed) == (1, True)
    assert not agent.folders[0].exists()


def test_without_a_terminal_permissions_are_denied(run: Any, made: dict[str, SteeredAgent], change: list[Any]):
    change.append(lambda agent: agent.asks.append(RUN_IT))
    found = run("run", "first", "Clean up.")
    assert found.exit_code == 0
    assert made["first"].answers == ["no"]
    assert "It asks: Run a command" in found.stderr
    assert "rm -r build" in found.stderr
    assert "no terminal" in found.stderr


def test_a_failure_is_a_sentence(run: Any, made: dict[str, SteeredAgent], change: list[Any]):
    change.append(lambda agent: setattr(agent, "error", AgentError("It wants a login.", code="login")))
    found = run("run", "first", "What is it?")
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr.endswith("joyvl: It wants a login.\n")
    assert made["first"].closed
    assert not made["first"].folders[0].exists()
    for arguments in (("run", "nobody", "x"), ("run", "odd", "x"), ("run", "first", " ")):
        wrong = run(*arguments)
        assert wrong.exit_code in (1, 2)
        assert wrong.stderr.startswith("joyvl: ")
        assert "Traceback" not in wrong.output


def test_one_that_hangs_is_ended(run: Any, made: dict[str, SteeredAgent], change: list[Any], tmp_path: Path):
    (tmp_path / "joyvl.yaml").write_text(f"{CONFIG}  timeout_s: 5\n")
    change.append(lambda agent: setattr(agent, "holds", True))
    found = run("run", "first", "What is it?")
    assert found.exit_code == 1
    assert "did not end within 5 s" in found.stderr
    assert (made["first"].ended, made["first"].closed) == (1, True)
    assert not made["first"].folders[0].exists()


def test_interrupted_its_agent_has_ended(run: Any, made: dict[str, SteeredAgent], change: list[Any]):
    change.append(lambda agent: setattr(agent, "holds", True))

    def interrupt() -> None:
        wait_until(lambda: "first" in made and made["first"].bundles, lambda: "it never began")
        os.kill(os.getpid(), signal.SIGINT)

    # What a shell starts in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    found = run("run", "first", "What is it?")
    interrupting.join()
    signal.signal(signal.SIGINT, before)
    assert found.exit_code == 130
    assert "Traceback" not in found.output
    assert (made["first"].ended, made["first"].closed) == (1, True)
    assert not made["first"].folders[0].exists()


# ------------------------------------------------------------------------------------------------------- on a terminal


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """(the side where somebody types, the side that is read)"""
    keys, screen = pty.openpty()
    yield keys, screen
    for side in (keys, screen):
        try:
            os.close(side)
        except OSError:
            pass


async def test_somebody_answers_on_the_terminal(terminal: tuple[int, int], capsys: pytest.CaptureFixture[str]):
    keys, screen = terminal
    permissions = TerminalPermissions(20, screen)
    for typed, answer in ((b"y\n", "yes"), (b"perhaps\nNO\n", "no"), (b"\x04", "no"), (b"y\n", "yes")):
        asking = asyncio.create_task(permissions.ask(RUN_IT))
        await until(lambda: "y/n" in capsys.readouterr().err)
        os.write(keys, typed)
        assert await asking == answer
        if typed == b"\x04":  # nobody is there any more
            assert await permissions.ask(RUN_IT) == "no"
            break
    permissions.close()
    permissions.close()


async def test_what_was_typed_before_is_no_answer_and_silence_is_no(
    terminal: tuple[int, int], capsys: pytest.CaptureFixture[str]
):
    keys, screen = terminal
    permissions = TerminalPermissions(0.05, screen)
    assert await permissions.ask(RUN_IT) == "no"
    assert "nobody answered" in capsys.readouterr().err
    os.write(keys, b"y\n")
    await until(lambda: permissions._lines.qsize() == 1)
    assert await permissions.ask(RUN_IT) == "no"
    permissions.close()


async def test_what_can_only_be_allowed_for_ever_is_denied(terminal: tuple[int, int]):
    _, screen = terminal
    always = PermissionRequest("Run", "ls", (PermissionOption("ever", "Always", "allow_always"),))
    assert await TerminalPermissions(20, screen).ask(always) is None


async def test_words_of_an_agent_cannot_steer_a_terminal(capsys):
    options = (PermissionOption("yes", "Allow", "allow_once"),)
    await TerminalPermissions(1.0).ask(PermissionRequest("a\x1b[2J\nb" + "x" * 400, "rm\x9b\r-r", options))
    shown = capsys.readouterr().err
    assert "It asks: a\ufffd[2J bxx" in shown
    assert "    rm\ufffd\n    -r\n" in shown
    assert max(map(len, shown.splitlines())) < 320


async def test_a_terminal_hides_nothing_of_what_is_allowed(terminal: tuple[int, int], capsys):
    keys, screen = terminal
    detail = "ls" + "\n" * 150 + "\u2800\u3164" + "\n" * 50 + "x" * 2500 + " && rm -rf /"
    odd = (PermissionOption("a", "Reject", "allow_once"), PermissionOption("b", "Allow", "reject_once"))
    permissions = TerminalPermissions(20, screen)
    for typed, answer in ((b"y\n", "a"), (b"n\n", "b")):
        asking = asyncio.create_task(permissions.ask(PermissionRequest("Run", detail, odd)))
        shown = ""

        def asked() -> bool:
            nonlocal shown
            shown += capsys.readouterr().err
            return "y/n" in shown

        await until(asked)
        assert "    ls\n    [199 empty lines]\n    xxx" in shown
        assert " && rm -rf /\n" in shown
        assert "A yes allows it. The agent calls that “Reject”." in shown
        os.write(keys, typed)
        assert await asking == answer
    permissions.close()
    assert await permissions.ask(PermissionRequest("Run", "x" * 8001, odd)) == "b"
    assert "too long to be shown" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------------- login


LOGIN = """#!/bin/sh
echo "$@" > "$HOME/arguments"
echo "$HOME:$TERM:$AWS_SECRET" > "$HOME/environment"
exit $(cat "$HOME/code" 2>/dev/null || echo 0)
"""


@pytest.mark.processes
def test_a_login_is_the_agents_own_in_its_own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "vt100")
    monkeypatch.setenv("AWS_SECRET", "hidden")
    program = tmp_path / "bin" / "opencode"
    program.parent.mkdir()
    program.write_text(LOGIN)
    program.chmod(0o755)
    entries = f"""
agents:
  entries:
    coder: {{type: acp, options: {{preset: opencode, path: [{program.parent}]}}}}
    own: {{type: acp, options: {{command: [nothing-there]}}}}
    chat: {{type: openai}}
"""
    (tmp_path / "joyvl.yaml").write_text(entries)

    def login(name: str) -> Result:
        more = ["--config", str(tmp_path / "joyvl.yaml"), "--data-dir", str(tmp_path / "data")]
        return CliRunner().invoke(app, ["agents", "login", name, *more])

    found = login("coder")
    assert found.exit_code == 0, found.output
    home = tmp_path / "data" / "agents" / "home" / "coder"
    assert (home / "arguments").read_text() == "auth login\n"
    assert (home / "environment").read_text() == f"{home}:vt100:\n"
    (home / "code").write_text("3")
    failed = login("coder")
    assert failed.exit_code == 1
    assert "ended with 3" in failed.stderr
    for name, words in (("own", "no login"), ("chat", "no login"), ("nobody", "no agent nobody")):
        wrong = login(name)
        assert (wrong.exit_code, "Traceback" in wrong.output) == (1, False)
        assert words in wrong.stderr


# ------------------------------------------------------------------------------------------------------------ newcomers


@pytest.mark.parametrize("command", [["check", "codex"], ["run", "codex", "What is it?"], ["login", "codex"]])
def test_without_any_agent_each_command_says_where_to_read_on(tmp_path: Path, command: list[str]):
    (tmp_path / "none.yaml").write_text("{}")
    found = CliRunner().invoke(app, ["agents", *command, "--config", str(tmp_path / "none.yaml")])
    assert (found.exit_code, found.stdout) == (1, "")
    assert "No agent is configured" in found.stderr
    assert "docs/agents.md" in found.stderr


@pytest.mark.parametrize("command", [["check", "nobody"], ["run", "nobody", "What?"], ["login", "nobody"]])
def test_a_wrong_name_is_told_with_the_right_ones(run: Any, command: list[str]):
    found = run(*command)
    assert (found.exit_code, found.stderr) == (1, "joyvl: There is no agent nobody. There are: first, second, odd.\n")


def test_an_agent_of_a_client_cannot_be_asked_without_its_server(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("agents: {entries: {mine: {type: client}}}")
    found = CliRunner().invoke(app, ["agents", "run", "mine", "What?", "--config", str(tmp_path / "mine.yaml")])
    assert found.exit_code == 1
    assert "is run by a client" in found.stderr
