"""The engine of the measurements decides as vLLM does, so that what is measured is what users of vLLM pay."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.live.server import WATCHES, instant_engine, serving, until_watching

from joyvl_server.ingest.demo import draw_demo
from joyvl_server.sessions.cameras import CameraDraft

pytestmark = pytest.mark.processes


async def test_sessions_are_scored_name_their_pictures_and_hold_watches():
    async with instant_engine() as port, serving(port) as registry:
        clip = Path(registry.settings.data_dir) / "media" / "demo.mp4"
        draw_demo(clip)
        await registry.cameras.add(CameraDraft(name="one", url=clip.resolve().as_uri(), loop=True, watches=WATCHES))
        (session,) = registry.sessions()
        await until_watching([session])
        can = session.capabilities
        assert (can.mode, can.scores, can.uuids, can.chooses, can.prefills) == ("scored", True, True, True, True)
        assert can.context_tokens == 32_768
        assert len(session.watches.all()) == 2
        updates = session.updates.since(None)
        while (update := await anext(updates)).type != "response.listen":
            pass
        assert 0 < update.data["tick"]["score"] < 0.5
