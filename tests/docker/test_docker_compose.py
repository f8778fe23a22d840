"""compose.yaml and .env.example: what Docker would say of them, as far as it can be found out without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from joyvl_server.settings import load

ROOT = Path(__file__).resolve().parents[2]
COMPOSE, EXAMPLE = ROOT / "compose.yaml", ROOT / ".env.example"
SCHEMA = Path("/usr/lib/python3/dist-packages/compose/config/compose_spec.json")
"""the compose-spec's schema, as Debian's docker-compose has it"""
CARDS = ("gpu-16", "gpu-24", "gpu-32-omni", "gpu-80", "cpu")
PROFILES = {
    "gpu": {"joyvl", "models", "weights", "vllm"},
    "gpu-host": {"joyvl-host", "models", "weights", "vllm"},
    "cpu": {"joyvl", "models"},
    "cpu-host": {"joyvl-host", "models"},
    "omni": {"voice", "ears"},
    "proxy": {"proxy"},
    "mqtt": {"mosquitto"},
    "observability": {"prometheus", "grafana"},
    "turn": {"turn"},
    "camera-sim": {"camera-sim"},
}
PINNED = re.compile(r"[\w./-]+:v?\d[\w.-]*")


def raw() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text("utf-8"))


def variables() -> dict[str, str]:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@cache
def compose(**given: str) -> subprocess.CompletedProcess[str]:
    """`docker-compose config` with these variables in the file .env, and none in the environment."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is missing: apt-get install docker-compose")
    with tempfile.NamedTemporaryFile("w", suffix=".env") as file:
        file.writelines(f"{name}={value}\n" for name, value in given.items())
        file.flush()
        command = [program, "--env-file", file.name, "-f", str(COMPOSE), "config"]
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def for_card(card: str) -> subprocess.CompletedProcess[str]:
    return compose(
        **{
            **variables(),
            "CARD": card,
            "JOYVL_BIND": "0.0.0.0",
            "JOYVL_API_KEYS": "a-key-123",
            "JOYVL_HOSTNAMES": "joyvl.lan,192.168.1.10",
        }
    )


@pytest.mark.processes
@pytest.mark.parametrize("card", CARDS)
def test_docker_compose_takes_it(card: str):
    done = for_card(card)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert services["joyvl"]["environment"]["JOYVL_CONFIG"] == f"/etc/joyvl/{card}.yaml"
    assert (ROOT / "configs" / f"{card}.yaml").is_file()
    assert (ROOT / "docker" / "vllm" / f"{card}.yaml").is_file() == (card != "cpu")


@pytest.mark.processes
def test_without_an_env_file_it_says_what_to_do():
    done = compose()
    assert done.returncode != 0
    assert "copy .env.example to .env and choose CARD in it" in done.stderr


def test_the_schema_of_the_compose_spec_takes_it():
    if not SCHEMA.is_file():
        pytest.skip("the schema is missing: apt-get install docker-compose")
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    mistakes = [f"{list(e.path)}: {e.message}" for e in jsonschema.Draft7Validator(schema).iter_errors(raw())]
    assert mistakes == []
    wrong = raw()
    wrong["services"]["joyvl"]["read_onyl"] = True
    assert list(jsonschema.Draft7Validator(schema).iter_errors(wrong))


def test_every_variable_is_explained_and_every_explained_one_is_used():
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE.read_text("utf-8")))
    assert set(variables()) - {"COMPOSE_PROFILES"} == used


def test_the_example_holds_the_defaults():
    defaults = dict(re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", COMPOSE.read_text("utf-8")))
    example = variables()
    same = {name: value for name, value in defaults.items() if example[name]}
    assert same == {name: example[name] for name in same}


def test_every_variable_has_a_sentence_before_it():
    before = ""
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            assert before.startswith("#") or "=" in before, f"{line.partition('=')[0]} has no sentence"
        before = line


def test_profiles_are_what_the_documentation_says():
    services = raw()["services"]
    found: dict[str, set[str]] = {}
    for name, service in services.items():
        for profile in service["profiles"]:
            found.setdefault(profile, set()).add(name)
    assert found == PROFILES
    page = (ROOT / "docs" / "docker.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page.partition("## Profiles")[2].partition("\n## ")[0], re.M)) == set(
        PROFILES
    )


@pytest.mark.parametrize("service", ["joyvl", "joyvl-host"])
@pytest.mark.parametrize("card", CARDS)
@pytest.mark.processes
def test_every_setting_that_it_gives_exists(service: str, card: str):
    """The server reads the settings as it would in the container."""
    services = yaml.safe_load(for_card(card).stdout)["services"]
    environment = {name: str(value) for name, value in services[service]["environment"].items()}
    environment["JOYVL_CONFIG"] = str(ROOT / "configs" / Path(environment["JOYVL_CONFIG"]).name)
    settings = load(environ=environment)
    assert settings.server.api_keys[0].get_secret_value() == "a-key-123"
    assert "localhost" in settings.server.allowed_hosts
    assert settings.engine.name == ("motion" if card == "cpu" else "openai")
    assert settings.webrtc.port_pair == (62_000, 62_031)
    assert settings.webrtc.advertised_addresses == ["joyvl.lan", "192.168.1.10"]


@pytest.mark.processes
def test_the_udp_ports_of_calls_go_to_the_same_ports_of_the_container():
    services = yaml.safe_load(for_card("cpu").stdout)["services"]
    first, last = load(environ=services["joyvl"]["environment"] | {"JOYVL_CONFIG": ""}).webrtc.port_pair
    published = [port for port in services["joyvl"]["ports"] if "udp" in str(port)]
    pairs = {re.fullmatch(r"0\.0\.0\.0:(\d+):(\d+)/udp", port).groups() for port in published}
    assert pairs == {(str(port), str(port)) for port in range(first, last + 1)}
    assert "ports" not in services["joyvl-host"]


def test_images_of_others_are_pinned():
    for name, service in raw()["services"].items():
        if "build" not in service:
            image = re.fullmatch(r"\$\{\w+:-([^}]+)\}", service["image"])
            assert image is not None, name
            assert PINNED.fullmatch(image[1]), image[1]


def test_containers_of_ours_may_do_little():
    services = raw()["services"]
    for name, service in services.items():
        assert service.get("privileged") is None, name
        assert service["restart"], name
        if name not in ("vllm", "voice", "ears", "grafana"):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
        if name != "proxy":
            assert service["security_opt"] == ["no-new-privileges:true"], name
    for name in ("joyvl", "joyvl-host", "models", "weights"):
        assert services[name]["user"] == "10001:10001"


def test_only_what_is_meant_for_others_is_reachable_from_them():
    """Ports are bound to loopback, or to an address that .env.example names; the proxy's are there to be reached."""
    for name, service in raw()["services"].items():
        for port in service.get("ports", ()):
            assert name == "proxy" or re.match(r"127\.0\.0\.1:|\$\{\w+_BIND:-127\.0\.0\.1\}:", port), port


def test_what_is_mounted_from_the_repository_is_there():
    for service in raw()["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
                assert volume.endswith(":ro"), volume
            else:
                assert source in raw()["volumes"], source
