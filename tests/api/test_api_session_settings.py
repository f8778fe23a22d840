"""Every field of `SessionSpec` is in the bodies, in the answers, in the row and in what forms are made of."""

from __future__ import annotations

import json

import pytest

from fakes.server.house import House, house
from joyvl_server.api.schemas.calls import CallSession
from joyvl_server.api.schemas.cameras import CameraIn, CameraOut, CameraPatch
from joyvl_server.api.schemas.sessions import SessionOut, SessionPatch
from joyvl_server.api.schemas.settings import SettingOut
from joyvl_server.sessions.spec import SessionSpec

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
NAMES = set(SessionSpec.model_fields)


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def described(h: House) -> dict[str, dict]:
    return {one["name"]: one for one in (await h.client.get("/v1/session-settings")).json()["data"]}


def value_for(setting: dict) -> object:
    """One that is not the default."""
    match setting["type"]:
        case "string":
            return {"voice": "espeak", "wake_word": "computer", "speech_language": "de", "memory_of": "user:anna"}[
                setting["name"]
            ]
        case "choice":
            return next(c["value"] for c in setting["choices"] if c["value"] != setting["default"])
        case "number" | "integer":
            return setting["minimum"] if setting["minimum"] not in (None, setting["default"]) else 1
        case "boolean":
            return not setting["default"]
        case "array":
            return [{"name": "door", "points": [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]}]
        case kind:
            raise AssertionError(f"{setting['name']} is {kind}: give it a value here")


def test_bodies_and_answers_have_the_fields_of_the_spec():
    cameras_only = {"zones"}
    assert set(CameraIn.model_fields) & set(CameraPatch.model_fields) & set(CameraOut.model_fields) >= NAMES
    assert NAMES & set(CallSession.model_fields) == NAMES - cameras_only
    assert NAMES & set(SessionPatch.model_fields) == NAMES - cameras_only - {"engine", "memory_of"}
    assert set(SessionOut.model_fields) >= NAMES


async def test_what_is_described(h: House):
    settings = await described(h)
    assert set(settings) == NAMES
    for setting in settings.values():
        assert set(setting) == set(SettingOut.model_fields)
        assert setting["title"]
        assert setting["description"].endswith(".")
    threshold = settings["threshold"]
    assert (threshold["type"], threshold["minimum"], threshold["maximum"], threshold["default"]) == (
        "number",
        0,
        1,
        0.5,
    )
    assert [one["value"] for one in settings["frames_per_tick"]["choices"]] == [1, 2, 4]
    assert all(one["description"] for one in settings["fidelity"]["choices"])
    assert [name for name, one in settings.items() if one["reopens"]] == ["engine", "memory_of"]
    assert settings["engine"]["default"] == "quiet"


async def test_each_setting_is_set_changed_live_kept_and_unset(h: House):
    for name, setting in (await described(h)).items():
        if setting["reopens"]:
            continue
        wanted = value_for(setting)
        body = {"name": f"with {name}", "url": "rtsp://192.168.1.20/1", name: wanted}
        camera = (await h.client.post("/v1/cameras", json=body)).json()
        path, session_path = f"/v1/cameras/{camera['id']}", f"/v1/sessions/{camera['session_id']}"
        running = h.registry.session(camera["session_id"])
        assert camera[name] == wanted
        assert (await h.client.get(session_path)).json()[name] == wanted
        row = await h.registry.store.main.read(
            lambda c, id=camera["id"]: list(c.execute("SELECT spec FROM cameras WHERE id = ?", (id,)))
        )
        assert json.loads(row[0]["spec"]) == {name: wanted}
        unset = [] if setting["type"] == "array" else None
        assert (await h.client.patch(path, json={name: unset})).json()[name] == unset
        assert (await h.client.get(session_path)).json()[name] == (unset if unset == [] else setting["default"])
        if not setting["camera_only"]:
            assert (await h.client.patch(session_path, json={name: wanted})).json()[name] == wanted
            assert (await h.client.get(path)).json()[name] == wanted, "a camera keeps it"
        assert h.registry.session(camera["session_id"]) is running, "no new session is needed for it"


async def test_each_setting_of_a_call(h: House):
    settings = {name: one for name, one in (await described(h)).items() if not one["camera_only"] and name != "engine"}
    session = {name: value_for(one) for name, one in settings.items()}
    answer = await h.client.post("/v1/realtime/calls", json={"sdp": SDP, "session": session})
    assert answer.status_code == 201
    shown = (await h.client.get(f"/v1/sessions/{answer.headers['x-session-id']}")).json()
    assert {name: shown[name] for name in session} == session


async def test_a_wrong_value_is_told_by_name(h: House):
    for name, setting in (await described(h)).items():
        for wrong in ({"a": 1}, *([setting["maximum"] + 1] if setting["maximum"] is not None else [])):
            body = {"name": "door", "url": "rtsp://192.168.1.20/1", name: wrong}
            answer = await h.client.post("/v1/cameras", json=body)
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"].split(".")[0] == name
    assert (await h.client.get("/v1/cameras")).json()["data"] == []
