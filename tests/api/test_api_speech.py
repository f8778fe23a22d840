"""Speech over REST: voices, what a client reports that speaks by itself, push to talk."""

from __future__ import annotations

import pytest

from fakes.clock import ManualClock
from fakes.server.house import House, house
from joyvl_server.sessions.speech.session_speech import SpeechServices
from joyvl_server.settings import Settings
from joyvl_server.speech.base import SpeechState, Voice
from joyvl_server.speech.voices import SpeechEngines


class TwoVoices:
    """A server's voices; `trouble` is what fails now."""

    trouble = ""

    def remote(self, wanted: str | None) -> bool:
        return True

    async def voices(self) -> dict[str, list[Voice]]:
        return {"piper": [Voice("joe", "en-US", "Joe")], "kokoro": [Voice("zf_xiaobei", "zh")]}

    async def aclose(self) -> None: ...

    def states(self) -> dict[str, SpeechState]:
        return {"piper": SpeechState("ready")}


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def test_a_server_without_voices_has_none(h: House):
    assert (await h.client.get("/v1/voices")).json() == {"data": [], "next": None}
    assert "voices" not in (await h.client.get("/readyz")).json()["parts"]


async def test_the_voices_are_listed_as_the_setting_takes_them(h: House):
    h.registry.speech = SpeechServices(TwoVoices())
    listed = (await h.client.get("/v1/voices")).json()["data"]
    assert listed == [
        {"id": "piper:joe", "engine": "piper", "language": "en-US", "name": "Joe"},
        {"id": "kokoro:zf_xiaobei", "engine": "kokoro", "language": "zh", "name": "zf_xiaobei"},
    ]
    camera = await h.camera(voice=listed[0]["id"])
    assert camera["voice"] == "piper:joe"


async def test_a_voice_that_fails_is_in_readiness_and_leaves_the_server_ready(h: House):
    voices = TwoVoices()
    h.registry.speech = SpeechServices(voices)
    assert (await h.client.get("/readyz")).json()["parts"]["voices"] == {"ready": True, "reason": None}
    voices.trouble = "Piper died."
    answer = await h.client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["voices"]["reason"]) == (200, "Piper died.")


async def test_reports_of_a_client_and_the_button_are_for_sessions_that_run(h: House):
    camera = await h.camera()
    session = f"/v1/sessions/{camera['session_id']}"
    report = {"epoch": 1, "heard": 3, "ended": True}
    assert (await h.client.post(f"{session}/playback", json=report)).status_code == 204
    assert (await h.client.put(f"{session}/talking", json={"talking": True})).status_code == 204
    assert (await h.client.post(f"{session}/playback", json={**report, "heard": -1})).status_code == 422
    assert (await h.client.post("/v1/sessions/ses_x/playback", json=report)).status_code == 404


async def test_a_voice_that_no_engine_has_is_refused_where_it_is_asked_for(tmp_path):
    speech = SpeechServices(SpeechEngines(Settings(data_dir=tmp_path), ManualClock()))
    async with house(tmp_path, speech=speech) as h:
        camera = await h.camera()
        session = f"/v1/sessions/{camera['session_id']}"
        answer = await h.client.patch(session, json={"voice": "bogus:anna"})
        assert answer.status_code == 422, answer.text
        assert "There is no voice engine bogus" in answer.text
        assert (await h.client.get(session)).json()["voice"] == "auto"
        assert (await h.client.patch(session, json={"voice": "espeak"})).status_code == 200
