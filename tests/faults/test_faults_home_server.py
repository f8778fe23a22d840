"""A real server at a vision model that reads every picture again at each request, as many home servers do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from fakes.openai_server import FakeOpenAI, Reply, Request, says
from fakes.server import ServerProcess

pytestmark = pytest.mark.slow

FIXED_S, PICTURE_S = 0.3, 0.25
LEARNS_S, WATCHED_S = 15, 25
SILENT = json.dumps({"decision": "silent", "text": "", "question": ""})


def pictures(request: Request) -> int:
    contents = [message["content"] for message in request.messages if isinstance(message["content"], list)]
    return sum(part["type"] == "image_url" for content in contents for part in content)


async def test_decisions_stay_young(tmp_path: Path):
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
            async with asyncio.timeout(20):
                while not sessions:
                    sessions = (await asyncio.to_thread(server.call, "GET", "/v1/sessions"))["data"]
                    await asyncio.sleep(0.1)
            session = sessions[0]
            await asyncio.sleep(LEARNS_S)
            before = len(model.completions)
            known = len(await asyncio.to_thread(server.ticks, session["id"]))
            await asyncio.sleep(WATCHED_S)
            ticks = (await asyncio.to_thread(server.ticks, session["id"]))[known:]
            ages = sorted(t["timings"]["total_ms"] / 1000 for t in ticks if t["skipped"] is None)
            assert len(ages) >= WATCHED_S // 2
            assert ages[int(0.8 * len(ages))] <= 1.5  # the machine may be busy with other tests
            sent = [pictures(request) for request in model.completions[before:]]
            assert max(sent) <= 4
            assert min(sent) >= 1
        finally:
            await asyncio.to_thread(server.__exit__)
