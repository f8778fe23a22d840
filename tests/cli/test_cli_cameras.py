"""`joyvl cameras` against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fakes.server.server import ServerProcess
from joyvl_server.cli.main import app
from joyvl_server.ingest.demo import draw_demo

pytestmark = pytest.mark.processes

KEY = "a-key-for-the-tests"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("data")
    draw_demo(folder / "media" / "clip.mp4")
    with ServerProcess(folder, env={"JOYVL_SERVER__API_KEYS": f'["{KEY}"]'}) as server:
        yield server


def cameras(server: ServerProcess, *args: str, key: str | None = KEY) -> Result:
    env = {"JOYVL_URL": server.url, **({"JOYVL_KEY": key} if key else {})}
    return CliRunner().invoke(app, ["cameras", *args], env=env)


def test_from_adding_to_removing(server: ServerProcess):
    clip = (server.folder / "media" / "clip.mp4").resolve().as_uri()
    assert "No camera yet" in cameras(server, "list").stdout
    assert "640x360" in cameras(server, "probe", clip).stdout
    assert "registered" in cameras(server, "add", "hall", clip, "--loop", "--watch", "people").stdout
    assert "hall" in cameras(server, "list").stdout
    assert cameras(server, "disable", "hall").exit_code == 0
    assert "disabled" in cameras(server, "list").stdout
    assert cameras(server, "enable", "hall").exit_code == 0
    twice = cameras(server, "add", "hall", clip)
    assert twice.exit_code == 1
    assert "hall" in twice.stderr
    assert cameras(server, "remove", "hall").exit_code == 0
    assert "No camera yet" in cameras(server, "list").stdout


def test_what_a_watch_fires_at(server: ServerProcess):
    clip = (server.folder / "media" / "clip.mp4").resolve().as_uri()
    told = cameras(server, "add", "words", clip, "--watch", "Tell me when someone comes in").stdout
    assert "fires when something comes in." in told
    assert (
        "fires when something goes away or it gets dark."
        in cameras(
            server, "add", "chosen", clip, "--watch", "Tell me when someone comes in", "--kinds", "leave,dark"
        ).stdout
    )
    shown = {c["name"]: c["watches"][0]["kinds"] for c in json.loads(cameras(server, "list", "--json").stdout)}
    assert shown == {"words": ["enter"], "chosen": ["leave", "dark"]}
    refused = cameras(server, "add", "sleepy", clip, "--watch", "x", "--kinds", "sleep")
    assert (refused.exit_code, "any, or some of enter" in refused.stderr) == (2, True)
    for name in shown:
        assert cameras(server, "remove", name).exit_code == 0


def test_what_pictures_may_cost(server: ServerProcess):
    clip = (server.folder / "media" / "clip.mp4").resolve().as_uri()
    assert "registered" in cameras(server, "add", "eco", clip, "--fidelity", "eco", "--frames", "2").stdout
    (shown,) = json.loads(cameras(server, "list", "--json").stdout)
    assert (shown["fidelity"], shown["frames_per_tick"]) == ("eco", 2)
    assert cameras(server, "remove", "eco").exit_code == 0
    assert "registered" in cameras(server, "add", "set", clip, "--set", "threshold=0.7", "--set", "fidelity=eco").stdout
    (shown,) = json.loads(cameras(server, "list", "--json").stdout)
    assert (shown["threshold"], shown["fidelity"]) == (0.7, "eco")
    assert cameras(server, "remove", "set").exit_code == 0
    for wrong, why in (
        ("threshold", "NAME=VALUE"),
        ("threshold=much", "threshold"),
        ("nonesuch=1", "nonesuch"),
        ("speed=2", "no setting of a session"),
    ):
        refused = cameras(server, "add", "wrong", clip, "--set", wrong)
        assert (refused.exit_code != 0, why in refused.stderr) == (True, True)
    refused = cameras(server, "add", "best", clip, "--fidelity", "best")
    assert (refused.exit_code, "fidelity" in refused.stderr) == (1, True)


def test_what_is_wrong_is_one_sentence(server: ServerProcess):
    assert "API key" in cameras(server, "list", key=None).stderr
    assert "no camera nowhere" in cameras(server, "remove", "nowhere").stderr
    assert cameras(server, "probe", "rtsp://127.0.0.1:1/x").exit_code == 1
    refused = cameras(server, "probe", "rtsp://169.254.169.254/x")
    assert refused.exit_code == 1
    assert "169.254.169.254" in refused.stderr
    away = CliRunner().invoke(app, ["cameras", "list", "--server", "http://127.0.0.1:1"])
    assert (away.exit_code, "Is it running?" in away.stderr) == (1, True)
