"""Our image, made from docker/Dockerfile step by step and started as Docker would: user 10001, read-only root."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from container import Container
from image_replay import CONTEXT, DOCKERFILE, Image, read_stages

from fakes.patience import PATIENCE_S

pytestmark = pytest.mark.processes


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.2)


@pytest.mark.slow
def test_the_image_runs_as_its_user_with_a_read_only_root(image: Image, tmp_path: Path):
    began = time.monotonic()
    mounts = {CONTEXT / "configs": "/etc/joyvl"}
    public = {"JOYVL_SERVER__TLS": "self-signed", "JOYVL_SERVER__PUBLIC_URL": "https://127.0.0.1:8099"}
    environment = {"JOYVL_CONFIG": "/etc/joyvl/cpu.yaml", **public}
    with Container(image, tmp_path, mounts, environment) as container:
        until(container.healthy, "the healthcheck never passed")
        print(f"healthy {time.monotonic() - began:.1f} s after the start")
        status = container.run(["cat", f"/proc/{os.getpid()}/status", "/proc/1/status"]).stdout
        first = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert first["Uid"].split() == ["10001"] * 4
        assert first["Gid"].split() == ["10001"] * 4
        assert first["CapEff"] == first["CapPrm"] == "0000000000000000"
        assert first["NoNewPrivs"] == "1"
        for place in ("/", "/opt/joyvl", "/usr/local/bin", "/etc/joyvl", "/var"):
            assert container.run(["touch", f"{place}/written"]).returncode != 0, place
        for place in ("/data", "/models", "/tmp"):
            assert container.run(["touch", f"{place}/written"]).returncode == 0, place

        assert container.ask("GET", "/v1/cameras")[0] == 401
        link = re.search(r"https://127\.0\.0\.1:8099/#/login\?code=(\S+)", container.log.read_text())
        assert link is not None, container.log.read_text()
        assert container.ask("POST", "/v1/login", {"code": link[1]})[0] == 200
        key = container.run(["joyvl", "keys", "add", "test", "--role", "admin"]).stdout.split()[-1]
        assert container.ask("GET", "/readyz", key=key)[0] == 200
        until(lambda: _ticks(container, key) > 3, "the camera demo never ticked")
        status, engines = container.ask("GET", "/v1/engines", key=key)
        assert status == 200
        assert {engine["name"] for engine in engines["data"]} >= {"motion", "openai", "vllm"}

        speech = "import ctranslate2, faster_whisper, onnxruntime, wetext, apprise"
        assert container.run(["/opt/joyvl/bin/python", "-c", speech]).returncode == 0
        said = container.run(["joyvl", "voices", "try", "espeak", "All is well.", "--out", "/data/said.wav"])
        assert said.returncode == 0, said.stderr
        log = container.log.read_text()
        assert "Traceback" not in log
        assert "Permission denied" not in log
        assert "Read-only file system" not in log
        assert container.stop() == 0


def _ticks(container: Container, key: str) -> int:
    sessions = container.ask("GET", "/v1/sessions", key=key)[1]["data"]
    if not sessions:
        return 0
    return len(container.ask("GET", f"/v1/sessions/{sessions[0]['id']}/ticks", key=key)[1]["data"])


def test_the_dockerfile_is_understood_and_ends_with_the_server():
    stages = read_stages(DOCKERFILE.read_text("utf-8"))
    assert list(stages)[-1] == "joyvl"
    assert dict(stages["joyvl"].steps)["USER"] == "10001:10001"
    assert {stage.parent for stage in stages.values()} - set(stages) == {"debian:bookworm-slim"}
    with pytest.raises(ValueError, match="not understood: ADD"):
        read_stages("FROM debian:bookworm-slim AS base\nADD https://example.org/x /x\n")


def test_only_what_is_copied_goes_to_the_builder():
    """A planted secret of the working folder is in no layer: .dockerignore starts from nothing."""
    lines = [line for line in (CONTEXT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word.split("/")[0]
        for stage in read_stages(DOCKERFILE.read_text("utf-8")).values()
        for keyword, text in stage.steps
        if keyword == "COPY" and not text.startswith("--from")
        for word in text.split()[:-1]
    }
    assert let_in == copied
    assert {"**/.env", "**/secret.key", "**/*.db", "docker/**/*.key"} <= set(lines)
