"""Environments of their own: made for real with a wheel of one module, taken up again, and never ours."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.server.wheel import make_wheel
from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.kit import virtualenvs
from joyvl_server.kit.virtualenvs import (
    STAMP,
    EnvironmentState,
    VirtualEnvironment,
    commands,
    find_python,
    make,
)

pytestmark = pytest.mark.processes


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here asks a package index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_it_is_made_finished_and_made_once_more_for_other_requirements(tmp_path: Path) -> None:
    first = make_wheel(tmp_path / "wheels", "tinything")
    environment = VirtualEnvironment(tmp_path / "environments" / "tiny", (str(first),), (10, 99))
    assert environment.state() is EnvironmentState.MISSING
    lines: list[str] = []
    make(environment, sys.executable, lines.append)
    assert environment.state() is EnvironmentState.READY
    assert any("Successfully installed tinything-1.0" in line for line in lines)
    told = subprocess.run(
        [environment.python, "-I", "-c", "import sys, tinything; print(tinything.VERSION, sys.prefix)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert told == ["1.0", str(environment.folder)]

    lines.clear()
    make(environment, sys.executable, lines.append)
    assert lines == [], "what is ready is left alone"

    (environment.folder / STAMP).unlink()
    assert environment.state() is EnvironmentState.UNFINISHED
    make(environment, sys.executable, lines.append)
    assert environment.state() is EnvironmentState.READY
    assert not any("Successfully" in line for line in lines), "what was there is not installed again"

    second = make_wheel(tmp_path / "wheels", "tinything", "2.0")
    newer = VirtualEnvironment(environment.folder, (str(second),), (10, 99))
    assert newer.state() is EnvironmentState.OUTDATED
    make(newer, sys.executable, lines.append)
    assert newer.state() is EnvironmentState.READY
    assert environment.state() is EnvironmentState.OUTDATED


def test_a_step_that_fails_leaves_it_unfinished_and_says_why(tmp_path: Path) -> None:
    environment = VirtualEnvironment(tmp_path / "tiny", ("no-such-thing-at-all",), (10, 99))
    with pytest.raises(JoyvlError, match="There is no no-such-thing-at-all for this machine"):
        make(environment, sys.executable, lambda _: None)
    assert environment.state() is EnvironmentState.UNFINISHED
    assert [c[1:4] for c in commands(environment, sys.executable, "pip")] == [
        ["-m", "pip", "--disable-pip-version-check"]
    ]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full."),
        ("ensurepip is not available.", "apt-get install python3-venv"),
        ("Failed to establish a new connection: NewConnectionError", "The package index cannot be reached."),
        ("ERROR: ResolutionImpossible: for help", "contradict one another"),
        ("Permission denied", "cannot be written"),
        ("odd", "ended with status 3"),
    ],
)
def test_why_a_step_failed(tmp_path: Path, said: str, sentence: str) -> None:
    python = script(tmp_path / "python", f"echo '{said}'; exit 3")
    with pytest.raises(JoyvlError, match=sentence):
        make(VirtualEnvironment(tmp_path / "x", ("y",)), python, lambda _: None)


def test_a_python_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(JoyvlError, match="cannot be started"):
        make(VirtualEnvironment(tmp_path / "x", ("y",)), str(tmp_path / "nothing"), lambda _: None)


@pytest.mark.parametrize("folder", [sys.prefix, f"{sys.prefix}/lib/vllm", str(Path(sys.prefix).parent)])
def test_the_servers_own_environment_is_never_touched(folder: str) -> None:
    with pytest.raises(ConfigError, match="the server's own environment"):
        make(VirtualEnvironment(Path(folder), ("y",)), sys.executable, lambda _: None)


def test_a_folder_of_somebody_else_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.txt").write_text("the only copy")
    with pytest.raises(ConfigError, match="is not a Python environment"):
        make(VirtualEnvironment(tmp_path / "x", ("y",)), sys.executable, lambda _: None)
    assert (tmp_path / "x" / "thesis.txt").exists()


def test_two_at_once_are_one_too_many(tmp_path: Path) -> None:
    with (tmp_path / "x.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(JoyvlError, match="being made by another process"):
            make(VirtualEnvironment(tmp_path / "x", ("y",)), sys.executable, lambda _: None)


def test_a_stamp_without_its_python_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / STAMP).write_text(json.dumps({"requirements": ["y"]}))
    assert VirtualEnvironment(tmp_path, ("y",)).state() is EnvironmentState.UNFINISHED


def test_which_python_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for minor in (11, 12, 15):
        script(tmp_path / f"python3.{minor}", f"echo {300 + minor}")
    script(tmp_path / "odd", "exit 1")
    assert find_python((12, 13)) == str(tmp_path / "python3.12")
    assert find_python((11, 14), "python3.11") == str(tmp_path / "python3.11")
    with pytest.raises(ConfigError, match=r"is Python 3\.15; 3\.11 to 3\.13 are needed"):
        find_python((11, 13), str(tmp_path / "python3.15"))
    for name in ("odd", "missing"):
        with pytest.raises(ConfigError, match="cannot be started as Python"):
            find_python((11, 13), name)
    with pytest.raises(ConfigError, match=r"No Python 3\.9 to 3\.10 is on the path"):
        find_python((9, 10))


def test_uv_is_used_where_pip_has_no_sources_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = script(tmp_path / "uv", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    environment = VirtualEnvironment(tmp_path / "x", ("vllm",))
    install = ["-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off", "vllm"]
    pip = [["/py", "-m", "venv", "--clear", str(tmp_path / "x")], [str(environment.python), *install]]
    assert commands(environment, "/py") == pip, "PIP_NO_INDEX is set here"
    with_uv = commands(environment, "/py", "uv")
    assert [command[0] for command in with_uv] == [uv, uv]
    assert with_uv[1][-1] == "vllm"
    for name in virtualenvs._SOURCES:
        monkeypatch.delenv(name, raising=False)
    assert commands(environment, "/py") == with_uv
    assert commands(environment, "/py", "pip") == pip
    Path(uv).unlink()
    with pytest.raises(ConfigError, match="uv is not on the path"):
        commands(environment, "/py", "uv")
