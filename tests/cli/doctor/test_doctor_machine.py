"""What the doctor says of disks, ports, UDP, the clock and the libraries that decode video."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.clock import ManualClock
from fakes.patience import PATIENCE_S, wait_until
from fakes.server.small_disk import small_disk
from joyvl_server.cli.doctor.machine import codecs, disk, turn
from joyvl_server.cli.doctor.machine.clock import ClockCheck
from joyvl_server.cli.doctor.machine.webrtc import HostNetwork, WebRtcCheck
from joyvl_server.cli.doctor.report import FindingStatus
from joyvl_server.kit.net.own_names import host_addresses, host_names
from joyvl_server.kit.tls.self_signed import SelfSigned
from joyvl_server.settings import Settings

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[3]


def only(findings):
    assert len(findings) == 1, findings
    return findings[0]


def test_a_disk_that_can_be_written(doctor, tmp_path):
    found = only(doctor("disk", settings={"timeline": {"max_gb": 0.01}}))
    assert found["status"] in ("ok", "warning")  # by the space of this machine
    assert "GB free" in found["message"]
    assert not (tmp_path / "data").exists()  # nothing is made
    assert list(tmp_path.glob(".joyvl-doctor*")) == []


def test_a_full_disk(doctor, tmp_path):
    with small_disk(tmp_path / "small") as full:
        full.fill()
        found = only(doctor("disk", "--data-dir", tmp_path / "small"))
        assert found["status"] == "problem"
        assert "is on a full disk" in found["message"]
        assert "Delete files there" in found["advice"]
        full.free()
        assert "only 2 MB free" in only(doctor("disk", "--data-dir", tmp_path / "small"))["message"]


def test_a_read_only_disk(doctor, tmp_path):
    with small_disk(tmp_path / "small"):
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path / "small")], check=True, timeout=PATIENCE_S)
        found = only(doctor("disk", "--data-dir", tmp_path / "small"))
        assert "is on a read-only disk" in found["message"]
        assert "must be a volume" in found["advice"]


def test_a_quota_larger_than_the_disk(doctor, monkeypatch):
    monkeypatch.setattr(disk, "_free_gb", lambda place: 8.0)
    found = only(doctor("disk", settings={"timeline": {"max_gb": 10}}))
    assert found["status"] == "warning"
    assert "Set timeline.max_gb to 5" in found["advice"]


def test_a_free_port_and_a_taken_one(doctor):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = only(doctor("port", settings={"server": {"port": port}}))
        assert found["status"] == "problem"
        assert f"Port {port} of 127.0.0.1 is taken by " in found["message"]
        assert f"(process {os.getpid()})" in found["message"]
        assert "joyvl serve --port 8100" in found["advice"]
        # Another port than that of the settings, as the server names it that finds it taken.
        asked = only(doctor("port", "--host", "127.0.0.1", "--port", port))
        assert (asked["status"], asked["message"]) == (found["status"], found["message"])
    assert only(doctor("port", settings={"server": {"port": port}}))["status"] == "ok"


def test_an_address_of_another_machine(doctor):
    settings = {"server": {"host": "192.0.2.77", "api_keys": ["k" * 20]}}
    assert "is not an address of this machine" in only(doctor("port", settings=settings))["message"]


def test_calls_come_about_here(doctor):
    call, _ = doctor("calls")
    assert call["status"] == "ok"
    assert "A call to itself connects" in call["message"]


class WithoutUdp(HostNetwork):
    def addresses(self):
        return ["192.0.2.2", "fd00::2"]

    def udp_fault(self, address):
        return "Operation not permitted"


async def test_no_udp(tmp_path):
    settings = Settings(data_dir=tmp_path)
    check = WebRtcCheck(settings, WithoutUdp())
    found = only(list(await check.run()))
    assert found.status is FindingStatus.PROBLEM
    assert "No UDP packet comes through" in found.message
    assert "192.0.2.2: Operation not permitted; fd00::2" in found.message
    assert "Allow UDP in the firewall" in found.advice


class Container(HostNetwork):
    """With a network of its own, as Docker's bridge gives it."""

    def __init__(self, free=32):
        self.free = free

    def free_ports(self, ports):
        return self.free

    def lookup(self, name):
        if name != "joyvl.lan":
            raise OSError("Name or service not known")
        return ["192.168.1.10"]

    def is_bridged(self):
        return True


async def told_of_calls(tmp_path, network, **webrtc):
    """Without what it says of the call to itself."""
    check = WebRtcCheck(Settings(data_dir=tmp_path, webrtc=webrtc, server={"host": "0.0.0.0"}), network)
    return [f"{found.status}: {found.message} {found.advice}" for found in list(await check.run())[1:]]


async def test_a_container_that_advertises_nothing(tmp_path):
    (said,) = await told_of_calls(tmp_path, Container())
    assert said.startswith("warning: This is a container with a network of its own")
    assert "nothing is advertised. With compose.yaml name the host's address in JOYVL_HOSTNAMES" in said
    ports, said = await told_of_calls(
        tmp_path, Container(), udp_ports="62000-62031", advertised_addresses=["127.0.0.1"]
    )
    assert ports.startswith("ok: Calls have 32 UDP ports (62000-62031): one for each call.")
    assert "nothing is told to browsers but 127.0.0.1" in said


async def test_a_container_that_advertises_its_host(tmp_path):
    given = {"advertised_addresses": ["joyvl.lan", "203.0.113.4", "nowhere.lan"]}
    ports, unknown, told = await told_of_calls(tmp_path, Container(30), udp_ports="62000-62031", **given)
    assert "(62000-62031), 2 of them taken" in ports
    assert unknown.startswith("warning: nowhere.lan of webrtc.advertised_addresses has no address")
    assert told.startswith("ok: Browsers are also told 192.168.1.10, 203.0.113.4.")
    *_, said = await told_of_calls(tmp_path, Container(), **given)
    assert "lets in only those that it publishes. Set webrtc.udp_ports" in said


def test_ports_of_calls_that_are_taken(doctor):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.bind(("::", 0))
        port = taken.getsockname()[1]
        found = doctor("calls", settings={"webrtc": {"udp_ports": str(port)}})[1]
        assert (found["status"], f"({port}) is free" in found["message"]) == ("problem", True), found
        assert "the next call is refused" in found["message"]
    assert doctor("calls", settings={"webrtc": {"udp_ports": str(port)}})[1]["status"] == "ok"


def test_no_network_at_all(tmp_path):
    """In a network namespace of its own, which has nothing but loopback."""
    assert shutil.which("unshare")
    command = ["unshare", "--net", sys.executable, "-m", "joyvl_server.cli", "doctor", "calls", "--json"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=PATIENCE_S, cwd=tmp_path)
    found = only(json.loads(done.stdout)["findings"])
    assert done.returncode == 1
    assert "no network address but loopback" in found["message"]
    assert "Bring its network up" in found["advice"]


def test_beyond_loopback_without_https_phones_are_told_of(doctor):
    found = only(doctor("https", settings={"server": {"host": "0.0.0.0", "api_keys": ["k" * 20]}}))
    assert "give it no camera or microphone" in found["message"]
    assert "--tls self-signed" in found["advice"]


def test_certificates(doctor, tmp_path):
    server = {"host": "0.0.0.0", "api_keys": ["k" * 20], "tls": "self-signed"}
    assert only(doctor("https", settings={"server": server}))["status"] == "skipped"
    own = SelfSigned(tmp_path / "data" / "tls")
    own.ensure([*host_names(), *host_addresses()], time.time())
    found = only(doctor("https", settings={"server": server}))
    assert (found["status"], "SHA-256 " in found["message"]) == ("ok", True)
    files = {"tls": "files", "tls_cert": str(own.certificate), "tls_key": str(own.key)}
    found = only(doctor("https", settings={"server": server | files | {"public_url": "https://cam.example"}}))
    assert "server.public_url says cam.example" in found["message"]
    own.certificate.unlink()
    own.ensure(["cam.example"], time.time() - 10 * 365 * 86_400)
    assert "has expired" in only(doctor("https", settings={"server": server | files}))["message"]
    own.certificate.write_text("nothing")
    assert "holds no certificate" in only(doctor("https", settings={"server": server | files}))["message"]


@pytest.mark.parametrize(
    ("wall", "said"), [(0.0, "The clock says 1970"), (1.8e9, "It is 2027"), (9e9, "The clock says")]
)
async def test_the_clock(tmp_path, wall, said):
    found = only(
        list(await ClockCheck(Settings(data_dir=tmp_path, time_zone="Europe/Zurich"), ManualClock(wall=wall)).run())
    )
    assert found.message.startswith(said)


def test_video_can_be_decoded(doctor, monkeypatch):
    assert only(doctor("video"))["status"] == "ok"
    monkeypatch.setattr(codecs, "has_decoder", lambda name: name != "hevc")
    assert "cannot decode H.265" in only(doctor("video"))["message"]
    monkeypatch.setattr(codecs, "has_decoder", lambda name: name != "h264")
    assert only(doctor("video"))["status"] == "problem"


@pytest.fixture
def turn_server(tmp_path):
    """coturn, on loopback, with a secret."""
    program = shutil.which("turnserver") or "/usr/bin/turnserver"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "-n", "--no-cli", "--no-tls", "--no-dtls", "-L", "127.0.0.1", "-p", str(port), "-r", "joyvl"]
    command += ["--use-auth-secret", "--static-auth-secret", "a-secret-of-turn", "--log-file", "stdout"]
    command += ["--pidfile", str(tmp_path / "turn.pid"), "--db", str(tmp_path / "turn.db")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: process.poll() is not None or _listens(port))
        yield f"127.0.0.1:{port}"
        process.kill()


def _listens(port):
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(int(line.split()[1].rpartition(":")[2], 16) == port for line in lines)


def test_a_turn_server(doctor, monkeypatch, turn_server):
    assert only(doctor("turn"))["status"] == "skipped"
    assert "is not in TURN_SECRET" in only(doctor("turn", "--turn", turn_server))["message"]
    monkeypatch.setenv("TURN_SECRET", "a-secret-of-turn")
    found = only(doctor("turn", "--turn", turn_server))
    assert (found["status"], "gave a relay" in found["message"]) == ("ok", True), found
    monkeypatch.setenv("TURN_SECRET", "another-secret")
    assert "refuses this secret" in only(doctor("turn", "--turn", turn_server))["message"]


def test_how_to_try_a_turn_server_is_told_in_full(doctor):
    (skipped,) = doctor("turn")
    assert "TURN_SECRET" in skipped["advice"]
    assert "***" not in skipped["advice"]  # it looks like a secret, and is a name


def test_a_turn_server_that_is_not_there(doctor, monkeypatch):
    monkeypatch.setenv("TURN_SECRET", "a-secret-of-turn")
    monkeypatch.setattr(turn, "ANSWER_S", 0.5)
    found = only(doctor("turn", "--turn", "127.0.0.1:9"))
    assert found["status"] == "problem"
    assert found["message"].startswith("The TURN server 127.0.0.1:9 ")
