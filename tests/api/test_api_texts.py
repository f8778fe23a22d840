"""Half a surrogate pair, from an engine or a client: no answer, no stream and no record is broken by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes.media.media import picture
from fakes.media.wire import Wire
from fakes.server.house import URL, House, QuietSession, house
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError


@pytest.fixture
async def h(tmp_path: Path):
    async with house(tmp_path) as opened:
        yield opened


async def ticks(h: House, camera: dict, count: int = 3) -> None:
    source = h.media.sources[camera["id"]]
    for _ in range(4 * count):
        source.show(picture(source.now))
        await h.clock.advance(0.25)


@pytest.mark.parametrize(
    ("deltas", "text"),
    [
        ([" A cat \ud83d", "\ude00 sits."], "A cat 😀 sits."),
        ([" A cat \ud83d", " sits."], "A cat \ufffd sits."),
        ([" A cat \ude00 sits."], "A cat \ufffd sits."),
        ([" A cat sits. \ud83d"], "A cat sits. \ufffd"),
    ],
)
async def test_what_an_engine_says_is_joined_or_replaced(h: House, monkeypatch, deltas, text) -> None:
    async def say(self):
        for delta in deltas:
            yield delta

    monkeypatch.setattr(QuietSession, "say", say)
    camera = await h.camera()
    h.engines.quiet.value = 1.0
    await ticks(h, camera)
    answer = await h.client.get("/v1/sessions")
    assert answer.status_code == 200
    assert answer.json()["data"][0]["last_remark"]["text"] == text
    await h.registry.store.main.write(lambda connection: None)
    assert (await h.client.get("/v1/events?type=spoke")).json()["data"][0]["text"] == text
    wire = Wire(h.app, f"/v1/sessions/{camera['session_id']}/updates")
    await wire.open()
    first = await wire.update()
    assert first["session"]["last_remark"]["text"] == text
    wire.leave()
    await wire.done()
    stream, _, seq = first["id"].rpartition("-")
    wire = Wire(h.app, f"/v1/sessions/{camera['session_id']}/updates?after={stream}-0")
    await wire.open()
    said = ""
    for _ in range(int(seq)):
        update = await wire.update()
        if update["type"] == "response.output_text.done":
            said = said or update["text"]
    assert said == text
    wire.leave()
    await wire.done()


async def test_garbage_and_errors_of_an_engine_are_shown(h: House, monkeypatch) -> None:
    answers = [Score(0.0, garbage="what \ud800"), EngineError("It said: \udfff")] * 4

    async def score(self) -> Score:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(QuietSession, "score", score)
    camera = await h.camera()
    await ticks(h, camera)
    answer = await h.client.get(f"/v1/sessions/{camera['session_id']}/ticks")
    assert answer.status_code == 200
    assert "\ufffd" in answer.text
    for path in ("/v1/sessions", "/v1/cameras", "/v1/events", "/readyz"):
        assert (await h.client.get(path)).status_code in (200, 503), path


BODIES = [
    ("/v1/cameras", {"name": "a\ud800", "url": URL}),
    ("/v1/cameras", {"name": "a", "url": URL + "\ud800"}),
    ("/v1/cameras", {"name": "a", "url": URL, "\ud800": 1}),
    ("/v1/cameras", {"name": "a", "url": URL, "watches": [{"text": "\udfff"}]}),
    ("/v1/cameras", {"name": "a", "url": URL, "zones": [{"name": "\ud800", "points": [[0, 0], [1, 0], [1, 1]]}]}),
    ("/v1/cameras", {"name": "a", "url": URL, "engine": "\ud800"}),
    ("/v1/cameras/probe", {"url": URL + "\ud800"}),
]


@pytest.mark.parametrize(("path", "body"), BODIES)
async def test_bodies_that_hold_half_a_pair_are_refused(h: House, path: str, body: dict) -> None:
    answer = await h.client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert (await h.client.get("/v1/cameras")).json()["data"] == []


@pytest.mark.parametrize(("part", "body"), [("watches", {"text": "x\ud800"}), ("queries", {"text": "\ude00?"})])
async def test_watches_and_questions_too_and_a_whole_pair_is_fine(h: House, part: str, body: dict) -> None:
    camera = await h.camera()
    path, kind = f"/v1/sessions/{camera['session_id']}/{part}", {"Content-Type": "application/json"}
    assert (await h.client.post(path, content=json.dumps(body), headers=kind)).status_code == 422
    assert (await h.client.post(path, content=json.dumps({"text": "x\ud83d\ude00"}), headers=kind)).status_code == 201
    assert (await h.client.get(f"/v1/sessions/{camera['session_id']}")).status_code == 200


async def test_an_answer_that_holds_one_all_the_same_is_no_error(h: House) -> None:
    """A record of an older version, a plug-in that names its source so: the rest of the answer is served."""
    camera = await h.camera()
    source = h.media.sources[camera["id"]]
    source.fail("lost", "The camera said \ud800.")
    answer = await h.client.get("/v1/cameras")
    assert (answer.status_code, answer.json()["data"][0]["state"]["error"]) == (200, "The camera said \ufffd.")
