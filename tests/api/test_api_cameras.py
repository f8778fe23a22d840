"""Cameras over the real app, registry and store."""

from __future__ import annotations

import pytest

from fakes.media.media import picture
from fakes.server.house import MASKED, URL, House, house
from joyvl_server.api.schemas.cameras import CameraOut, CamerasOut, ProbeOut, SourceStateOut, ZonesOut
from joyvl_server.ingest.base import ProbeReport

TRIANGLE = {"name": "door", "points": [[0.1, 0.1], [0.4, 0.1], [0.4, 0.9]]}


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


async def test_create_answers_201_with_location_and_the_whole_camera(h: House):
    watch = {"text": "Tell me when someone comes", "zones": ["door"]}
    answer = await h.client.post(
        "/v1/cameras", json={"name": "door", "url": URL, "zones": [TRIANGLE], "watches": [watch]}
    )
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == set(CameraOut.model_fields)
    assert set(body["state"]) == set(SourceStateOut.model_fields)
    assert answer.headers["location"] == f"/v1/cameras/{body['id']}"
    assert body["url"] == MASKED
    assert body["zones"] == [TRIANGLE]
    assert [w["text"] for w in body["watches"]] == [watch["text"]]
    assert body["watches"][0]["zones"] == ["door"]
    assert body["state"]["status"] == "connecting"
    assert body["engine_state"]["status"] == "loading"  # nobody has asked it yet
    shown = (await h.client.get(answer.headers["location"])).json()
    assert {**shown, "engine_state": body["engine_state"]} == body


async def test_the_stored_password_is_used_but_never_shown(h: House):
    camera = await h.camera()
    assert h.media.opened[0][1].url == URL
    for path in ("/v1/cameras", f"/v1/cameras/{camera['id']}", "/v1/sessions", "/v1/events"):
        assert "s3cret" not in (await h.client.get(path)).text


async def test_list_is_paged_in_the_order_of_creation(h: House):
    made = [await h.camera(f"camera {n}") for n in range(5)]
    seen, after = [], None
    for _ in range(3):
        params = {"limit": 2} | ({"after": after} if after else {})
        body = (await h.client.get("/v1/cameras", params=params)).json()
        assert set(body) == set(CamerasOut.model_fields)
        seen += [c["id"] for c in body["data"]]
        after = body["next"]
    assert seen == [c["id"] for c in made]
    assert after is None


async def test_a_name_used_twice_is_a_conflict(h: House):
    await h.camera("door")
    answer = await h.client.post("/v1/cameras", json={"name": "door", "url": URL})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_in_use")
    assert len((await h.client.get("/v1/cameras")).json()["data"]) == 1


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("ftp://u:s3cret@127.0.0.1/x", 403),
        ("rtsp://u:s3cret@169.254.169.254/x", 403),
        ("file:///etc/passwd", 403),
        ("no url at all", 422),
        ("", 422),
        ("rtsp://" + "x" * 3000, 422),
    ],
)
async def test_urls_that_may_not_be_opened(h: House, url: str, status: int):
    for path, body in (("/v1/cameras", {"name": "x", "url": url}), ("/v1/cameras/probe", {"url": url})):
        answer = await h.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        assert "s3cret" not in answer.text
    assert h.media.opened == []


async def test_a_path_alone_is_told_how_to_write_it(h: House):
    for path, body in (
        ("/v1/cameras", {"name": "x", "url": "/home/ann/door.mp4"}),
        ("/v1/cameras/probe", {"url": "a"}),
    ):
        detail = (await h.client.post(path, json=body)).json()["detail"]
        assert detail.startswith("url: Write an address like rtsp://")
        assert "file:///path/to/it" in detail


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"nmae": "x"}, "nmae"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"enabled": "yes"}, "enabled"),
        ({"speed": 0}, "speed"),
        ({"speed": True}, "speed"),
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": "0.5"}, "threshold"),
        ({"engine": "../x"}, "engine"),
        ({"zones": [TRIANGLE] * 33}, "zones"),
        ({"zones": [{"name": "a", "points": [[0, 0], [1, 1]]}]}, "zones.0.points"),
        ({"zones": [{"name": "a", "points": [[0, 0], [1, 1], [0, 2]]}]}, "zones.0.points.2.1"),
        ({"zones": [{"name": "a", "points": [[0, 0], [1, 1], [0]]}]}, "zones.0.points.2"),
        ({"zones": [{**TRIANGLE, "colour": "red"}]}, "zones.0.colour"),
    ],
)
async def test_a_wrong_field_is_named(h: House, changes: dict, field: str):
    camera = await h.camera("one")
    created = await h.client.post("/v1/cameras", json={"name": "two", "url": URL, **changes})
    changed = await h.client.patch(f"/v1/cameras/{camera['id']}", json=changes)
    for answer in (created, changed):
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == field
        assert field in answer.json()["detail"]
    assert (await h.client.get(f"/v1/cameras/{camera['id']}")).json() == camera


async def test_two_zones_of_one_name_and_an_unknown_zone_are_refused(h: House):
    twice = await h.client.post("/v1/cameras", json={"name": "a", "url": URL, "zones": [TRIANGLE, TRIANGLE]})
    assert twice.status_code == 422
    unknown = {"name": "a", "url": URL, "watches": [{"text": "x", "zones": ["window"]}]}
    answer = await h.client.post("/v1/cameras", json=unknown)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_zone")
    assert (await h.client.get("/v1/cameras")).json()["data"] == []


async def test_too_many_watches_are_refused(h: House):
    body = {"name": "a", "url": URL, "watches": [{"text": "x"}] * 65}
    answer = await h.client.post("/v1/cameras", json=body)
    assert answer.json()["errors"][0]["field"] == "watches"


async def test_change_keeps_what_is_left_out_and_the_password_of_a_masked_url(h: House):
    camera = await h.camera(threshold=0.7)
    path = f"/v1/cameras/{camera['id']}"
    body = (await h.client.patch(path, json={"name": "gate", "url": MASKED.replace("/one", "/two")})).json()
    assert (body["name"], body["threshold"], body["url"]) == ("gate", 0.7, MASKED.replace("/one", "/two"))
    assert h.media.opened[-1][1].url == URL.replace("/one", "/two")
    assert (await h.client.patch(path, json={"threshold": None})).json()["threshold"] is None
    assert (await h.client.patch(path, json={})).status_code == 200


async def test_a_masked_url_of_another_host_does_not_get_the_password(h: House):
    camera = await h.camera()
    answer = await h.client.patch(f"/v1/cameras/{camera['id']}", json={"url": "rtsp://cam:***@127.0.0.2/x"})
    assert "s3cret" not in answer.text
    assert all("127.0.0.2" not in spec.url or "s3cret" not in spec.url for _, spec in h.media.opened)


async def test_disable_and_enable(h: House):
    camera = await h.camera(watches=[{"text": "someone"}])
    path = f"/v1/cameras/{camera['id']}"
    off = (await h.client.post(f"{path}/disable")).json()
    assert (off["enabled"], off["state"]) == (False, None)
    assert [w["text"] for w in off["watches"]] == ["someone"]
    assert h.media.sources[camera["id"]].closed
    assert (await h.client.get(f"/v1/sessions/{camera['session_id']}")).status_code == 404
    assert (await h.client.get(f"{path}/snapshot.jpg")).json()["code"] == "disabled"
    on = (await h.client.post(f"{path}/enable", json={})).json()
    assert on["enabled"]
    assert on["state"]["status"] == "connecting"


async def test_delete_frees_the_source_and_the_name(h: House):
    camera = await h.camera("door")
    path = f"/v1/cameras/{camera['id']}"
    assert (await h.client.delete(path)).status_code == 204
    assert h.media.sources[camera["id"]].closed
    assert (await h.client.get(path)).status_code == 404
    assert (await h.client.delete(path)).status_code == 404
    await h.camera("door")


async def test_snapshot_says_when_it_was_taken_and_knows_its_tag(h: House):
    camera = await h.camera()
    path = f"/v1/cameras/{camera['id']}/snapshot.jpg"
    none = await h.client.get(path)
    assert (none.status_code, none.json()["code"], none.headers["retry-after"]) == (503, "connecting", "1")
    frame = picture(0.25)
    h.media.sources[camera["id"]].show(frame)
    answer = await h.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.content == frame.image.jpeg
    assert answer.headers["x-captured-at"] == "2027-01-15T08:00:00.250Z"
    again = await h.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    by_session = await h.client.get(f"/v1/sessions/{camera['session_id']}/snapshot.jpg")
    assert by_session.content == frame.image.jpeg


async def test_zones_are_read_and_replaced_as_a_whole(h: House):
    camera = await h.camera(zones=[TRIANGLE])
    path = f"/v1/cameras/{camera['id']}/zones"
    body = (await h.client.get(path)).json()
    assert body == {"zones": [TRIANGLE]}
    assert set(body) == set(ZonesOut.model_fields)
    window = {"name": "window", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    assert (await h.client.put(path, json={"zones": [window]})).json() == {"zones": [window]}
    assert (await h.client.get(f"/v1/cameras/{camera['id']}")).json()["zones"] == [window]
    assert (await h.client.put(path, json={"zones": [window, window]})).status_code == 422
    assert (await h.client.put(path, json={})).json()["errors"][0]["field"] == "zones"


async def test_probe_says_in_words_what_is_wrong(h: House):
    h.media.reports[URL] = ProbeReport(
        False, 0.21, error_code="unauthorized", error=f"{URL} refused the password.", hint="Check the password."
    )
    camera = await h.camera()
    for path, json in (("/v1/cameras/probe", {"url": URL}), (f"/v1/cameras/{camera['id']}/probe", None)):
        answer = await h.client.post(path, json=json)
        assert answer.status_code == 200
        body = answer.json()
        assert set(body) == set(ProbeOut.model_fields)
        assert (body["ok"], body["error_code"], body["hint"]) == (False, "unauthorized", "Check the password.")
        assert body["error"] == f"{MASKED} refused the password."


async def test_an_unknown_engine_is_named(h: House):
    answer = await h.client.post("/v1/cameras", json={"name": "a", "url": URL, "engine": "nope"})
    assert (answer.status_code, answer.json()["code"]) == (422, "config")
    assert "nope" in answer.json()["detail"]
