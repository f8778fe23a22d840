"""OpenClaw, with its own gateway and a scripted model, offline: as a chat server, and through its ACP bridge."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.agents.acp import QUESTION, AgentHouse, People, answer_of
from fakes.agents.model_server import ANSWER, ScriptedModel
from fakes.agents.openclaw_gateway import TOKEN, OpenClawGateway
from fakes.patience import LONG_FORM, PATIENCE_S
from joyvl_server.agents.base import AgentContext, AgentError, AgentReport, Finished
from joyvl_server.agents.openai.agent import OpenAIAgent
from joyvl_server.kit.net.policy import NetPolicy

pytestmark = pytest.mark.slow

TOUCH = "touch proof.txt"
START_S = 200
LATE = "closed before ready"
TRIES = 5


@pytest.fixture(scope="module")
def model():
    with ScriptedModel() as model:
        yield model


@pytest.fixture(scope="module")
def gateway(agents_env, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("openclaw") / "gateway"
    house = AgentHouse(folder.parent / "house")
    with OpenClawGateway(folder, agents_env, model.url, house.mark) as gateway:
        yield gateway
    for pid in house.pids(lambda command: True):  # its helpers have sessions of their own
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def house(tmp_path, model):
    house = AgentHouse(tmp_path)
    model.command = None
    model.requests.clear()
    yield house
    assert house.processes() == []
    ours = {tmp_path / "home", tmp_path / "work"}
    assert {path for path in tmp_path.iterdir() if path not in ours} == set()
    assert list((tmp_path / "work").iterdir()) == [house.folder]


def bridge(house, agents_env, gateway, **options):
    given = {"preset": "openclaw", "path": [str(agents_env)], "env": {"TEST_MARK": house.mark}, "start_s": START_S}
    return house.make({**given, "args": gateway.bridge, "unasked": True, **options})


def chat(house, gateway, key=TOKEN) -> OpenAIAgent:
    options = {"base_url": gateway.chat_url, "api_key": key}
    return OpenAIAgent(AgentContext("claw", options, house.home, house.clock, NetPolicy()))


async def ready(agent) -> AgentReport:
    """OpenClaw gives its gateway 15 s for the connection, which a busy machine does not always meet."""
    for _ in range(TRIES):
        report = await agent.check()
        if LATE not in report.message:
            break
    return report


async def bridged(agent, house, people, bundle=QUESTION) -> Finished:
    """See `ready`: it has not begun to work then."""
    for _ in range(TRIES):
        try:
            return (await answer_of(agent, house.folder, people, bundle))[0]
        except AgentError as error:
            if LATE not in str(error):
                raise
    raise AssertionError("its gateway is late each time")


async def test_the_gateway_answers_as_a_chat_server_and_runs_nothing_that_needs_a_yes(house, gateway, model):
    model.command = TOUCH
    agent, people = chat(house, gateway), People("allow-once")
    report = await agent.check()
    assert report.ready, report.message
    assert "the model is openclaw" in report.message
    async with aclosing(agent.run(QUESTION, house.folder, people)) as running:
        events = [event async for event in running]
    assert isinstance(events[-1], Finished)
    assert ANSWER in events[-1].answer
    assert people.requests == []  # over this API nobody can be asked …
    assert not (gateway.workspace / "proof.txt").exists()  # … and then it is denied
    assert QUESTION.question in str(model.requests[0])
    assert str(model.requests[0]).count("data:image/jpeg;base64,") == len(QUESTION.frames)
    await agent.aclose()


async def test_a_wrong_token_is_said(house, gateway):
    agent = chat(house, gateway, "another-token")
    report = await agent.check()
    assert not report.ready
    assert "another-token" not in report.message
    with pytest.raises(AgentError) as raised:
        async with aclosing(agent.run(QUESTION, house.folder, People())) as running:
            [event async for event in running]
    assert raised.value.code == "login", raised.value
    await agent.aclose()


async def test_its_bridge_is_refused_unless_the_settings_say_that_it_may_act_unasked(house, agents_env, gateway, model):
    for options in ({}, {"mode": "low"}) if LONG_FORM else ({},):
        report = await ready(bridge(house, agents_env, gateway, unasked=False, **options))
        assert not report.ready
        assert "tools.exec.mode" in report.message
        assert "`unasked: true`" in report.message
    assert model.requests == []


async def test_its_bridge_answers_and_hands_on_what_the_gateway_asks(house, agents_env, gateway, model):
    """Allowed, denied, and a follow-up."""
    agent, proof = bridge(house, agents_env, gateway), gateway.workspace / "proof.txt"
    report = await ready(agent)
    assert report.ready, report.message
    assert "None of ours" in report.sandbox

    model.command = TOUCH
    denied = People(choose="reject_once")
    with suppress(AgentError):
        await bridged(agent, house, denied)
    assert [TOUCH in request.detail for request in denied.requests] == [True]
    assert not proof.exists()

    _without_frames(house)
    allowed = People(choose="allow_once")
    finished = await bridged(agent, house, allowed)
    assert len(allowed.requests) == 1
    assert finished.answer == ANSWER
    assert proof.exists()  # in the gateway's folder, not in the task's

    _without_frames(house)
    model.command = None
    again = replace(QUESTION, question="And the plate?", agent_session=finished.agent_session)
    followed = await bridged(agent, house, People(), again)
    assert followed.answer == ANSWER
    assert QUESTION.question in str(model.requests[-1])  # it remembers
    proof.unlink()


@pytest.mark.parametrize("how", ["cancelled", "killed"])
async def test_ended_while_the_gateways_command_runs(house, agents_env, gateway, model, how):
    seconds = f"1000.{os.getpid()}"
    model.command = f"sleep {seconds}"
    people = People(choose="allow_once")
    working = asyncio.create_task(bridged(bridge(house, agents_env, gateway), house, people))

    def sleeping() -> bool:
        commands = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
        return any(command.endswith(f"sleep\0{seconds}\0".encode()) for command in commands)

    async with asyncio.timeout(2 * START_S):
        while not sleeping():
            assert not working.done(), working
            await asyncio.sleep(0.1)
    if how == "cancelled":
        working.cancel()
        await asyncio.wait({working})
    else:
        for pid in house.pids(lambda command: "confine" not in command):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(AgentError) as raised:
            await asyncio.wait_for(working, PATIENCE_S)
        assert raised.value.code == "died"
    assert house.processes() == []
    if how == "killed":
        return  # nobody tells the gateway then: docs/agents.md
    async with asyncio.timeout(PATIENCE_S):
        while sleeping():
            await asyncio.sleep(0.1)


def _without_frames(house: AgentHouse) -> None:
    for path in house.folder.glob("frame_*.jpg"):
        path.unlink()
