"""Secrets that were given to a server come out nowhere: no answer, no log, no file, no bundle, no image."""

from __future__ import annotations

import asyncio
import fnmatch
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from typer.testing import CliRunner

from fakes.fuzzing.fuzzer import nothing_reached
from fakes.server.house import House, house
from joyvl_server.cli.main import app
from joyvl_server.kit import logs
from joyvl_server.store.store import Store

ROOT = Path(__file__).parents[2]
KEY = "pl4nted-server-key"
PLANTED = (
    "pl4nted-camera-pass", "pl4nted-query-token", "pl4nted-hook-token", "pl4nted-header",
    "cGw0bnRlZC1ob29rLXNlY3JldC0xMjM0", "pl4nted-broker-pass", "pl4nted_apprise_token", "pl4nted-agent-key", KEY,
)  # fmt: skip
CAMERA, QUERY, HOOK, HEADER, SECRET, BROKER, APPRISE, AGENT, _ = PLANTED
HOOKS: tuple[dict[str, Any], ...] = (
    {"url": f"https://hooks.invalid/x?token={HOOK}", "secret": f"whsec_{SECRET}", "headers": {"authorization": HEADER}},
    {"host": "broker.invalid", "username": "joyvl", "password": BROKER},
    {"urls": [f"gotify://gotify.invalid/{APPRISE}"]},
)


def leaks(text: str | bytes) -> list[str]:
    found = text.encode() if isinstance(text, str) else text
    return [word for word in PLANTED if word.encode() in found]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that is logged, as it is written."""
    before, written = structlog.get_config(), io.StringIO()
    logs.configure("debug", "json", written)
    yield written
    structlog.configure(**before)


async def filled(h: House) -> dict[str, str]:
    """Ids of what was made, by the names that the API has for them."""
    url = f"rtsp://cam:{CAMERA}@127.0.0.1:9/x?token={QUERY}"
    camera = await h.camera(url=url)
    ids = {"camera_id": camera["id"], "session_id": camera["session_id"]}
    for kind, options in zip(("webhook", "mqtt", "apprise"), HOOKS, strict=True):
        body = {"name": kind, "kind": kind, "options": options}
        answer = await h.client.post("/v1/hooks", json=body, headers={"idempotency-key": f"key-{kind}"})
        assert answer.status_code == 201, answer.text
        assert leaks(answer.text) == []
        again = await h.client.post("/v1/hooks", json=body, headers={"idempotency-key": f"key-{kind}"})
        assert (again.status_code, leaks(again.text)) == (201, [])
        ids["hook_id"] = answer.json()["id"]
        tried = await h.client.post(f"/v1/hooks/{ids['hook_id']}/test")
        assert (tried.json()["ok"], leaks(tried.text)) == (False, [])
    return ids


async def test_no_answer_no_line_of_the_log_and_no_file_holds_one(tmp_path, log):
    agents = {
        "entries": {"far": {"type": "openai", "options": {"base_url": "http://127.0.0.1:9/v1", "api_key": AGENT}}}
    }
    async with house(tmp_path, change=nothing_reached, server={"api_keys": [KEY]}, agents=agents) as h:
        h.client.headers["authorization"] = f"Bearer {KEY}"
        ids = await filled(h)
        told = 0
        for path, methods in h.app.openapi()["paths"].items():
            target = path.format(**{name: ids.get(name, "none") for name in _names(path)})
            if "get" in methods and "mjpeg" not in path and not path.endswith("/updates"):
                answer = await h.client.get(target)
                assert leaks(answer.text) == [], path
                told += answer.status_code == 200
        assert told > 20
        camera = f"/v1/cameras/{ids['camera_id']}"
        for answer in (  # mistakes are answered without what was wrong in them
            await h.client.patch(camera, json={"url": f"rtsp://u:{CAMERA}@169.254.169.254/x"}),
            await h.client.patch(camera, json={"url": f"rtsp://u:{CAMERA}@[/x"}),
            await h.client.post("/v1/cameras", json={"name": 1, "url": {"x": CAMERA}}),
            await h.client.patch(f"/v1/hooks/{ids['hook_id']}", json={"options": {"urls": [f"no://{APPRISE}"]}}),
            await h.client.post(
                "/v1/hooks", json={"name": "m", "kind": "mqtt", "options": {**HOOKS[1], "port": BROKER}}
            ),
            await h.client.get("/v1/cameras", headers={"authorization": f"Bearer x{KEY}"}),
        ):
            assert 400 <= answer.status_code < 500, answer.text
            assert leaks(answer.text) == []
        assert [path.name for path in tmp_path.rglob("*") if path.is_file() and leaks(path.read_bytes())] == []
    assert log.getvalue().splitlines()
    assert leaks(log.getvalue()) == []
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and leaks(path.read_bytes())] == []
    store = await Store.open(tmp_path)  # they are there all the same
    rows = await store.main.read(
        lambda c: c.execute("SELECT count(*) FROM hooks WHERE options LIKE 'enc:%'").fetchone()
    )
    await store.aclose()
    assert rows[0] == 3


@pytest.mark.processes
async def test_no_support_bundle_holds_one(tmp_path):
    async with house(tmp_path / "data", change=nothing_reached) as h:
        await filled(h)
    config, bundle = tmp_path / "joyvl.yaml", tmp_path / "bundle.tar.gz"
    settings = {"data_dir": str(tmp_path / "data"), "server": {"api_keys": [KEY], "port": 1}}
    config.write_text(yaml.safe_dump(settings))
    arguments = ["support-bundle", str(bundle), "--config", str(config)]
    made = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert made.exit_code == 0, made.output
    assert leaks(made.output) == []
    key = (tmp_path / "data" / "secret.key").read_text().splitlines()[1]
    with tarfile.open(bundle) as archive:
        texts = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert len(texts) > 5
    assert [name for name, text in texts.items() if leaks(text) or key.encode() in text] == []


# ------------------------------------------------------------------------------------------------ the image's context


def context_of(names: list[str]) -> list[str]:
    """Those of these files that Docker sends to the builder: the last pattern that fits a file or a folder counts."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    sent = []
    for name in names:
        ignored = False
        for pattern in patterns:
            if _fits(name.split("/"), pattern.lstrip("!").strip("/").split("/")):
                ignored = not pattern.startswith("!")
        sent += [] if ignored else [name]
    return sent


def _fits(parts: list[str], pattern: list[str]) -> bool:
    """A pattern fits what it names and all below it."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_fits(parts[cut:], pattern[1:]) for cut in range(len(parts)))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


SECRET_FILES = (
    ".env", ".git/config", ".git/objects/ab/cdef", "data/joyvl.db", "data/secret.key", "joyvl.db", "secret.key",
    "signing.key",
    "configs/my.yaml", "notes.txt", "id_rsa", "tls/key.pem", ".joyvl/secret.key", "joyvl_server/.env",
    "joyvl_server/secret.key", "web/.env.local", "web/joyvl.db-wal", "docker/turn/tls.key", "docker/caddy/site.pem",
    "joyvl_server/joyvl.db", "joyvl_server/joyvl.db.before-0013", "docker/signing.key", "joyvl_server/signing.key",
    "web/backup.tar", "joyvl_server/server.pem",
)  # fmt: skip


def test_no_secret_is_in_the_context_of_the_image():
    assert context_of([*SECRET_FILES]) == []
    wanted = [
        "pyproject.toml",
        "joyvl_server/app.py",
        "joyvl_server/store/migrations/0001_initial.sql",
        "web/index.html",
    ]
    assert context_of(wanted) == wanted


@pytest.mark.processes
def test_what_goes_to_the_builder_is_in_the_repository_and_holds_no_key():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sent = context_of(tracked.splitlines())
    folders = {"joyvl_server", "web", "docker"}
    assert {name.split("/")[0] for name in sent} == {"pyproject.toml", "README.md", "LICENSE", *folders}
    contents = {name: (ROOT / name).read_bytes() for name in sent}
    assert [name for name, text in contents.items() if leaks(text) or b"PRIVATE KEY-----\n" in text] == []


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")] + [
        part[1 : part.index("}")] for part in path.split("/") if part.startswith("{") and not part.endswith("}")
    ]


def test_the_words_of_this_test_are_found():
    assert leaks(json.dumps({"x": CAMERA})) == [CAMERA]
