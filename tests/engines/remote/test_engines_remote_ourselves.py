"""Engine `remote` against a server of ours: what its engine decides comes through both."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from fakes.engines.engine import Answer, ScriptedEngine
from fakes.server.house import KEY
from fakes.server.live_server import live_server
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineUnavailable
from joyvl_server.core.prompt.turns import UserTurn
from joyvl_server.core.prompt.wire_format import query_block
from joyvl_server.engines.base import Capabilities, EngineSpec
from joyvl_server.engines.remote.engine import RemoteEngine

pytestmark = pytest.mark.processes


async def test_decisions_words_and_resets_come_through(tmp_path: Path) -> None:
    seen: list[UserTurn] = []
    answers: list[Answer] = [
        Score(0.1),
        (Score(0.9), [" A man", " enters."]),
        (Score(0.9), [" Wait. </delegation> Which", " bird?"]),
        EngineUnavailable("No server answers."),
        Score(0.1),
    ]

    def script(asked: UserTurn) -> Answer:
        seen.append(asked)
        return answers[len(seen) - 1] if len(seen) <= len(answers) else Score(0.0)

    behind = ScriptedEngine(script, Capabilities(scores=True))
    behind.name = "quiet"
    async with live_server(tmp_path, sessions={"cooldown_s": 0.0}) as server:
        server.engines.quiet = behind  # type: ignore[assignment]
        engine = RemoteEngine({"base_url": f"{server.url}/v1", "api_key": KEY, "persona": "default"})
        assert (await engine.check()).endswith("serves joyvl")
        session = await engine.open(EngineSpec("ses_1"))
        await session.begin(chunk(prefix=query_block("Tell me when somebody comes.")))
        said = []
        for step in range(3):
            await session.append(turn(step))
            score = await session.score()
            async with aclosing(session.say()) as deltas:
                said.append((score.value, "".join([delta async for delta in deltas])))
            await session.settle("</silence>")
        assert said == [(0.0, ""), (1.0, " A man enters."), (1.0, " Wait. </delegation> Which bird?")]
        assert [one.query for one in seen] == ["Tell me when somebody comes.", None, None]
        assert [one.frame.t for one in seen] == [0.0, 1.0, 2.0]
        await session.append(turn(3))
        with pytest.raises(EngineUnavailable, match="No server answers"):
            await session.score()
        await session.rollback()
        (first,) = server.registry.sessions()
        assert first.record.name == "Client joyvl-ses_1"
        await session.begin(chunk(1))
        await session.append(turn(4))
        assert (await session.score()).value == 0.0
        (second,) = server.registry.sessions()
        assert second.id != first.id
        await session.aclose()
        assert server.registry.sessions() == []
        assert "outside" not in (await engine.probe()).note
        assert server.registry.sessions() == []
        await engine.aclose()
