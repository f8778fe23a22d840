"""Where `joyvl bench` finds its commands: in a checkout, wherever joyvl is started; never in an installed package."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from joyvl_server.cli.bench import MISSING

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
JOYVL = "from joyvl_server.cli.main import app; app()"
NAMES = ("tick", "ingest", "context", "sessions", "fidelity", "speech", "memory", "alerts", "delegation")


def run(package: Path, cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A Python that imports joyvl_server from `package`, started in `cwd`."""
    environment = {**os.environ, "PYTHONPATH": str(package), "COLUMNS": "200"}
    return subprocess.run([sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of a built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_has_the_page_and_no_bench(installed: Path):
    files = [path.relative_to(installed) for path in installed.rglob("*.py")]
    assert Path("joyvl_server/cli/bench.py") in files
    assert [path for path in files if path != Path("joyvl_server/cli/bench.py") and "bench" in str(path)] == []
    assert {path.parts[0] for path in files} == {"joyvl_server"}
    assert (installed / "joyvl_server/web/index.html").is_file()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("tick",), ("context", "--seconds", "400", "--json")])
def test_without_a_checkout_it_says_where_the_benches_are(installed: Path, tmp_path: Path, arguments: tuple[str, ...]):
    ended = run(installed, tmp_path, "-c", JOYVL, "bench", *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{MISSING}\n")


def test_from_another_folder_a_checkout_lists_them(tmp_path: Path):
    ended = run(ROOT, tmp_path, "-c", JOYVL, "bench", "--help")
    assert ended.returncode == 0, ended.stderr
    assert all(name in ended.stdout for name in NAMES)


@pytest.mark.parametrize("argument", ["--help", "version"])
def test_other_commands_import_none_of_them(tmp_path: Path, argument: str):
    ended = run(ROOT, tmp_path, "-X", "importtime", "-c", JOYVL, argument)
    assert ended.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "joyvl_server.cli.bench" in imported
    assert not {name for name in imported if name == "bench" or name.startswith("bench.")}
