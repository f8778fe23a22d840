"""A client of the reference's API against a real server of ours, whose engine answers as the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fakes.engines.engine import Answer, ScriptedEngine
from fakes.patience import until
from fakes.reference_client import ReferenceClient, content, jpeg, shown, user
from fakes.server.house import KEY
from fakes.server.live_server import LiveServer, live_server
from fakes.told_agent import ToldAgent
from joyvl_server.agents.base import AgentError
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineUnavailable
from joyvl_server.core.prompt.turns import UserTurn
from joyvl_server.engines.base import Capabilities

pytestmark = pytest.mark.processes

SILENT = Score(0.1)


class Place:
    """A server, its engine, and clients of it. `turns` are those that the engine was asked about."""

    def __init__(self, server: LiveServer, http: httpx2.AsyncClient, engine: ScriptedEngine) -> None:
        self.server = server
        self.http = http
        self.engine = engine
        self.turns: list[UserTurn] = []
        self.says: Callable[[UserTurn], Answer] = lambda turn: SILENT

    def client(self, session: str | None = None) -> ReferenceClient:
        return ReferenceClient(self.http, session)

    def answer(self, turn: UserTurn) -> Answer:
        self.turns.append(turn)
        return self.says(turn)

    @property
    def sessions(self) -> list[Any]:
        return self.server.registry.sessions()


@asynccontextmanager
async def place(folder: Path, **settings: Any) -> AsyncIterator[Place]:
    engine = ScriptedEngine(lambda turn: SILENT, Capabilities(scores=True))
    engine.name = "quiet"
    async with live_server(folder, **settings) as server:
        server.engines.quiet = engine  # type: ignore[assignment]
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60, trust_env=False) as http:
            found = Place(server, http, engine)
            engine.script = found.answer
            yield found


@pytest.fixture
async def p(tmp_path: Path) -> AsyncIterator[Place]:
    async with place(tmp_path) as found:
        yield found


def speaks(*deltas: str, value: float = 0.9) -> Answer:
    return Score(value), list(deltas)


async def test_each_picture_is_one_tick_and_its_decision_the_reply(p: Place) -> None:
    p.says = lambda turn: speaks(" A man", " enters.") if len(p.turns) == 2 else SILENT
    client = p.client("one")
    first, second = await client.decide(), await client.decide(shown(jpeg(10)))
    assert first["object"] == "chat.completion"
    assert content(first) == "</silence>"
    assert content(second) == "</response> A man enters."
    assert second["streamingharness"]["raw_content"] == content(second)
    assert second["streamingharness"]["memory"] == {"mid_term_summaries": [], "long_term_memory": ""}
    told = second["interaction"]
    assert (told["action"], told["spoke"], told["text"]) == ("response", True, "A man enters.")
    assert (first["interaction"]["score"], told["score"], told["threshold"]) == (0.1, 0.9, 0.5)
    assert (told["frame_index"], told["time"], told["inference_skipped"]) == (2, 1.0, False)
    assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"] > 0
    assert [turn.t for turn in p.turns] == [0.0, 1.0]
    assert [len(turn.frame.image.jpeg) > 0 for turn in p.turns] == [True, True]
    assert len(p.sessions) == 1  # and it does not tick by itself
    await asyncio.sleep(1.5)
    assert len(p.turns) == 2


async def test_a_question_is_asked_once_and_another_takes_its_place(p: Place) -> None:
    client = p.client()
    for _ in range(3):
        await client.decide("How many people?", shown(jpeg()))
    await client.decide("And now?", shown(jpeg()))
    assert [turn.query for turn in p.turns] == ["How many people?", None, None, "And now?"]
    assert any("How many people?" in line for line in p.turns[3].news)  # no longer asked
    p.says = lambda turn: speaks(" Two.")
    assert content(await client.decide()) == "</response> Two."
    p.says = lambda turn: SILENT
    await client.decide("And now?", shown(jpeg()))  # asked a second time, with a picture without it in between
    assert p.turns[-1].query == "And now?"


async def test_a_delegation_names_its_question(p: Place) -> None:
    p.says = lambda turn: speaks(" Let me check.", " </delegation> Which", " bird is it?")
    answer = await p.client().decide()
    assert content(answer) == "</response> Let me check. </delegation> Which bird is it?"
    told = answer["interaction"]
    assert (told["action"], told["delegated_question"]) == ("delegate", "Which bird is it?")
    p.says = lambda turn: SILENT
    later = await until_told(p.client())
    assert later["delegation"]["question"] == "Which bird is it?"
    assert later["delegation"]["status"] == "failed"  # there is no agent here


@pytest.mark.parametrize("error", [None, AgentError("It wants a login.", code="login")])
async def test_the_outcome_of_a_task_is_in_a_reply_and_then_delivered(tmp_path: Path, error: AgentError | None) -> None:
    """Also where the engine fails meanwhile: what the server says then is in the next reply that is one."""
    agents = {"entries": {"told": {"type": "openai", "options": {"base_url": "http://127.0.0.1:1/v1"}}}}
    async with place(tmp_path, agents=agents, sessions={"cooldown_s": 0.0}) as p:
        agent = ToldAgent()
        agent.error = error
        agent.goes_on.clear()
        p.server.registry.tasks.agents._agents["told"] = agent  # type: ignore[assignment]
        p.says = lambda turn: speaks(" Let me check. </delegation> How old is the house?")
        client = p.client()
        await client.decide()
        await until(lambda: agent.running == 1)
        p.says = lambda turn: EngineUnavailable("It is away.")
        assert (await client.look()).status_code == 503
        agent.goes_on.set()
        await until(lambda: agent.running == 0)
        assert (await client.look()).status_code == 503
        assert [task["delivered"] for task in (await p.http.get("/v1/tasks")).json()["data"]] == [None]
        p.says = lambda turn: speaks(" It was built in 1907.") if "1907" in str(turn.news) else SILENT
        wanted = "1907" if error is None else "wants a login"
        while wanted not in (words := await answered(client)):
            assert words == "</silence>"

        async def delivered() -> bool:
            (task,) = (await p.http.get("/v1/tasks")).json()["data"]
            return bool(task["delivered"] == "shown")

        while not await delivered():
            await asyncio.sleep(0.05)


async def answered(client: ReferenceClient) -> str:
    """Of the first reply that is one."""
    while (answer := await client.look()).status_code == 503:
        await asyncio.sleep(0.1)
    return content(answer.json())


async def test_a_reply_may_be_wanted_as_events(p: Place) -> None:
    p.says = lambda turn: speaks(" A man", " enters.")
    answer = await p.client("one").look(stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-session-id"] == p.sessions[0].id
    *chunks, end = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert end == "[DONE]"
    spoken, last = map(json.loads, chunks)
    assert spoken["object"] == last["object"] == "chat.completion.chunk"
    assert spoken["choices"][0]["delta"] == {"role": "assistant", "content": "</response> A man enters."}
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert last["interaction"]["action"] == "response"
    assert last["usage"]["completion_tokens"] > 0
    assert "text/event-stream" not in (await p.client("one").look(stream=False)).headers["content-type"]
    refused = await p.client("one").look(stream=True, frame_time_ranges=["soon"])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "frame_time_ranges")


async def until_told(client: ReferenceClient) -> dict[str, Any]:
    for _ in range(20):
        told: dict[str, Any] = (await client.decide())["interaction"]
        if told["delegation"] is not None:
            return told
    raise AssertionError("nothing was told of the task")


@pytest.mark.parametrize("key", ["no_delegation", "without-delegation", "streaming_nodelegation", "silent"])
async def test_the_key_without_delegation_switches_it_off(p: Place, key: str) -> None:
    p.says = lambda turn: speaks(" Let me check.", " </delegation> Which bird is it?")
    with_it, without = p.client("with"), p.client("without")
    answer = await without.decide(headers={"x-system-prompt-key": key})
    assert content(answer) == "</response> Let me check."
    assert answer["interaction"]["action"] == "response"
    (session,) = p.sessions
    assert session.machine._observer.config.delegation is False
    assert "</delegation>" in content(await with_it.decide(headers={"x-system-prompt-key": "default"}))


async def test_a_reset_ends_the_session_and_its_time(p: Place) -> None:
    client = p.client("a")
    await client.decide()
    first = await client.decide()
    assert (await client.reset()).json() == {"status": "reset", "session_id": "a"}
    assert p.sessions == []
    again = await client.decide()
    assert again["interaction"]["session_id"] != first["interaction"]["session_id"]
    assert [turn.t for turn in p.turns] == [0.0, 1.0, 0.0]
    assert (await p.client().reset("/reset", user="a")).status_code == 200
    assert p.sessions == []
    assert (await p.client("nobody").reset()).json()["status"] == "reset"
    assert (await p.http.post("/v1/streaming/reset")).json()["session_id"] == "default"


async def test_sessions_have_the_name_that_is_given_first(p: Place) -> None:
    bare = ReferenceClient(p.http)
    named = [
        await bare.decide(headers={"x-streaming-session": "s", "x-session-id": "h"}, user="u", session_id="b"),
        await bare.decide(headers={"x-session-id": "h"}, user="u", session_id="b"),
        await bare.decide(user="u", session_id="b"),
        await bare.decide(session_id="b"),
        await bare.decide(),
        await bare.decide(headers={"x-streaming-session": "default"}),
    ]
    ids = [answer["interaction"]["session_id"] for answer in named]
    assert len(set(ids[:5])) == 5
    assert ids[5] == ids[4]
    assert {session.record.name for session in p.sessions} == {
        f"Client {name}" for name in ("s", "h", "u", "b", "default")
    }


async def test_times_of_frames_are_the_clients(p: Place) -> None:
    client = p.client()
    two = (shown(jpeg(1)), shown(jpeg(2)))
    await client.decide(*two, frame_time_ranges=["<10.0 seconds ~ 10.5 seconds>", [10.5, 11.0]])
    await client.decide(headers={"x-frame-time-range": "<12.0 seconds ~ 13.0 seconds>"})
    await client.decide("<20.5 seconds> What is it?", shown(jpeg()))
    await client.decide()
    await client.decide(*two, frame_time_ranges=["30.0-31.0", "31.0-32.0"])  # of two ticks: spread over one
    assert [turn.t for turn in p.turns] == [0.0, 2.0, 10.5, 11.5, 20.0]  # the model's time begins with the session
    assert [[frame.t for frame in (*turn.burst, turn.frame)] for turn in p.turns] == [
        [10.0, 10.5], [12.0], [20.5], [21.5], [30.0, 30.5],
    ]  # fmt: skip
    assert p.turns[2].query == "What is it?"


async def test_the_last_message_that_shows_something_is_read(p: Place) -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        user("an older question", shown(jpeg(1))),
        {"role": "assistant", "content": "</silence>"},
        user("the question", shown(jpeg(2)), shown(jpeg(3))),
    ]
    await p.client().decide(messages=messages)
    assert (p.turns[0].query, p.turns[0].pictures) == ("the question", 2)


async def test_several_at_once_are_answered_one_after_the_other(p: Place) -> None:
    client, other = p.client("busy"), p.client("other")
    await client.decide()
    p.engine.hold.clear()
    several = [asyncio.create_task(client.look()) for _ in range(3)]
    await until(lambda: len(p.engine.called("score")) == 2)
    reset = asyncio.create_task(client.reset())
    await asyncio.sleep(0.2)
    assert len(p.engine.called("score")) == 2
    assert not reset.done()
    p.engine.hold.set()
    answers = [(await one).json()["interaction"] for one in several]
    assert sorted(told["frame_index"] for told in answers) == [2, 3, 4]  # whoever came first
    assert [turn.t for turn in p.turns] == [0.0, 1.0, 2.0, 3.0]
    assert (await reset).status_code == 200
    assert content(await other.decide()) == "</silence>"


async def test_one_that_waits_for_the_engine_holds_up_nobody(p: Place) -> None:
    slow, quick = p.client("slow"), p.client("quick")
    await slow.decide()
    waiting = asyncio.Event()
    score = p.engine.hold

    class Hold:
        async def wait(self) -> None:
            waiting.set()
            p.engine.hold = score
            await asyncio.sleep(3600)

    p.engine.hold = Hold()  # type: ignore[assignment]
    hanging = asyncio.create_task(slow.look())
    await waiting.wait()
    for _ in range(3):
        assert content(await quick.decide()) == "</silence>"
    assert (await p.http.get("/health")).json() == {"status": "ok"}
    hanging.cancel()  # the client goes away: its session stays
    assert len(p.sessions) == 2


async def test_too_many_requests_of_one_session_are_refused(p: Place) -> None:
    client = p.client()
    await client.decide()
    p.engine.hold.clear()
    several = [asyncio.create_task(client.look()) for _ in range(10)]
    await until(lambda: sum(one.done() for one in several) == 2)
    refused = [one.result() for one in several if one.done()]
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in refused} == {(503, "too_many_requests")}
    p.engine.hold.set()
    answers = await asyncio.gather(*several)
    assert sorted(answer.status_code for answer in answers) == [200] * 8 + [503] * 2


async def test_an_engine_that_is_away_is_said_in_their_shape(p: Place) -> None:
    client = p.client()
    await client.decide()
    p.says = lambda turn: EngineUnavailable("No server answers at http://u:s3cret@127.0.0.1:1.")
    for _ in range(6):
        answer = await client.look()
        assert answer.status_code == 503, answer.text
        error = answer.json()["error"]
        assert error["type"] == "service_unavailable_error"
        assert error["code"].startswith("engine_")
        assert error["message"]
        assert "s3cret" not in answer.text
    p.says = lambda turn: SILENT

    async def back() -> bool:
        return (await client.look()).status_code == 200

    for _ in range(200):
        if await back():
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError("it did not come back")


async def test_a_session_that_others_end_begins_once_more(p: Place) -> None:
    client = p.client()
    first = (await client.decide())["interaction"]["session_id"]
    assert (await p.http.delete(f"/v1/sessions/{first}")).status_code == 204
    assert (await client.decide())["interaction"]["session_id"] != first


async def test_a_persona_changes_how_easily_it_speaks(p: Place) -> None:
    client = p.client()
    p.says = lambda turn: speaks(f" Something {len(p.turns)}.", value=0.4)
    assert content(await client.decide()) == "</silence>"
    assert (await client.persona("talkative")).json() == {"status": "ok"}
    answer = await client.decide(frame_time_ranges=[100.0])
    assert (content(answer), answer["interaction"]["threshold"]) == ("</response> Something 2.", 0.3)
    assert (await client.persona("silent")).json() == {"status": "ok"}
    assert (await client.decide(frame_time_ranges=[200.0]))["interaction"]["threshold"] == 0.7
    assert p.sessions[0].machine._observer.config.delegation is False
    assert (await client.persona("shy")).json() == {"status": "unknown_persona"}
    assert (await client.persona("default")).json() == {"status": "ok"}
    assert (await client.decide(frame_time_ranges=[300.0]))["interaction"]["threshold"] == 0.5
    assert (await client.persona(7)).json()["error"]["param"] == "persona"


async def test_models_are_ours_and_the_references(p: Place) -> None:
    names = [model["id"] for model in (await p.http.get("/v1/models")).json()["data"]]
    assert names == ["joyvl", "JoyAI-VL-Interaction", "JoyAI-VL-Interaction-Preview", "quiet"]


async def test_it_asks_for_a_key_as_everywhere(p: Place) -> None:
    async with httpx2.AsyncClient(base_url=p.server.url, trust_env=False) as stranger:
        client = ReferenceClient(stranger)
        for answer in (await client.look(), await client.reset(), await client.persona("silent")):
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["error"]["type"] == "authentication_error"
        assert (await stranger.get("/health")).json() == {"status": "ok"}
        assert (await stranger.get("/v1/models")).status_code == 401
    assert p.sessions == []
