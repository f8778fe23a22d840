"""A session setting of another distribution: through REST, the row, a restart, the form's definition and OpenAPI."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fakes.server.server import ServerProcess
from joyvl_server.api.schemas.calls import CallSession
from joyvl_server.api.schemas.cameras import CameraIn, CameraOut
from joyvl_server.api.schemas.sessions import SessionOut
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.sessions.spec_plugins import RESERVED

pytestmark = pytest.mark.processes

GREETING = Path(__file__).parent.parent / "fakes" / "out_of_tree_setting"
URL = "rtsp://127.0.0.1:1/nothing"


def install(site: Path, name: str, target: str, source: str) -> None:
    """What an installer leaves in site-packages."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[joyvl.session_settings]\n{name} = {target}\n")
    (site / f"{target.partition(':')[0]}.py").write_text(source)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the package in it."""
    project = tomllib.loads((GREETING / "pyproject.toml").read_text())["project"]
    ((name, target),) = project["entry-points"]["joyvl.session_settings"].items()
    install(tmp_path / "site", name, target, (GREETING / "joyvl_greeting.py").read_text())
    return tmp_path / "site"


def serving(folder: Path, *sites: Path) -> ServerProcess:
    path = os.pathsep.join([*map(str, sites), *filter(None, [os.environ.get("PYTHONPATH")])])
    return ServerProcess(folder, env={"PYTHONPATH": path})


def spec_of(folder: Path) -> dict[str, object]:
    connection = sqlite3.connect(folder / "joyvl.db")
    try:
        return json.loads(connection.execute("SELECT spec FROM cameras").fetchone()[0])
    finally:
        connection.close()


def test_it_is_everywhere_where_ours_are_and_outlives_the_package(tmp_path: Path, site: Path):
    folder = tmp_path / "data"
    with serving(folder, site) as server:
        camera = server.camera("door", URL, greeting="Hello!", threshold=0.7)
        path, session = f"/v1/cameras/{camera['id']}", f"/v1/sessions/{camera['session_id']}"
        assert camera["greeting"] == "Hello!"
        assert (camera["greetings_a_day"], server.call("GET", session)["greeting"]) == (None, "Hello!")
        assert server.call("PATCH", path, {"greeting": "Hi!"})["greeting"] == "Hi!"
        assert server.call("PATCH", session, {"greeting": "Welcome!"})["greeting"] == "Welcome!"
        refused = server.call("PATCH", path, {"greeting": "much too long for a greeting"}, expect=422)
        assert refused["errors"][0]["field"] == "greeting"
        server.call("PATCH", session, {"greetings_a_day": 3}, expect=422)  # it needs a new session
        assert server.call("PATCH", path, {"greetings_a_day": 3})["greetings_a_day"] == 3
        (shown,) = [one for one in server.call("GET", "/v1/session-settings")["data"] if one["name"] == "greeting"]
        assert (shown["title"], shown["type"], shown["reopens"]) == ("Greeting", "string", False)
        schemas = server.call("GET", "/openapi.json")["components"]["schemas"]
        for name in ("CameraIn", "CameraPatch", "CameraOut", "SessionPatch", "SessionOut"):
            assert schemas[name]["properties"]["greeting"]["description"] == shown["description"]
    assert spec_of(folder) == {"greeting": "Welcome!", "greetings_a_day": 3, "threshold": 0.7}
    with serving(folder, site) as server:
        assert server.call("GET", path)["greeting"] == "Welcome!"
    with serving(folder) as server:  # the package is gone
        assert "greeting" not in server.call("GET", path)
        assert server.call("PATCH", path, {"threshold": 0.8})["threshold"] == 0.8
        server.call("PATCH", path, {"greeting": "Hi!"}, expect=422)
        assert "not known here" in "".join(server.log)
    assert spec_of(folder) == {"greeting": "Welcome!", "greetings_a_day": 3, "threshold": 0.8}
    with serving(folder, site) as server:
        assert server.call("GET", path)["greeting"] == "Welcome!"


def test_the_reference_shows_it(site: Path):
    command = [sys.executable, "-m", "joyvl_server.cli", "config", "reference"]
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    shown = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert "| `greeting` | text | What is said when the camera comes online. |" in shown.stdout


MODEL = "from pydantic import BaseModel\nclass Setting(BaseModel):\n    "
BROKEN = {
    "a module that is not there": ("import nothing_like_this\n", "No module named 'nothing_like_this'"),
    "no model": ("Setting = 3\n", "is no pydantic model"),
    "a name of ours": (MODEL + "threshold: int = 3\n", "'threshold'"),
    "a name beside ours": (MODEL + "url: str = ''\n", "'url'"),
    "no default": (MODEL + "loud: int\n", "Field required"),
    "no JSON": (
        MODEL + "model_config = {'arbitrary_types_allowed': True}\n    loud: object = object()\n",
        "cannot be used",
    ),
    "an exit": ("raise SystemExit('no licence')\n", "no licence"),
}


def test_broken_packages_are_told_and_hurt_nobody(tmp_path: Path, site: Path):
    sites = [site]
    for number, (source, _) in enumerate(BROKEN.values()):
        folder = tmp_path / f"broken{number}"
        install(folder, f"broken{number}", f"broken_setting{number}:Setting", source)
        sites.append(folder)
    with serving(tmp_path / "data", *sites) as server:
        assert server.camera("door", URL, greeting="Hello!")["greeting"] == "Hello!", "a sound one is not left out"
        names = {one["name"] for one in server.call("GET", "/v1/session-settings")["data"]}
        assert names == {*SessionSpec.model_fields, "greeting", "greetings_a_day"}
        told = [line for line in server.log if "left out" in line]
    for number, (_, why) in enumerate(BROKEN.values()):
        assert [line for line in told if f"broken{number}" in line and why in line], (number, told)
    assert len(told) == len(BROKEN)


def test_no_package_may_take_a_name_that_is_in_use():
    names = {name for model in (CameraIn, CameraOut, CallSession, SessionOut) for name in model.model_fields}
    assert names - set(SessionSpec.model_fields) <= RESERVED
