"""A real server at a vision model that reads every picture again at each request, as many home servers do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from fakes.engines.openai_server import FakeOpenAI, Reply, Request, says
from fakes.patience import PATIENCE_S, until
from fakes.server.server import ServerProcess

pytestmark = pytest.mark.slow

FIXED_S, PICTURE_S = 0.3, 0.25
LEARNS, SETTLED = 10, 6
"""requests: until there is something to learn from, and for which the measure stays"""
SILENT = json.dumps({"decision": "silent", "text": "", "question": ""})


def pictures(request: Request) -> int:
    contents = [message["content"] for message in request.messages if isinstance(message["content"], list)]
    return sum(part["type"] == "image_url" for content in contents for part in content)


async def test_as_many_pictures_as_there_is_time_for(tmp_path: Path):
    def decides(request: Request) -> Reply:
        return says(SILENT, delay_s=FIXED_S + PICTURE_S * pictures(request))

    async with FakeOpenAI() as model:
        model.otherwise = decides
        options = json.dumps({"openai": {"base_url": model.base_url}})
        env = {"JOYVL_ENGINE__NAME": "openai", "JOYVL_ENGINE__OPTIONS": options}
        server = ServerProcess(tmp_path, demo=True, env=env)
        try:
            await asyncio.to_thread(server.start)
            sessions: list[dict[str, Any]] = []
            async with asyncio.timeout(PATIENCE_S):
                while not sessions:
                    sessions = (await asyncio.to_thread(server.call, "GET", "/v1/sessions"))["data"]
                    await asyncio.sleep(0.1)
            session = sessions[0]["id"]

            def newest() -> list[int]:
                """Pictures of the newest requests; none before there is something to learn from."""
                sent = model.completions
                return [pictures(request) for request in sent[-SETTLED:]] if len(sent) > LEARNS else []

            # The probe's own requests are among the first ones.
            await until(lambda: newest() and min(newest()) >= 1 and max(newest()) <= 4)
            known = len(await asyncio.to_thread(server.ticks, session))
            while True:
                ticks = (await asyncio.to_thread(server.ticks, session))[known:]
                if sum(tick["skipped"] is None for tick in ticks) >= SETTLED:
                    break
                await asyncio.sleep(0.2)
            assert 1 <= min(newest()) <= max(newest()) <= 4
        finally:
            await asyncio.to_thread(server.__exit__)
