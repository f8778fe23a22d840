"""The settings of what compose.yaml starts next to the server, read by the programs themselves (Debian's versions)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
import yaml

from fakes.media.rtsp_server import PYTHON, available, free_port
from fakes.patience import PATIENCE_S
from joyvl_server.ingest.demo import frames

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is missing; as root on Debian scripts/test installs it")
    return found


def run(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def started(script: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["/bin/sh", str(script)], env={"PATH": f"{os.environ['PATH']}:/usr/sbin", **env}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def moved(script: Path, folder: Path) -> Path:
    """The script with a folder of the test's own instead of /tmp."""
    copy = folder / script.name
    copy.write_text(script.read_text().replace("/tmp/", f"{folder}/"))
    return copy


# ---------------------------------------------------------------------------------------------------------- Prometheus


def test_prometheus_takes_its_settings_and_the_rules(tmp_path: Path):
    promtool = program("promtool")
    (tmp_path / "alerts.yaml").write_text((DOCKER / "prometheus" / "alerts.yaml").read_text())
    text = (DOCKER / "prometheus" / "prometheus.yaml").read_text().replace("/tmp/", f"{tmp_path}/")
    (tmp_path / "prometheus.yaml").write_text(text)
    # What start.sh writes, without the server itself.
    start = moved(DOCKER / "prometheus" / "start.sh", tmp_path)
    start.write_text(start.read_text().replace("exec prometheus", "exec true"))
    wrote = run("/bin/sh", str(start), env={"PATH": os.environ["PATH"], "METRICS_KEY": "k-1", "UPSTREAM": "there:1"})
    assert wrote.returncode == 0, wrote.stderr
    assert (tmp_path / "metrics-key").read_text() == "k-1"
    assert (tmp_path / "metrics-key").stat().st_mode & 0o077 == 0
    done = run(promtool, "check", "config", str(tmp_path / "prometheus.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


def test_grafana_is_told_of_the_same_source_and_folder():
    sources = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    folder = yaml.safe_load((DOCKER / "grafana/provisioning/dashboards/joyvl.yaml").read_text())["providers"][0]
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert f"./docker/grafana:{folder['options']['path']}:ro" in services["grafana"]["volumes"]
    assert (DOCKER / "grafana" / "joyvl.json").read_text().count(f'"uid": "{sources[0]["uid"]}"') > 5


# --------------------------------------------------------------------------------------------------------------- Caddy


@pytest.mark.parametrize(("domain", "tls"), [("localhost", "internal"), ("joyvl.example", "somebody@joyvl.example")])
def test_caddy_takes_its_settings(tmp_path: Path, domain: str, tls: str):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOMAIN": domain, "CADDY_TLS": tls, "UPSTREAM": "there:1"}
    file = str(DOCKER / "caddy" / "Caddyfile")
    done = run(program("caddy"), "adapt", "--adapter", "caddyfile", "--config", file, env=env)
    assert done.returncode == 0, done.stderr
    assert "there:1" in done.stdout
    assert domain in done.stdout
    assert ('"internal"' in done.stdout) == (tls == "internal")
    assert "not formatted" not in done.stderr


# ----------------------------------------------------------------------------------------------------------- Mosquitto


def test_the_broker_lets_in_whoever_has_the_password(tmp_path: Path):
    program("mosquitto")
    port = free_port()
    conf = (DOCKER / "mosquitto" / "mosquitto.conf").read_text().replace("/tmp/", f"{tmp_path}/")
    conf = conf.replace("listener 1883", f"listener {port} 127.0.0.1").replace("/mosquitto/data/", f"{tmp_path}/")
    (tmp_path / "mosquitto.conf").write_text(f"{conf}user root\n")
    script = moved(DOCKER / "mosquitto" / "start.sh", tmp_path)
    env = {"MQTT_USER": "anna", "MQTT_PASSWORD": "s3cret", "MOSQUITTO_CONF": str(tmp_path / "mosquitto.conf")}
    publish = [program("mosquitto_pub"), "-p", str(port), "-t", "a", "-m", "b"]
    with started(script, env) as broker:
        until(lambda: answers(port) or broker.poll() is not None, "the broker did not start")
        assert broker.poll() is None, broker.communicate()[0]
        assert run(*publish, "-u", "anna", "-P", "s3cret").returncode == 0
        assert run(*publish, "-u", "anna", "-P", "wrong").returncode != 0
        assert run(*publish).returncode != 0
    assert (tmp_path / "passwords").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("script", "variable"), [("mosquitto", "MQTT_PASSWORD"), ("coturn", "TURN_SECRET")])
def test_without_a_secret_they_do_not_start_and_say_so(script: str, variable: str):
    done = run("/bin/sh", str(DOCKER / script / "start.sh"), env={"PATH": os.environ["PATH"], variable: ""})
    assert done.returncode == 1
    assert f"Set {variable} in .env" in done.stderr


# -------------------------------------------------------------------------------------------------------------- coturn


def test_the_turn_server_starts_and_relays_for_whoever_has_the_secret(tmp_path: Path):
    program("turnserver")
    client = program("turnutils_uclient")
    port = free_port()
    conf = (DOCKER / "coturn" / "turnserver.conf").read_text().replace("/tmp/", f"{tmp_path}/")
    conf = conf.replace("listening-port=3478", f"listening-port={port}\nlistening-ip=127.0.0.1\nrelay-ip=127.0.0.1")
    (tmp_path / "turn.conf").write_text(conf + "allow-loopback-peers\nallowed-peer-ip=127.0.0.1\n")
    script = moved(DOCKER / "coturn" / "start.sh", tmp_path)
    with started(script, {"TURN_SECRET": "s3cret", "TURN_CONF": str(tmp_path / "turn.conf")}) as turn:
        until(lambda: answers(port) or turn.poll() is not None, "the TURN server did not start")
        assert turn.poll() is None, turn.communicate()[0]
        ask = [client, "-y", "-n", "1", "-m", "1", "-p", str(port), "127.0.0.1"]
        good = run(*ask, "-W", "s3cret")
        assert good.returncode == 0, good.stdout + good.stderr
        assert "error 401" not in good.stdout
        assert run(*ask, "-W", "wrong").returncode != 0
    assert (tmp_path / "turnserver.conf").stat().st_mode & 0o077 == 0


# ---------------------------------------------------------------------------------------------------------- the camera


def test_the_drawn_camera_plays_in_a_circle(tmp_path: Path):
    if missing := available():
        pytest.skip(missing)
    import simplejpeg

    for number, picture in zip(range(20), frames(), strict=False):
        jpeg = simplejpeg.encode_jpeg(picture, quality=90, colorspace="RGB")
        (tmp_path / f"{number:04d}.jpg").write_bytes(jpeg)
    command = [PYTHON, str(DOCKER / "camera-sim" / "camera.py"), str(tmp_path), "127.0.0.1", "0"]
    camera = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert camera.stdout is not None
        url = camera.stdout.readline().strip()
        with av.open(url, options={"rtsp_transport": "tcp"}, timeout=PATIENCE_S) as container:
            shown = [frame for frame, _ in zip(container.decode(video=0), range(30), strict=False)]
        assert len(shown) == 30  # more than there are pictures
        assert (shown[0].width, shown[0].height) == (640, 360)
        times = [frame.time for frame in shown if frame.time is not None]
        assert times == sorted(times)
    finally:
        camera.kill()
        camera.communicate()
