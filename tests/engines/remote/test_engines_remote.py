"""Engine `remote` against a scripted reference: what it sends, how it reads the answers, and the bad days."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from fakes.engines.openai_server import Reply, cut, mute, refuses, says, silence, whole
from fakes.engines.reference_server import FakeReference, interacts, texts
from fakes.patience import PATIENCE_S
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import ConfigError, EngineError, EngineTimeout, EngineUnavailable
from joyvl_server.core.prompt.turns import UserTurn
from joyvl_server.core.prompt.wire_format import query_block
from joyvl_server.engines.base import EngineSpec
from joyvl_server.engines.remote.engine import RemoteEngine
from joyvl_server.engines.remote.session import RemoteSession


@pytest.fixture
async def server() -> AsyncIterator[FakeReference]:
    async with FakeReference() as server:
        yield server


@pytest.fixture
async def engine(server: FakeReference) -> AsyncIterator[RemoteEngine]:
    engine = make(server)
    yield engine
    await engine.aclose()


def make(server: FakeReference, **options: Any) -> RemoteEngine:
    return RemoteEngine({"base_url": server.base_url, "timeout_s": 5, **options})


async def begun(engine: RemoteEngine, name: str = "s1", prefix: str = "") -> RemoteSession:
    session = await engine.open(EngineSpec(name))
    await session.begin(chunk(prefix=prefix))
    return session


async def decide(session: RemoteSession, step: int, shown: UserTurn | None = None) -> tuple[Score, str]:
    await session.append(shown or turn(step))
    try:
        score = await session.score()
    except EngineError:
        await session.rollback()
        raise
    async with aclosing(session.say()) as deltas:
        said = "".join([delta async for delta in deltas])
    await session.settle(f"</response>{said}" if said else "</silence>")
    return score, said


async def test_one_picture_a_tick_with_its_time(server: FakeReference, engine: RemoteEngine) -> None:
    session = await begun(engine)
    for step in range(3):
        assert await decide(session, step) == (Score(0.0), "")
    assert server.sessions == ["joyvl-s1"] * 3
    assert [request.body["frame_time_ranges"] for request in server.completions] == [
        ["0.0 seconds"], ["1.0 seconds"], ["2.0 seconds"],
    ]  # fmt: skip
    (part,) = server.completions[1].messages[0]["content"]
    assert base64.b64decode(part["image_url"]["url"].partition(",")[2]) == turn(1).frame.image.jpeg
    assert server.completions[0].body["model"] == "fake"
    assert server.completions[0].body["user"] == "joyvl-s1"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (silence(), ""),
        (says("</response> A man enters."), " A man enters."),
        (says("</response> Wait. </delegation> Which bird?"), " Wait. </delegation> Which bird?"),
        (says("<response>Wait. <delegate>Which bird?"), " Wait. </delegation> Which bird?"),
        (interacts("response", "A man.", content="garbage"), " A man."),
        (interacts("silence", "not said", content="</response> not said"), ""),
        (interacts("delegate", "Wait.", "Which bird?"), " Wait. </delegation> Which bird?"),
        (interacts("delegate", "", "Which bird?"), " </delegation> Which bird?"),
        (interacts("delegate", "Only a note."), " Only a note."),
        (interacts("dance", "What?", content="</response> As written."), " As written."),
        (interacts("response", "One </silence> two\nthree"), " One two three"),
    ],
)
async def test_decisions_are_read_from_both_forms(
    server: FakeReference, engine: RemoteEngine, reply: Reply, said: str
) -> None:
    server.script(reply)
    assert await decide(await begun(engine), 0) == (Score(float(bool(said))), said)


@pytest.mark.parametrize(
    ("reply", "garbage"),
    [
        (says("A man enters."), "A man enters."),
        (says(""), "(an empty answer)"),
        (says("</response>"), "(an empty answer)"),
        (says("</response>   "), "(an empty answer)"),
        (interacts("response", ""), "(an empty answer)"),
        (whole(b'{"choices": [{"message": {"content": null}}]}', "application/json"), "(an empty answer)"),
        (whole(b'{"choices": []}', "application/json"), "(an empty answer)"),
        (whole(b'{"choices": [7], "interaction": {"action": ["x"]}}', "application/json"), "(an empty answer)"),
    ],
)
async def test_what_is_outside_the_protocol_is_silence(
    server: FakeReference, engine: RemoteEngine, reply: Reply, garbage: str
) -> None:
    server.script(reply)
    assert await decide(await begun(engine), 0) == (Score(0.0, garbage=garbage), "")


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (refuses(500, "boom"), EngineUnavailable, "engine_unavailable"),
        (whole(b"Internal Server Error", "text/plain", 500), EngineUnavailable, "engine_unavailable"),
        (refuses(429, "too many"), EngineUnavailable, "engine_overloaded"),
        (refuses(401, "no"), EngineError, "engine_unauthorized"),
        (whole(b'{"error": "unknown field"}', "application/json", 400), EngineError, "engine_refused"),
        (whole(b"{broken", "application/json"), EngineError, "engine_protocol"),
        (whole(b"[]", "application/json"), EngineError, "engine_protocol"),
        (whole(b"<html>proxy</html>", "text/html"), EngineError, "engine_protocol"),
        (whole(b'{"error": {"message": "nope"}}', "application/json"), EngineError, "engine_protocol"),
        (whole(b'{"choices": [', "application/json"), EngineError, "engine_protocol"),
        (replace(whole(b'{"choices": []}', "application/json"), end="cut"), EngineUnavailable, "engine_cut"),
        (whole(b'{"choices": [' + b" " * 5_000_000 + b"]}", "application/json"), EngineError, "engine_protocol"),
    ],
)
async def test_failures_have_their_codes(
    server: FakeReference, engine: RemoteEngine, reply: Reply, kind: type[EngineError], code: str
) -> None:
    server.script(reply)
    session = await begun(engine)
    with pytest.raises(kind) as caught:
        await decide(session, 0)
    assert caught.value.code == code
    assert "engine.options.openai" not in str(caught.value)
    assert await decide(session, 1) == (Score(0.0), "")  # and it goes on


async def test_a_session_that_hangs_is_left_behind(server: FakeReference) -> None:
    """The reference awaits a refused summary for ever: the session is dead, and so may be its reset."""
    engine = make(server, timeout_s=0.3)
    session = await begun(engine)
    await decide(session, 0)
    server.script(mute())
    server.otherwise = lambda request: mute() if request.headers["x-streaming-session"] == "joyvl-s1" else silence()
    server.reset_reply = replace(mute(), status=200)
    with pytest.raises(EngineTimeout):
        await decide(session, 1)
    assert await decide(session, 2) == (Score(0.0), "")
    assert server.sessions == ["joyvl-s1", "joyvl-s1", "joyvl-s1.1"]
    assert server.completions[1].aborted.is_set()
    began = asyncio.get_running_loop().time()
    await engine.aclose()
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_server_that_has_forgotten_the_session_is_told_all_once_more(server: FakeReference) -> None:
    """It was started once more between two ticks, or ends idle sessions: nothing fails, and nobody would ever say a
    word again. Its count of pictures tells."""
    engine = make(server, persona="talkative")
    session = await begun(engine, prefix=query_block("Tell me when it rains."))
    seen = (1, 2, 3, 1, 1, 2, True, "many", 3)
    server.script(*(interacts("silence", seen=count) for count in seen))
    for step in range(len(seen)):
        assert await decide(session, step) == (Score(0.0), "")
    told = ["Tell me when it rains."]
    assert [texts(request) for request in server.completions] == [told, [], [], [], told, [], [], [], []]
    assert server.resets == ["joyvl-s1"]  # the tick that told of it was seen by a session that knew nothing
    assert len(server.personas) == 2
    await engine.aclose()


async def test_failures_in_a_row_begin_it_once_more(server: FakeReference, engine: RemoteEngine) -> None:
    session = await begun(engine, prefix=query_block("Tell me when it rains."))
    server.script(silence(), refuses(500, "a"), refuses(500, "b"))
    await decide(session, 0)
    for step in (1, 2):
        with pytest.raises(EngineUnavailable):
            await decide(session, step)
    await decide(session, 3)
    assert server.sessions == ["joyvl-s1"] * 3 + ["joyvl-s1.1"]
    assert texts(server.completions[3]) == ["Tell me when it rains."]  # it has forgotten


async def test_no_server_at_all(engine: RemoteEngine, server: FakeReference) -> None:
    await server.stop()
    with pytest.raises(EngineUnavailable, match="No server answers"):
        await decide(await begun(engine), 0)
    with pytest.raises(EngineUnavailable):
        await engine.check()
    with pytest.raises(EngineUnavailable):
        await engine.probe()


async def test_each_chunk_begins_with_a_reset(server: FakeReference) -> None:
    engine = make(server, persona="talkative", system_prompt_key="no_delegation")
    session = await begun(engine)
    await decide(session, 0)
    assert server.resets == []  # it never knew it
    await session.begin(chunk(1))
    await decide(session, 1)
    assert server.resets == ["joyvl-s1"]
    assert server.personas == [("joyvl-s1", "talkative")] * 2
    assert {request.headers["x-system-prompt-key"] for request in server.completions} == {"no_delegation"}
    server.reset_reply = whole(b'{"detail": "Not Found"}', "application/json", 404)
    await session.begin(chunk(2))
    await decide(session, 2)
    assert server.sessions == ["joyvl-s1", "joyvl-s1", "joyvl-s1.1"]
    await engine.aclose()
    assert server.resets == ["joyvl-s1", "joyvl-s1", "joyvl-s1.1"]  # and nothing is left there
    await engine.aclose()
    assert len(server.resets) == 3


async def test_an_unknown_persona_is_said(server: FakeReference) -> None:
    server.persona_reply = whole(b'{"status": "unknown_persona"}', "application/json")
    engine = make(server, persona="shy")
    with pytest.raises(EngineError, match="no persona shy"):
        await engine.probe()
    with pytest.raises(EngineError, match="no persona shy"):
        await decide(await begun(engine), 0)
    await engine.aclose()


async def test_words_are_one_standing_text(server: FakeReference, engine: RemoteEngine) -> None:
    """There a newer text replaces the one before: what stands is told with it."""
    watch, other = query_block("Tell me when it rains."), query_block("Tell me when it snows.")
    session = await begun(engine, prefix=f"[Clock] noon\n\n{watch}")
    await decide(session, 0)
    await decide(session, 1)
    await decide(session, 2, turn(2, query="How many people?"))
    await decide(session, 3, replace(turn(3), news=(other,)))
    await decide(session, 4, replace(turn(4), news=("[Instruction ended] Tell me when it rains.", "[Result] 7.")))
    await decide(session, 5, replace(turn(5), news=("[Instruction ended] Tell me when it snows.",)))
    assert [texts(request) for request in server.completions] == [
        ["Tell me when it rains."],
        [],
        ["Tell me when it rains.\nHow many people?"],
        ["Tell me when it rains.\nTell me when it snows."],
        ["Tell me when it snows.\n[Result] 7."],
        ["Nothing is asked any more."],
    ]


async def test_a_turn_that_failed_is_told_again(server: FakeReference, engine: RemoteEngine) -> None:
    session = await begun(engine, prefix=query_block("Tell me when it rains."))
    server.script(refuses(500, "boom"))
    with pytest.raises(EngineUnavailable):
        await decide(session, 0)
    await decide(session, 1)
    assert [texts(request) for request in server.completions] == [["Tell me when it rains."]] * 2


async def test_closing_ends_who_waits(server: FakeReference, engine: RemoteEngine) -> None:
    server.script(mute())
    session = await begun(engine)
    await session.append(turn(0))
    waiting = asyncio.create_task(session.score())
    await server.asked.wait()
    await session.aclose()
    with pytest.raises(EngineError) as caught:
        await waiting
    assert caught.value.code == "engine_closed"
    await asyncio.wait_for(server.completions[0].aborted.wait(), PATIENCE_S)


async def test_the_probe_takes_one_real_decision(server: FakeReference, engine: RemoteEngine) -> None:
    server.script(interacts("silence"))
    can = await engine.probe()
    assert (can.scores, can.chooses, can.writes, can.prepares, can.mode) == (False, False, False, False, "markers")
    assert can.follows_instructions
    assert can.needs_every_frame
    assert "yes or no" in can.note
    (request,) = server.completions
    assert request.messages[0]["content"][0]["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")
    assert server.resets == server.sessions
    server.script(says("I am a chat model."))
    assert "outside the protocol" in (await engine.probe()).note
    assert "outside the protocol" not in (await engine.probe()).note
    server.script(refuses(500, "boom"))
    with pytest.raises(EngineUnavailable):
        await engine.probe()


async def test_check_names_what_it_serves(server: FakeReference, engine: RemoteEngine) -> None:
    assert await engine.check() == f"{server.base_url} serves fake"
    with pytest.raises(EngineError, match="no model 'other'"):
        await make(server, model="other").check()
    server.models_reply = whole(json.dumps({"data": 7}).encode(), "application/json")
    assert "without a name" in await engine.check()


def test_options_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"engine\.options\.remote\.wings"):
        RemoteEngine({"wings": 2})
    with pytest.raises(ConfigError, match="base_url"):
        RemoteEngine({"base_url": "ftp://x"})
    with pytest.raises(ConfigError, match="persona"):
        RemoteEngine({"persona": "a b\r\nx"})


async def test_a_key_is_sent_and_never_quoted() -> None:
    async with FakeReference(api_key="s3cret-key-of-the-server") as server:
        right, wrong = make(server, api_key="s3cret-key-of-the-server"), make(server, api_key="another-s3cret")
        await decide(await begun(right), 0)
        with pytest.raises(EngineError) as caught:
            await decide(await begun(wrong), 0)
        assert caught.value.code == "engine_unauthorized"
        assert "engine.options.remote" in str(caught.value)
        assert "s3cret" not in str(caught.value)
        await right.aclose()
        await wrong.aclose()


async def test_a_cut_stream_is_no_answer(server: FakeReference, engine: RemoteEngine) -> None:
    server.script(cut("</response> half"))
    with pytest.raises(EngineError):
        await decide(await begun(engine), 0)
