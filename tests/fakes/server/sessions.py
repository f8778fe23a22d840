"""A registry over fakes: a clock held by the test, sources fed by the test, an engine that follows its script."""

from __future__ import annotations

from pathlib import Path

from fakes.clock import ManualClock
from fakes.engines.engine import ScriptedEngine
from fakes.media.media import FakeMedia
from joyvl_server.core.decisions import Score
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.sessions.engines.pool import EnginePool
from joyvl_server.sessions.registry import Registry
from joyvl_server.settings import Settings
from joyvl_server.store.store import Store


class House:
    def __init__(self, clock: ManualClock, engine: ScriptedEngine) -> None:
        self.clock = clock
        self.engine = engine
        self.media: FakeMedia
        self.registry: Registry


def open_house(folder: Path, *, agents: dict[str, object] | None = None, **sessions: object):
    return _House(folder, sessions, agents or {})


class _House:
    """Opens a house over `folder`; opened twice, the second is the restarted server."""

    def __init__(self, folder: Path, sessions: dict[str, object], agents: dict[str, object]) -> None:
        self._settings = Settings(data_dir=folder, engine={"name": "scripted"}, sessions=sessions, agents=agents)

    async def __aenter__(self) -> House:
        house = House(ManualClock(), ScriptedEngine(lambda turn: Score(0.1)))
        house.media = FakeMedia(house.clock)
        engines = EnginePool({})
        engines.add(house.engine)
        store = await Store.open(self._settings.data_dir)
        policy = NetPolicy(schemes=("rtsp", "file"))
        house.registry = Registry(self._settings, store, house.media, policy, engines, house.clock)
        await house.registry.start()
        self._house = house
        return house

    async def __aexit__(self, *exc: object) -> None:
        await self._house.registry.aclose()
