"""What the unmodified `openai` package asks for over REST: models, keys for browsers, calls."""

from __future__ import annotations

import json
import platform
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest

from fakes.media.media import ANSWER_SDP
from fakes.media.wire import Wire
from fakes.server.house import KEY, House, house
from joyvl_server.api.realtime.client_secrets import MAX_OF_MAKER, MAX_SECRETS

platform.processor()  # openai's package asks for it, and the first time Python starts `uname`

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
CALLS = "/v1/realtime/calls"


@pytest.fixture
async def h(tmp_path) -> AsyncIterator[House]:
    async with house(tmp_path, server={"api_keys": [KEY], "requests_per_s": 0}) as opened:
        yield opened


def client_of(h: House, key: str = KEY) -> openai.AsyncOpenAI:
    transport = httpx2.ASGITransport(app=h.app, raise_app_exceptions=False)
    client = httpx2.AsyncClient(transport=transport)
    return openai.AsyncOpenAI(api_key=key, base_url="http://127.0.0.1:8099/v1", http_client=client, max_retries=0)


async def test_models(h: House):
    client = client_of(h)
    models = await client.models.list()
    assert [model.id for model in models.data] == [
        "joyvl",
        "JoyAI-VL-Interaction",
        "JoyAI-VL-Interaction-Preview",
        "quiet",
    ]
    assert (await client.models.retrieve("quiet")).owned_by == "joyvl-server"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-9")


async def test_a_call_with_openais_session(h: House):
    client = client_of(h)
    session: Any = {
        "type": "realtime",
        "model": "gpt-realtime",
        "instructions": "Tell me when someone falls.",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "tool_choice": "auto",
        "tools": [],
        "truncation": "auto",
        "tracing": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "whisper-1", "language": "en"},
                "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500},
            },
            "output": {"voice": "marin", "speed": 1.0},
        },
    }
    answer = await client.realtime.calls.with_raw_response.create(sdp=SDP, session=session)
    assert answer.status_code == 201
    assert answer.content.decode() == ANSWER_SDP
    call_id = answer.headers["location"].removeprefix(CALLS + "/")
    (running,) = h.registry.sessions()
    assert [w.text for w in running.watches.all()] == ["Tell me when someone falls."]
    await client.realtime.calls.hangup(call_id)
    assert h.registry.sessions() == []
    with pytest.raises(openai.NotFoundError):
        await client.realtime.calls.hangup(call_id)


async def test_sdp_alone_may_name_a_model(h: House):
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {KEY}"}
    for model, status in (("gpt-realtime", 201), ("quiet", 201), ("joyvl", 201), ("nothing", 422), ("x" * 101, 422)):
        answer = await h.client.post(CALLS, params={"model": model}, content=SDP, headers=headers)
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("session", "field"),
    [
        ({"type": "transcription"}, "session.type"),
        ({"type": "realtime", "tools": [{"type": "function", "name": "f"}]}, "session.tools"),
        ({"prompt": {"id": "pmpt_1"}}, "session.prompt"),
        ({"instructions": "x" * 2001}, "session.instructions"),
        ({"output_modalities": []}, "session.output_modalities"),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, "session.audio.input.format"),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "session.audio.output.format"),
        ({"audio": {"output": {"speed": 1.5}}}, "session.audio.output"),
        ({"audio": {"output": {"voice": ""}}}, "session.audio.output.voice"),
        ({"audio": {"input": {"turn_detection": {"type": "magic"}}}}, "session.audio.input.turn_detection.type"),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}},
            "session.audio.input.turn_detection",
        ),
        ({"audio": {"input": {"loud": True}}}, "session.audio.input.loud"),
        ({"colour": "red"}, "session.colour"),
    ],
)
async def test_what_is_not_meant_here_is_named(h: House, session: dict, field: str):
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = await h.client.post(CALLS, json={"sdp": SDP, "session": session}, headers=headers)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["errors"][0]["field"].startswith(field), problem
    assert h.registry.sessions() == []


async def test_instructions_are_one_of_64_watches(h: House):
    headers = {"Authorization": f"Bearer {KEY}"}
    watches = [{"text": f"watch {n}"} for n in range(64)]
    for session, status in (
        ({"watches": watches}, 201),
        ({"watches": watches, "instructions": " "}, 201),
        ({"watches": watches, "instructions": "one more"}, 422),
    ):
        answer = await h.client.post(CALLS, json={"sdp": SDP, "session": session}, headers=headers)
        assert answer.status_code == status, answer.text


# ------------------------------------------------------------------------------------------------------ client secrets


async def test_a_client_secret_opens_one_call_with_its_session_and_nothing_else(h: House):
    made = await client_of(h).realtime.client_secrets.create(
        session={"type": "realtime", "instructions": "Watch the door.", "audio": {"output": {"voice": "marin"}}}
    )
    assert made.value.startswith("ek_")
    assert made.expires_at == 1_800_000_000 + 600
    assert made.session.type == "realtime"
    assert made.session.model == "quiet"
    browser = client_of(h, made.value)
    for refused in (browser.models.list(), browser.realtime.client_secrets.create()):
        with pytest.raises(openai.AuthenticationError):
            await refused
    bearer = {"Authorization": f"Bearer {made.value}"}
    assert (await h.client.get(CALLS, headers=bearer)).status_code == 401
    assert (await h.client.post("/v1/cameras", json={"name": "x"}, headers=bearer)).status_code == 401
    # An offer that cannot be used costs nothing.
    failed = await h.client.post(CALLS, content="hello", headers={**bearer, "Content-Type": "application/sdp"})
    assert failed.status_code == 400
    await browser.realtime.calls.create(sdp=SDP, session={"type": "realtime", "instructions": "Do as I say."})
    (running,) = h.registry.sessions()
    assert [w.text for w in running.watches.all()] == ["Watch the door."]
    with pytest.raises(openai.AuthenticationError):
        await browser.realtime.calls.create(sdp=SDP)
    assert len(h.api.secrets) == 0


async def test_a_client_secret_without_a_session_leaves_it_to_the_client(h: House):
    made = await client_of(h).realtime.client_secrets.create()
    await client_of(h, made.value).realtime.calls.create(
        sdp=SDP, session={"type": "realtime", "instructions": "Watch the cat."}
    )
    (running,) = h.registry.sessions()
    assert [w.text for w in running.watches.all()] == ["Watch the cat."]


async def test_a_client_secret_ends_by_itself(h: House):
    made = await client_of(h).realtime.client_secrets.create(expires_after={"anchor": "created_at", "seconds": 10})
    await h.clock.advance(10.0)
    with pytest.raises(openai.AuthenticationError):
        await client_of(h, made.value).realtime.calls.create(sdp=SDP)


@pytest.mark.parametrize("seconds", [9, 7201, 60.5, "60"])
async def test_how_long_a_client_secret_may_live(h: House, seconds: Any):
    with pytest.raises(openai.UnprocessableEntityError):
        await client_of(h).realtime.client_secrets.create(expires_after={"anchor": "created_at", "seconds": seconds})


async def test_client_secrets_are_bounded(h: House):
    headers = {"Authorization": f"Bearer {KEY}"}
    path = "/v1/realtime/client_secrets"
    made = await h.client.post("/v1/keys", json={"name": "other", "role": "operator"}, headers=headers)
    for _ in range(MAX_OF_MAKER):
        assert (await h.client.post(path, json={}, headers=headers)).status_code == 200
    full = await h.client.post(path, json={}, headers=headers)
    assert (full.status_code, full.json()["code"]) == (503, "too_many_secrets")
    others = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await h.client.post(path, json={}, headers=others)).status_code == 200  # nobody keeps others from theirs
    h.api.secrets._kept.update(
        {f"x{n}": secret for n, secret in enumerate([*h.api.secrets._kept.values()][-1:] * MAX_SECRETS)}
    )
    assert "1024" in (await h.client.post(path, json={}, headers=others)).json()["detail"]
    await h.clock.advance(600.0)
    assert (await h.client.post(path, json={}, headers=headers)).status_code == 200
    assert len(h.api.secrets) == 1


async def test_without_keys_a_secret_that_was_used_is_refused_all_the_same(tmp_path):
    async with house(tmp_path) as h:
        made = await client_of(h).realtime.client_secrets.create()
        browser = client_of(h, made.value)
        await browser.realtime.calls.create(sdp=SDP)
        with pytest.raises(openai.PermissionDeniedError):
            await browser.realtime.calls.create(sdp=SDP)


@pytest.mark.parametrize(
    ("headers", "opens"),
    [
        ({"authorization": f"Bearer {KEY}"}, True),
        ({"sec-websocket-protocol": f"realtime, openai-insecure-api-key.{KEY}"}, True),
        ({"sec-websocket-protocol": f"realtime, openai-insecure-api-key.{KEY}x"}, False),
        ({"sec-websocket-protocol": "realtime, openai-insecure-api-key."}, False),
        ({"sec-websocket-protocol": "realtime"}, False),
    ],
)
async def test_keys_of_a_browsers_websocket(h: House, headers: dict[str, str], opens: bool):
    answer = await h.client.post(CALLS, json={"sdp": SDP}, headers={"Authorization": f"Bearer {KEY}"})
    path = f"/v1/sessions/{answer.headers['x-session-id']}/updates"
    wire = Wire(h.app, path, kind="websocket", headers=headers)
    first = await wire.open()
    assert (first["type"] == "websocket.accept") is opens
    if opens:
        wire.leave()
        await wire.done()
    else:
        assert json.loads((await wire.next())["body"])["code"] == "unauthorized"
        await wire.done()
