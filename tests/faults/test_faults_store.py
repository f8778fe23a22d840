"""A real server and its data folder: two servers on one, a full disk, a folder that goes away, `kill -9`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fakes.patience import PATIENCE_S
from fakes.server.server import ServerProcess
from fakes.server.small_disk import small_disk

pytestmark = pytest.mark.slow

AWAY = "rtsp://127.0.0.1:9/none"


def second_server(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "joyvl_server.cli", "serve", "--port", "0", "--data-dir", str(folder), *args]
    env = {k: v for k, v in os.environ.items() if not k.startswith("JOYVL_")}
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=env)


def readiness(server: ServerProcess) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def told(server: ServerProcess, words: str, store: str = "joyvl.db") -> int:
    """How many lines of the log say it."""
    return sum(f'"{words}"' in line and f'"{store}"' in line for line in server.log)


def test_a_second_server_on_the_folder_is_refused(tmp_path: Path):
    with ServerProcess(tmp_path) as server:
        camera = server.camera("door", AWAY)
        second = second_server(tmp_path, "--no-demo")
        assert second.returncode == 1
        assert second.stdout == ""
        assert second.stderr.count("\n") == 1
        assert f"Another joyvl-server (process {server.pid}) is using the data folder {tmp_path}" in second.stderr
        assert [c["id"] for c in server.call("GET", "/v1/cameras")["data"]] == [camera["id"]]
        server.kill()
    with ServerProcess(tmp_path) as server:  # the kernel gave the lock back
        assert [c["id"] for c in server.call("GET", "/v1/cameras")["data"]] == [camera["id"]]


@pytest.mark.parametrize("edit", ["nothing", "a name", "a watch", "a zone"])
def test_no_demo_removes_only_what_nobody_edited(tmp_path: Path, edit: str):
    with ServerProcess(tmp_path, demo=True) as server:
        server.wait(lambda: server.call("GET", "/v1/cameras")["data"])
        (demo,) = server.call("GET", "/v1/cameras")["data"]
        path = f"/v1/cameras/{demo['id']}"
        if edit == "a name":
            server.call("PATCH", path, {"name": "mine"})
        if edit == "a zone":
            server.call("PATCH", path, {"zones": [{"name": "door", "points": [[0, 0], [0.5, 0], [0.5, 1]]}]})
        if edit == "a watch":
            server.call("POST", f"/v1/sessions/{demo['session_id']}/watches", {"text": "anything"})
    with ServerProcess(tmp_path) as server:
        time.sleep(1.0)
        left = [c["id"] for c in server.call("GET", "/v1/cameras")["data"]]
        assert left == ([] if edit == "nothing" else [demo["id"]])


def test_a_full_disk_and_space_again_without_a_restart(tmp_path: Path):
    with small_disk(tmp_path / "disk", "4m") as disk, ServerProcess(disk.path) as server:
        disk.fill()
        refused = []
        for n in range(400):
            body = {"name": f"c{n}", "url": f"{AWAY}?{'x' * 1500}", "enabled": False}
            try:
                server.call("POST", "/v1/cameras", body)
            except AssertionError as error:
                refused.append("store_full" in str(error))
            if len(refused) > 20:
                break
        assert len(refused) > 20
        assert all(refused)
        status, body = readiness(server)
        assert (status, body["parts"]["store"]["ready"]) == (503, False)
        assert "disk is full" in body["parts"]["store"]["reason"]
        time.sleep(3)
        disk.free()
        server.wait(lambda: readiness(server)[0] == 200)
        server.camera("at last", AWAY, enabled=False)
        assert (told(server, "store fails"), told(server, "store works again")) == (1, 1)


def test_a_data_folder_that_is_removed_is_noticed(tmp_path: Path):
    folder = tmp_path / "data"
    with ServerProcess(folder) as server:
        server.camera("door", AWAY, enabled=False)
        shutil.rmtree(folder)
        server.wait(lambda: readiness(server)[0] == 503)
        with pytest.raises(AssertionError, match="store_gone"):
            server.camera("lost", AWAY)
        time.sleep(3)
        assert not folder.exists()
        assert told(server, "store fails") == 1
        assert server.stop() == 0


def test_a_data_folder_that_is_moved_away_and_back(tmp_path: Path):
    folder = tmp_path / "data"
    with ServerProcess(folder) as server:
        server.camera("door", AWAY, enabled=False)
        folder.rename(tmp_path / "elsewhere")
        server.wait(lambda: readiness(server)[0] == 503)
        (tmp_path / "elsewhere").rename(folder)
        server.wait(lambda: readiness(server)[0] == 200)
        server.camera("yard", AWAY, enabled=False)
        server.kill()
        assert (told(server, "store fails"), told(server, "store works again")) == (1, 1)
    with ServerProcess(folder) as server:
        assert sorted(c["name"] for c in server.call("GET", "/v1/cameras")["data"]) == ["door", "yard"]


def test_a_session_cut_off_by_kill_9_is_closed_in_the_timeline(tmp_path: Path):
    with ServerProcess(tmp_path) as server:
        camera = server.camera("door", AWAY)
        path = f"/v1/events?session_id={camera['session_id']}"
        server.wait(lambda: server.call("GET", path)["data"])
        time.sleep(1)
        server.kill()
    with ServerProcess(tmp_path) as server:
        server.wait(lambda: len(server.call("GET", f"{path}&type=session_started")["data"]) == 2)
        kinds = [e["type"] for e in server.call("GET", path)["data"][::-1] if e["type"].startswith("session")]
        assert kinds == ["session_started", "session_ended", "session_started"]
