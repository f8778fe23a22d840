"""Settings read again: what can be is in force at once, the rest is named, a mistake changes nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.server.house import House, house
from joyvl_server.api.upkeep.live_settings import LIVE, LiveSettings
from joyvl_server.kit.settings_layers import leaves
from joyvl_server.settings import Settings
from joyvl_server.settings.source import SettingsSource

REFERENCE = Path(__file__).resolve().parents[3] / "docs/reference/settings.md"


@pytest.fixture(autouse=True)
def level_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "joyvl.yaml"
    write(path, "sessions: {threshold: 0.5}\n")
    return path


@pytest.fixture
async def h(tmp_path: Path, config: Path):
    async with house(tmp_path / "data") as opened:
        source = SettingsSource(config, {"data_dir": tmp_path / "data", "engine": {"name": "quiet"}})
        opened.app.state.api.live = LiveSettings(source.read(), opened.registry, source)
        yield opened


def write(config: Path, text: str | None) -> None:
    """None: there is no file any more."""
    if text is None:
        config.unlink()
    else:
        config.write_text(text)


async def reload(h: House, status: int = 200) -> dict:
    answer = await h.client.post("/v1/reload")
    assert answer.status_code == status, answer.text
    return answer.json()


def test_every_live_setting_is_one():
    assert {names for names, _ in leaves(Settings)} >= LIVE


def test_the_reference_names_them():
    text = REFERENCE.read_text().partition("It takes over at once")[2].partition("(below)")[0]
    named = set(re.findall(r"`([a-z_.]+\.[a-z_]+)`", text))
    assert named == {".".join(n) for n in LIVE if n[0] != "sessions"} | {"sessions.max_sessions"}


async def test_nothing_is_other(h: House):
    assert await reload(h) == {"applied": [], "restart": []}


async def test_sessions_take_over_what_they_have_not_of_their_own(h: House, config: Path):
    plain, own = await h.camera("plain"), await h.camera("own", threshold=0.9)
    write(config, "sessions: {threshold: 0.25, max_sessions: 3}\n")
    assert await reload(h) == {"applied": ["sessions.max_sessions", "sessions.threshold"], "restart": []}
    assert h.session(plain).settings.threshold == 0.25
    assert h.session(own).settings.threshold == 0.9
    third = await h.camera("third")
    assert h.session(third).settings.threshold == 0.25
    answer = await h.client.post("/v1/realtime/calls", content="v=0\r\n", headers={"Content-Type": "application/sdp"})
    assert answer.json()["code"] == "too_many"


async def test_quotas_and_retention(h: House, config: Path):
    write(
        config,
        "sessions: {threshold: 0.5}\ntimeline: {max_gb: 0.5, days: 2}\nmemory: {days: 3, max_memories: 500}\n",
    )
    found = await reload(h)
    assert found["applied"] == ["memory.days", "memory.max_memories", "timeline.days", "timeline.max_gb"]
    quota, retention = h.registry.timeline.files.quota, h.registry.past.retention
    assert (quota._max_bytes, quota._max_age_s) == (500_000_000, 2 * 86_400)
    assert (retention._days, retention._most) == (3, 500)


async def test_what_needs_a_restart_is_named_until_there_is_one(h: House, config: Path):
    write(config, "sessions: {threshold: 0.3, tick_s: 2}\nserver: {port: 1234}\n")
    assert await reload(h) == {"applied": ["sessions.threshold"], "restart": ["server.port", "sessions.tick_s"]}
    assert await reload(h) == {"applied": [], "restart": ["server.port", "sessions.tick_s"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sessions: {threshold: 0.25}\ntimeline: {days: -1}\n", "timeline.days"),
        ("sessions: {threshold: 0.25}\nserver: {api_keys: [short-s3cret]}\nsesions: 3\n", "sesions"),
        ("sessions: {threshold", "not YAML"),
    ],
)
async def test_a_mistake_changes_nothing(h: House, config: Path, text: str, told: str):
    camera = await h.camera()
    write(config, text)
    problem = await reload(h, 422)
    assert problem["code"] == "config"
    assert told in problem["detail"]
    assert "s3cret" not in problem["detail"]
    assert h.session(camera).settings.threshold == 0.5
    write(config, None)
    assert "cannot be read" in (await reload(h, 422))["detail"]


async def test_a_server_without_a_source_says_so(tmp_path: Path):
    async with house(tmp_path) as plain:
        answer = await plain.client.post("/v1/reload")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_the_level_of_the_log(h: House, config: Path):
    assert (await h.client.get("/v1/log_level")).json() == {"level": "info"}
    answer = await h.client.put("/v1/log_level", json={"level": "debug"})
    assert answer.json() == {"level": "debug"}
    assert logging.getLogger().level == logging.DEBUG
    assert (await h.client.put("/v1/log_level", json={"level": "loud"})).status_code == 422
    await reload(h)
    assert (await h.client.get("/v1/log_level")).json() == {"level": "debug"}  # the settings name no other one
    write(config, "sessions: {threshold: 0.5}\nlog: {level: warning}\n")
    assert (await reload(h))["applied"] == ["log.level"]
    assert (await h.client.get("/v1/log_level")).json() == {"level": "warning"}
    assert logging.getLogger().level == logging.WARNING
