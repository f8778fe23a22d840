"""What frames may cost, how short of time the engine is, why sessions end: over the real app."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

import pytest

from fakes.media.wire import Wire
from fakes.server.house import URL, House, house
from joyvl_server.api.schemas.sessions import CapabilitiesOut, PressureOut
from joyvl_server.api.schemas.system import SchedulerOut
from joyvl_server.core.decisions import Pressure
from joyvl_server.core.errors import NotAllowed
from joyvl_server.engines.base import Capabilities
from joyvl_server.sessions import endings, payloads

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


# ----------------------------------------------------------------------------------------------- what pictures may cost


async def test_a_camera_keeps_its_fidelity_and_frames(tmp_path):
    async with house(tmp_path) as h:
        camera = await h.camera(fidelity="eco", frames_per_tick=4)
        assert (camera["fidelity"], camera["frames_per_tick"]) == ("eco", 4)
        session = await h.session_of(camera["session_id"])
        assert (session["fidelity"], session["frames_per_tick"]) == ("eco", 4)
    async with house(tmp_path) as h:
        session = await h.session_of(camera["session_id"])
        assert (session["fidelity"], session["frames_per_tick"]) == ("eco", 4)


async def test_without_its_own_it_takes_the_servers(tmp_path):
    async with house(tmp_path, sessions={"fidelity": "adaptive", "frames_per_tick": 2}) as h:
        camera = await h.camera()
        assert (camera["fidelity"], camera["frames_per_tick"]) == (None, None)
        session = await h.session_of(camera["session_id"])
        assert (session["fidelity"], session["frames_per_tick"]) == ("adaptive", 2)


async def test_a_change_holds_at_once_and_the_session_goes_on(h: House):
    camera = await h.camera(watches=[{"text": "someone comes"}])
    before = h.session(camera)
    wanted = {"fidelity": "adaptive", "frames_per_tick": 2}
    changed = await h.client.patch(f"/v1/cameras/{camera['id']}", json=wanted)
    assert (changed.status_code, changed.json()["fidelity"], changed.json()["frames_per_tick"]) == (200, "adaptive", 2)
    session = await h.session_of(camera["session_id"])
    assert (session["fidelity"], session["frames_per_tick"]) == ("adaptive", 2)
    again = await h.client.patch(f"/v1/cameras/{camera['id']}", json={"fidelity": None, "frames_per_tick": None})
    assert (again.json()["fidelity"], again.json()["frames_per_tick"]) == (None, None)
    session = await h.session_of(camera["session_id"])
    assert (session["fidelity"], session["frames_per_tick"]) == ("faithful", 1)
    assert h.session(camera) is before


async def test_a_session_is_changed_by_its_own_path_too(h: House):
    camera = await h.camera(threshold=0.7)
    path = f"/v1/sessions/{camera['session_id']}"
    changed = (await h.client.patch(path, json={"fidelity": "eco"})).json()
    assert (changed["threshold"], changed["fidelity"], changed["frames_per_tick"]) == (0.7, "eco", 1)
    assert (await h.client.get(f"/v1/cameras/{camera['id']}")).json()["fidelity"] == "eco"  # it keeps it
    await h.client.post("/v1/realtime/calls", json={"sdp": SDP})
    (session,) = [s for s in (await h.client.get("/v1/sessions")).json()["data"] if s["kind"] == "call"]
    path = f"/v1/sessions/{session['id']}"
    changed = (await h.client.patch(path, json={"threshold": 0.9, "frames_per_tick": 4})).json()
    assert (changed["threshold"], changed["fidelity"], changed["frames_per_tick"]) == (0.9, "faithful", 4)
    changed = (await h.client.patch(path, json={"fidelity": "adaptive"})).json()
    assert (changed["threshold"], changed["fidelity"], changed["frames_per_tick"]) == (0.9, "adaptive", 4)
    refused = await h.client.patch(path, json={"fidelity": "best"})
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"fidelity": "best"}, "fidelity"),
        ({"fidelity": 1}, "fidelity"),
        ({"frames_per_tick": 3}, "frames_per_tick"),
        ({"frames_per_tick": "2"}, "frames_per_tick"),
        ({"frames_per_tick": 0}, "frames_per_tick"),
    ],
)
async def test_wrong_ones_are_named(h: House, changes: dict, field: str):
    camera = await h.camera("one")
    created = await h.client.post("/v1/cameras", json={"name": "two", "url": URL, **changes})
    patched = await h.client.patch(f"/v1/cameras/{camera['id']}", json=changes)
    called = await h.client.post("/v1/realtime/calls", json={"sdp": SDP, "session": changes})
    for answer in (created, patched, called):
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"].removeprefix("session.") == field


async def test_a_call_may_say_what_its_pictures_cost(h: House):
    wanted = {"fidelity": "eco", "frames_per_tick": 2}
    answer = await h.client.post("/v1/realtime/calls", json={"sdp": SDP, "session": wanted})
    session = await h.session_of(answer.headers["x-session-id"])
    assert (session["fidelity"], session["frames_per_tick"]) == ("eco", 2)


# ---------------------------------------------------------------------------------------------------- the engine's time


async def test_a_session_shows_what_its_engine_can_do_and_that_it_keeps_up(h: House):
    h.engines.quiet.capabilities = Capabilities(mode="instruct", note="It has no markers.", context_tokens=8192)
    session = await h.session_of((await h.camera())["session_id"])
    assert session["capabilities"] == asdict(h.engines.quiet.capabilities)
    assert set(session["capabilities"]) == set(CapabilitiesOut.model_fields)
    assert (session["capabilities"]["mode"], session["capabilities"]["note"]) == ("instruct", "It has no markers.")
    assert session["pressure"] == {"step": 0, "name": "none", "sentence": "The engine keeps up."}


@pytest.mark.parametrize("step", list(Pressure))
def test_every_step_has_a_sentence(step: Pressure):
    shown = payloads.pressure(step)
    assert set(shown) == set(PressureOut.model_fields)
    PressureOut.model_validate(shown)
    assert shown["step"] == step.value
    assert shown["sentence"].endswith(".")


async def test_engines_show_how_busy_they_are_once_they_run_sessions(h: House):
    async def quiet() -> dict:
        answer = (await h.client.get("/v1/engines")).json()
        return next(engine for engine in answer["data"] if engine["name"] == "quiet")

    assert (await quiet())["scheduler"] is None
    await h.camera("one")
    await h.camera("two")
    shown = (await quiet())["scheduler"]
    assert set(shown) == set(SchedulerOut.model_fields)
    SchedulerOut.model_validate(shown)
    assert (shown["sessions"], shown["waiting"], shown["breaker"]) == (2, 0, "closed")
    assert shown["pressure"]["name"] == "none"


@pytest.fixture
def full(h: House, monkeypatch):
    """An engine that can take no session more."""

    def refuse(interval_s: float) -> None:
        raise NotAllowed("The engine quiet serves 1 sessions and cannot take another session.", code="engine_full")

    scheduler = h.engines.monitor("quiet").scheduler
    monkeypatch.setattr(scheduler, "check_admission", refuse)
    return h


async def test_a_full_engine_refuses_with_a_reason_and_keeps_nothing(full: House):
    h = full
    answers = [
        await h.client.post("/v1/cameras", json={"name": "one", "url": URL}),
        await h.client.post("/v1/realtime/calls", json={"sdp": SDP}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "engine_full"), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 10
        assert "cannot take another session" in answer.json()["detail"]
    assert (await h.client.get("/v1/cameras")).json()["data"] == []
    assert h.registry.sessions() == []
    assert all(source.closed for source in h.media.sources.values())


async def test_a_disabled_camera_stays_disabled_where_the_engine_is_full(h: House, request):
    camera = await h.camera(enabled=False)
    request.getfixturevalue("full")
    answer = await h.client.post(f"/v1/cameras/{camera['id']}/enable")
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_full")
    assert (await h.client.get(f"/v1/cameras/{camera['id']}")).json()["enabled"] is False


async def test_a_disabled_camera_needs_no_room(full: House):
    answer = await full.client.post("/v1/cameras", json={"name": "later", "url": URL, "enabled": False})
    assert (answer.status_code, answer.json()["enabled"], answer.json()["state"]) == (201, False, None)


async def test_a_camera_that_runs_may_be_changed_while_the_engine_is_full(h: House, request):
    camera = await h.camera()
    request.getfixturevalue("full")
    answer = await h.client.patch(f"/v1/cameras/{camera['id']}", json={"fidelity": "eco"})
    assert answer.status_code == 200
    assert (await h.session_of(camera["session_id"]))["fidelity"] == "eco"


# --------------------------------------------------------------------------------------------------------- why it ended


def test_every_end_has_a_code_of_its_own_and_an_error_counts_as_failed():
    sentences = [v for k, v in vars(endings).items() if k.isupper() and isinstance(v, str)]
    assert set(endings.CODES) == set(sentences)
    assert len(set(endings.CODES.values())) == len(sentences)
    assert endings.end_code("The file cannot be read.") == "failed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"speed": 2.0}, "camera_changed"),
        ({"enabled": False}, "camera_disabled"),
        (None, "camera_deleted"),
    ],
)
async def test_the_last_update_of_a_camera_says_why_in_a_stable_word(h: House, change: dict | None, code: str):
    camera = await h.camera()
    stream = Wire(h.app, f"/v1/sessions/{camera['session_id']}/updates")
    await stream.open()
    await stream.update()
    path = f"/v1/cameras/{camera['id']}"
    answer = await (h.client.delete(path) if change is None else h.client.patch(path, json=change))
    assert answer.status_code < 300
    last = await stream.update()
    assert (last["type"], last["code"], last["reason"]) == (
        "session.ended",
        code,
        next(r for r, c in endings.CODES.items() if c == code),
    )
    await stream.done()


async def test_a_call_hung_up_from_elsewhere_says_so(h: House):
    path, session_id = await h.call()
    stream = Wire(h.app, f"/v1/sessions/{session_id}/updates")
    await stream.open()
    await stream.update()
    await h.client.delete(path)
    seen = [await stream.update()]
    while seen[-1]["type"] != "session.ended":
        seen.append(await stream.update())
    assert seen[-1]["code"] == "hung_up"
    await stream.done()


# -------------------------------------------------------------------------------------------------------------- metrics


@dataclass
class Usage:
    requests: int = 0
    prompt: int = 0
    cached: int = 0
    images: int = 0
    bytes: int = 0
    forgotten: int = 0


async def counted(h: House, name: str) -> float | None:
    text = (await h.client.get("/metrics")).text
    found = re.search(rf'^{name}\{{engine="quiet"\}} (\S+)$', text, re.MULTILINE)
    return None if found is None else float(found[1])


async def test_what_an_engine_has_sent_is_counted_and_never_goes_back(h: House):
    await h.camera()
    assert await counted(h, "joyvl_prompt_tokens_total") is None  # this engine counts nothing
    h.engines.quiet.usage = Usage(requests=3, prompt=1000, cached=900)
    assert await counted(h, "joyvl_prompt_tokens_total") == 1000
    assert await counted(h, "joyvl_cached_tokens_total") == 900
    h.engines.quiet.usage.prompt = 1500
    assert await counted(h, "joyvl_prompt_tokens_total") == 1500
    assert await counted(h, "joyvl_prompt_tokens_total") == 1500
    h.engines.quiet.usage = Usage(prompt=200)  # the engine was made anew
    assert await counted(h, "joyvl_prompt_tokens_total") == 1700
    assert await counted(h, "joyvl_engine_requests_total") == 3


async def test_pressure_and_breaker_are_in_the_metrics(h: House):
    await h.camera()
    assert await counted(h, "joyvl_engine_pressure") == 0
    assert await counted(h, "joyvl_breaker_open") == 0
    assert await counted(h, "joyvl_engine_load") is not None
