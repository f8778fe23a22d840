"""Agent `openai` against scripted servers: good days, bad days, and what a server that means harm would do."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from fakes.clock import ManualClock
from fakes.engines.openai_server import FakeOpenAI, Reply, cut, endless, mute, raw, refuses, says, whole
from fakes.patience import PATIENCE_S
from joyvl_server.agents.base import (
    AgentContext,
    AgentError,
    AgentProgress,
    AnswerDelta,
    BundleFrame,
    Finished,
    TaskBundle,
)
from joyvl_server.agents.openai.agent import UNSEEN, OpenAIAgent
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.net.policy import NetPolicy

FRAMES = (BundleFrame(b"\xff\xd8one", 1.0, 1_800_000_000.0), BundleFrame(b"\xff\xd8two", 2.0, 1_800_000_001.0))
ASKED = TaskBundle("tsk_1", "Who is that?", frames=FRAMES)
KEY = "sk-very-secret-key"


class ResponsesServer(FakeOpenAI):
    """The same with `/v1/responses`."""

    def _reply(self, request):
        if request.path != "/v1/responses":
            return super()._reply(request)
        self.asked.set()
        return self._script.popleft()


@pytest.fixture
async def server():
    async with ResponsesServer() as fake:
        yield fake


def agent_of(at, tmp_path, policy=None, **options) -> OpenAIAgent:
    given = {"base_url": at, "model": "fake", "silence_s": 5.0} | options
    policy = policy or NetPolicy()
    return OpenAIAgent(AgentContext("helper", given, tmp_path, ManualClock(), policy))


@pytest.fixture
async def make(server, tmp_path):
    made = []

    def agent(**options) -> OpenAIAgent:
        made.append(agent_of(options.pop("base_url", server.base_url), tmp_path, **options))
        return made[-1]

    yield agent
    for one in made:
        await one.aclose()


async def never(request):
    raise AssertionError("it has no tools")


async def events_of(agent, bundle=ASKED):
    async with asyncio.timeout(PATIENCE_S):
        return [event async for event in agent.run(bundle, None, never)]


async def failure_of(agent, bundle=ASKED) -> AgentError:
    with pytest.raises(AgentError) as raised:
        await events_of(agent, bundle)
    return raised.value


# ---------------------------------------------------------------------------------------------------------- good days


async def test_it_asks_with_pictures_and_streams_the_answer(server, make):
    server.script(says("It is ", "**Ann**."))
    agent = make(extra_body={"temperature": 0.1})
    assert await events_of(agent) == [AnswerDelta("It is "), AnswerDelta("**Ann**."), Finished("It is **Ann**.")]
    (request,) = server.completions
    assert (request.body["stream"], request.body["temperature"], request.body["model"]) == (True, 0.1, "fake")
    text, first, second = request.messages[0]["content"]
    assert "| Who is that?" in text["text"]
    assert "Picture 2: 2027-01-15 08:00:01.0 UTC" in text["text"]
    assert first["image_url"]["url"] == "data:image/jpeg;base64," + base64.b64encode(FRAMES[0].jpeg).decode()
    assert second["image_url"]["url"].endswith(base64.b64encode(FRAMES[1].jpeg).decode())
    assert "tools" not in request.body


async def test_without_a_model_it_takes_the_first_and_texts_are_plain(server, make):
    server.models = ["one", "two"]
    server.script(says("Yes."))
    await events_of(make(model="", pictures=False))
    (request,) = server.completions
    assert request.body["model"] == "one"
    assert request.messages[0]["content"].endswith(UNSEEN)


async def test_key_and_headers_are_sent(server, make, tmp_path):
    server.api_key = KEY
    (tmp_path / "key").write_text(KEY + "\n")
    for options in ({"api_key": KEY}, {"api_key_file": tmp_path / "key"}):
        server.script(says("Yes."))
        await events_of(make(headers={"x-agent": "main"}, **options))
        assert server.requests[-1].headers["x-agent"] == "main"


async def test_a_follow_up_says_what_was_said(server, make):
    server.script(says("Yes."))
    await events_of(make(), TaskBundle("tsk_2", "And now?", earlier=(("Who is that?", "Ann."),)))
    assert "| Question: Who is that?\n| Answer: Ann." in server.completions[0].messages[0]["content"]


async def test_a_server_that_does_not_stream_is_understood(server, make):
    body = {"choices": [{"message": {"content": "Ann."}, "finish_reason": "stop"}]}
    server.script(whole(json.dumps(body).encode(), "application/json"))
    assert (await events_of(make()))[-1] == Finished("Ann.")


async def test_thinking_is_progress_and_no_part_of_the_answer(server, make):
    thinking = json.dumps({"choices": [{"delta": {"reasoning_content": "hmm"}}]})
    answer = json.dumps({"choices": [{"delta": {"content": "Ann."}, "finish_reason": "length"}]})
    server.script(raw(thinking, thinking, answer))
    events = await events_of(make())
    assert events[:2] == [AgentProgress("It thinks."), AnswerDelta("Ann.")]
    assert events[-1].answer == "Ann.\n\n… (The server ended the answer here: length.)"


@pytest.mark.parametrize(
    ("status", "words"), [(500, "image input is not supported - provide the mmproj"), (400, "not a multimodal model")]
)
async def test_a_server_that_refuses_pictures_is_asked_without_them(server, make, status, words):
    agent = make()
    server.script(refuses(status, words), says("I cannot see."), says("Nor now."))
    events = await events_of(agent)
    assert isinstance(events[0], AgentProgress)
    assert events[-1] == Finished("I cannot see.")
    assert server.completions[1].messages[0]["content"].endswith(UNSEEN)
    await events_of(agent)
    assert len(server.completions) == 3, "it has learnt that"


async def test_responses_go_on_by_the_id_of_the_answer(server, make):
    def answer(text, number):
        return raw(
            json.dumps({"type": "response.created", "response": {"id": f"resp_{number}"}}),
            json.dumps({"type": "response.reasoning_summary_text.delta", "delta": "hmm"}),
            json.dumps({"type": "response.output_text.delta", "delta": text}),
            json.dumps({"type": "response.completed", "response": {"id": f"resp_{number}"}}),
            end="no_done",
        )

    agent = make(api="responses")
    forgotten = refuses(404, "Previous response resp_1 not found")
    server.script(answer("Ann.", 1), answer("Still Ann.", 2), forgotten, answer("Yes.", 3))
    assert (await events_of(agent))[-1] == Finished("Ann.", "resp_1")
    parts = server.requests[0].body["input"][0]["content"]
    assert [part["type"] for part in parts] == ["input_text", "input_image", "input_image"]
    later = TaskBundle("tsk_2", "And now?", earlier=(("Who?", "Ann."),), agent_session="resp_1")
    assert (await events_of(agent, later))[-1] == Finished("Still Ann.", "resp_2")
    assert server.requests[1].body["previous_response_id"] == "resp_1"
    assert "Ann." not in json.dumps(server.requests[1].body["input"])
    assert (await events_of(agent, later))[-1] == Finished("Yes.", "resp_3")
    assert "previous_response_id" not in server.requests[3].body
    assert "Ann." in json.dumps(server.requests[3].body["input"])


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.failed", "response": {"error": {"message": "overheated"}}},
        {"type": "error", "message": "overheated"},
        {"object": "response", "error": {"message": "overheated"}},
    ],
)
async def test_responses_that_fail_are_told(server, make, event):
    server.script(raw(json.dumps(event)))
    error = await failure_of(make(api="responses"))
    assert error.code == "died"
    assert "overheated" in str(error)


# ----------------------------------------------------------------------------------------------------------- bad days


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (refuses(401, f"Incorrect API key: {KEY}"), "login", "wants another key"),
        (refuses(403, "no"), "login", "api_key_file of the agent helper"),
        (refuses(404, "The model `fake` does not exist."), "unavailable", "has no model 'fake'"),
        (whole(b"<html>Not found", "text/html", 404), "unavailable", "no such address"),
        (Reply(status=307, body=b"", headers=(("location", "http://169.254.169.254/"),)), "unavailable", "redirects"),
        (refuses(429, "slow down"), "unavailable", "slow down"),
        (refuses(400, "maximum context length is 4096"), "too_much", "too long"),
        (refuses(500, f"boom {KEY} " + "A" * 60), "unavailable", r"boom \*\*\* …"),
        (refuses(418, "teapot"), "refused", "teapot"),
        (mute("half"), "silent", "no sign of life for 1.5 s"),
        (mute(), "silent", "no sign of life"),
        (cut("half"), "died", "in the middle of the answer"),
        (says("half", end="no_done"), "died", "in the middle of the answer"),
        (endless("more "), "too_much", "max_characters"),
        (raw("{nonsense"), "protocol", "OpenAI-compatible"),
        (raw("[1]"), "protocol", "OpenAI-compatible"),
        (raw("[" * 100_000), "protocol", "OpenAI-compatible"),
        (raw('{"choices":[{"delta":{"content":"' + "x" * 2_000_000 + '"}}]}'), "protocol", "OpenAI-compatible"),
        (raw('{"error":{"message":"out of memory"}}'), "died", "out of memory"),
        (whole(b"<html>hello", "text/html"), "protocol", "OpenAI-compatible"),
        (whole(b'{"choices":[]}', "application/json"), "protocol", "OpenAI-compatible"),
        (says(), "refused", "empty answer"),
        (says(" ", "\n"), "refused", "empty answer"),
    ],
)
async def test_what_a_server_does_on_bad_days_is_told_in_words(server, make, reply, code, words):
    server.script(reply)
    agent = make(api_key=KEY, silence_s=1.5 if code == "silent" else PATIENCE_S, max_characters=1000)
    with pytest.raises(AgentError, match=words) as raised:
        await events_of(agent)
    assert raised.value.code == code
    assert KEY not in str(raised.value)
    assert len(str(raised.value)) < 500
    server.script(says("Yes."))
    assert (await events_of(agent))[-1] == Finished("Yes."), "the next question finds a server that works"


EMPTY = 'data: {"choices":[{"delta":{"content":""}}]}\n\n'
THINKS = 'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n'


@pytest.mark.parametrize("alive", [": keep-alive\n\n", "\n", EMPTY, 'data: {"choices":[]}\n\n'])
@pytest.mark.parametrize("deltas", [(), ("half",)])
async def test_what_only_keeps_the_connection_open_is_no_sign_of_life(server, make, alive, deltas):
    server.script(Reply(deltas, end="hang", alive=alive, gap_s=0.05))
    async with asyncio.timeout(PATIENCE_S):
        error = await failure_of(make(silence_s=1.5))
    assert (error.code, "no sign of life for 1.5 s" in str(error)) == ("silent", True)
    await asyncio.wait_for(server.completions[-1].aborted.wait(), PATIENCE_S)


async def test_a_model_that_thinks_for_long_is_alive(server, make):
    server.script(Reply((), end="hang", alive=THINKS, gap_s=0.05))
    asking = asyncio.create_task(events_of(make(silence_s=1.5)))
    done, _ = await asyncio.wait({asking}, timeout=3)  # pace: twice as long as it may be silent
    assert not done
    asking.cancel()


async def test_nobody_answers_there(make):
    error = await failure_of(make(base_url="http://127.0.0.1:9/v1"))
    assert error.code == "unavailable"
    assert "Is it running" in str(error)


@pytest.mark.parametrize(
    ("base_url", "policy", "code"),
    [
        ("http://169.254.169.254/v1", NetPolicy(), "refused"),
        ("http://[::ffff:169.254.169.254]/v1", NetPolicy(), "refused"),
        ("http://127.0.0.1:9/v1", NetPolicy(deny=("127.0.0.0/8",)), "refused"),
        ("http://no-such-name.invalid/v1", NetPolicy(), "unavailable"),
    ],
)
async def test_it_reaches_only_what_the_policy_allows(tmp_path, base_url, policy, code):
    agent = agent_of(base_url, tmp_path, policy)
    assert (await failure_of(agent)).code == code
    assert not (await agent.check()).ready
    await agent.aclose()


async def test_closed_early_the_request_is_aborted(server, make):
    server.script(mute("half"))
    events = make(silence_s=60.0).run(ASKED, None, never)
    assert await anext(events) == AnswerDelta("half")
    await events.aclose()
    async with asyncio.timeout(PATIENCE_S):
        await server.completions[0].aborted.wait()


async def test_cancelled_while_nothing_comes_the_request_is_aborted(server, make):
    server.script(mute())
    asking = asyncio.create_task(events_of(make(silence_s=60.0)))
    await server.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(PATIENCE_S):
        await server.completions[0].aborted.wait()


# -------------------------------------------------------------------------------------------------- check and options


async def test_check_says_what_is_missing(server, make):
    report = await make().check()
    assert report.ready
    assert "the model is fake" in report.message
    assert "Nothing of it runs here" in report.sandbox
    assert not server.completions
    assert "no model 'other'" in (await make(model="other").check()).message
    server.models = []
    assert "lists no model" in (await make(model="").check()).message
    server.api_key = KEY
    report = await make().check()
    assert not report.ready
    assert "another key" in report.message
    server.api_key = ""
    for reply in (whole(b'{"data":5}', "application/json"), whole(b"<html>", "text/html"), mute()):
        server.models_reply = reply
        assert not (await make(silence_s=0.3).check()).ready


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "ftp://x"}, "http or https"),
        ({"base_url": "http://u:p@x"}, "user or password"),
        ({"modle": "x"}, "Did you mean model"),
        ({"extra_body": {"messages": []}}, "messages"),
        ({"extra_body": {"tools": [{}]}}, "nobody would run them"),
        ({"headers": {"Host": "x"}}, "client's own"),
        ({"headers": {"x-a": "1\r\nx-b: 2"}}, "no header can have"),
        ({"headers": {"x a": "1"}}, "no header can have"),
        ({"api_key": "a", "api_key_file": "b"}, "not both"),
        ({"api": "other"}, "api"),
    ],
)
def test_wrong_options_are_told_where_they_stand(tmp_path, options, words):
    with pytest.raises(ConfigError, match=words) as raised:
        agent_of("http://127.0.0.1:9/v1", tmp_path, **options)
    assert "agents.entries.helper.options" in str(raised.value)


@pytest.mark.parametrize("ending", ["/chat/completions", "/responses", "/", ""])
async def test_addresses_may_be_copied_with_their_ending(server, make, ending):
    server.script(says("Yes."))
    assert (await events_of(make(base_url=server.base_url + ending)))[-1] == Finished("Yes.")
