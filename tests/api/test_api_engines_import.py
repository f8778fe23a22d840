"""`GET /v1/engines` with plug-ins that are slow, broken or never done: off the loop, once, and each says why."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import httpx2
import pytest

from fakes.clock import ManualClock
from fakes.media.media import FakeMedia
from fakes.patience import PATIENCE_S, until
from joyvl_server.app import create_app
from joyvl_server.kit import plugins
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.sessions.engines import pool as engines_module
from joyvl_server.sessions.engines.pool import EnginePool
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import Settings
from joyvl_server.store.store import Store

GOOD = "from joyvl_server.engines.motion import MotionEngine as Built"
MODULES = {
    "plug_slow": f"""
import os, time
open(__file__ + '.count', 'a').write('x')
for _ in range({10 * PATIENCE_S:.0f}):
    if os.path.exists(__file__ + '.go'):
        break
    time.sleep(0.1)
{GOOD}""",
    "plug_ready": GOOD,
    "plug_exits": "raise SystemExit('go away')",
    "plug_broken": "raise KeyError('no such thing')",
    "plug_cannot_build": "def Built(settings): raise AttributeError('half-built')",
}
DOOR = {"name": "door", "url": "rtsp://127.0.0.1/1", "engine": "plug_slow"}


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from importlib.metadata import EntryPoint

    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint(name, f"{name}:Built", engines_module.GROUP) for name in MODULES]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == engines_module.GROUP else [])
    settings = Settings(data_dir=tmp_path, engine={"name": "plug_ready"})
    clock = ManualClock()
    store = await Store.open(tmp_path)
    registry = Registry(settings, store, FakeMedia(clock), NetPolicy(), EnginePool({}), clock)
    app = create_app(settings, registry, clock=clock)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app):
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8099", timeout=PATIENCE_S
        ) as opened:
            yield opened


async def test_imports_hold_up_no_loop_and_happen_once(client, tmp_path: Path) -> None:
    count, go = tmp_path / "plug_slow.py.count", tmp_path / "plug_slow.py.go"
    asked = [asyncio.create_task(client.get("/v1/engines")) for _ in range(3)]
    create = asyncio.create_task(client.post("/v1/cameras", json=DOOR))
    await until(count.exists)  # the import has begun; on the loop it would wait for a file that nobody could write
    assert not any(task.done() for task in asked)
    go.touch()
    *answers, created = await asyncio.gather(*asked, create)
    assert created.status_code == 201
    shown = {engine["name"]: engine for engine in answers[0].json()["data"]}
    assert shown["plug_slow"]["capabilities"] is not None
    assert "go away" in shown["plug_exits"]["error"]
    assert "no such thing" in shown["plug_broken"]["error"]
    assert "half-built" in shown["plug_cannot_build"]["error"]
    assert [a.json() for a in answers[1:]] == [answers[0].json()] * 2
    assert count.read_text() == "x"


async def test_an_import_that_never_ends_is_said_and_hides_no_other(client, monkeypatch) -> None:
    go = threading.Event()
    real = plugins.load
    monkeypatch.setattr(engines_module, "IMPORT_S", 0.3)
    monkeypatch.setattr(
        plugins, "load", lambda group, name: go.wait(PATIENCE_S) if name == "plug_slow" else real(group, name)
    )
    try:
        shown = {e["name"]: e for e in (await client.get("/v1/engines")).json()["data"]}
        assert "imported" in shown["plug_slow"]["error"]
        assert "no such thing" in shown["plug_broken"]["error"]
        answer = await client.post("/v1/cameras", json=DOOR)
        assert answer.status_code == 422
    finally:
        go.set()
