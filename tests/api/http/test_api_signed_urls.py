"""Signed links over the real app: they open what they were made for, and nothing else."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from fakes.media.media import picture
from fakes.media.wire import Wire
from fakes.patience import PATIENCE_S
from fakes.server.house import KEY, House, house
from joyvl_server.api import picture_stream

AUTH = {"Authorization": f"Bearer {KEY}"}
ID = "01jd3q0000000000000000000a"


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY]}) as opened:
        opened.client.headers.update(AUTH)
        yield opened


async def shown(h: House) -> str:
    """The path of a camera with a picture."""
    camera = await h.camera()
    h.media.sources[camera["id"]].show(picture(1.0))
    return f"/v1/cameras/{camera['id']}"


async def link(h: House, path: str, expires_s: int = 60) -> str:
    answer = await h.client.post("/v1/signed_urls", json={"path": path, "expires_s": expires_s})
    assert answer.status_code == 200, answer.text
    return answer.json()["url"]


async def follow(h: House, url: str, method: str = "GET", **headers: str):
    """As somebody without a key."""
    request = h.client.build_request(method, url, headers=headers)
    if "Authorization" not in headers:
        del request.headers["Authorization"]
    return await h.client.send(request)


async def refused(h: House, url: str, code: str = "bad_link", method: str = "GET", **headers: str) -> None:
    answer = await follow(h, url, method, **headers)
    assert (answer.status_code, answer.json()["code"]) == (403, code), (url, answer.text)


async def test_a_link_opens_its_picture_until_it_is_over(h: House):
    path = await shown(h)
    assert (await follow(h, f"{path}/snapshot.jpg")).status_code == 401
    answer = (await h.client.post("/v1/signed_urls", json={"path": f"{path}/snapshot.jpg", "expires_s": 60})).json()
    assert answer["url"].startswith(f"http://127.0.0.1:8099{path}/snapshot.jpg?expires=1800000")
    assert answer["expires_at"].startswith("2027-01-15T08:0")
    opened = await follow(h, answer["url"])
    assert (opened.status_code, opened.content[:2]) == (200, b"\xff\xd8")
    await h.clock.advance(61)
    await refused(h, answer["url"], "link_expired")


async def test_nothing_of_it_can_be_changed(h: House):
    path = await shown(h)
    url = await link(h, f"{path}/snapshot.jpg")
    base, _, query = url.partition("?")
    expires, _, signature = query.partition("&")
    other = await h.camera("other")
    for wrong in (
        f"{base}?{expires}1&{signature}",
        f"{base}?{signature}&{expires}",
        f"{url}&x=1",
        f"{base}?x=1&{query}",
        f"{url}&{signature}",
        f"{base}?{expires}&signature=",
        f"{base}?{signature}",
        f"{base}?{query[:-1]}",
        f"{base}?{query}%20",
        f"{base.replace('/snapshot', '//snapshot')}?{query}",
        f"{base.replace('snapshot', '%73napshot')}?{query}",
        f"http://127.0.0.1:8099{path}?{query}",
        f"http://127.0.0.1:8099{path}/zones?{query}",
        f"http://127.0.0.1:8099/v1/cameras?{query}",
        f"http://127.0.0.1:8099/v1/cameras/{other['id']}/snapshot.jpg?{query}",
        f"http://127.0.0.1:8099/v1/events?{query}",
    ):
        await refused(h, wrong)
    for method in ("HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"):
        answer = await follow(h, url, method)
        assert answer.status_code in (401, 403, 405), method
    assert (await follow(h, url)).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/cameras",
        f"/v1/cameras/cam_{ID}",
        f"/v1/cameras/cam_{ID}/zones",
        f"/v1/cameras/cam_{ID}/../cam_{ID}/snapshot.jpg",
        f"/v1/cameras/cam_{ID}/snapshot.jpg?fps=2",
        f"/v1/cameras/cam_{ID}/snapshot.jpg#x",
        f"/v1/cameras/cam_{ID}/snapshot.jpg\n",
        f"/v1/cameras/cam_{ID}/snapshot%2Ejpg",
        f"https://evil.example/v1/cameras/cam_{ID}/snapshot.jpg",
        f"/v1/sessions/ses_{ID}/updates",
        f"/v1/events/evt_{ID}",
        "/v1/memories/export",
        "/metrics",
        "/",
    ],
)
async def test_links_lead_to_pictures_clips_and_streams_alone(h: House, path: str):
    answer = await h.client.post("/v1/signed_urls", json={"path": path})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_signable")
    # Not even where it was signed with the right key.
    if path.startswith("/") and "?" not in path and "#" not in path and "\n" not in path:
        await refused(h, h.registry.signer.sign(path, 2e9))


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/events/evt_{ID}/thumbnail.jpg",
        f"/v1/events/evt_{ID}/clip.mp4",
        f"/v1/cameras/cam_{ID}/snapshot.jpg",
        f"/v1/cameras/cam_{ID}/stream.mjpeg",
        f"/v1/sessions/ses_{ID}/snapshot.jpg",
    ],
)
async def test_what_a_link_may_open(h: House, path: str):
    answer = await follow(h, await link(h, path))
    assert answer.status_code == 404, "it passes the door; there is no such thing"


@pytest.mark.parametrize("seconds", [0, -1, 366 * 86_400 + 1, 1.5, "60", None])
async def test_bounds_of_the_time(h: House, seconds: object):
    body = {"path": f"/v1/cameras/cam_{ID}/snapshot.jpg", "expires_s": seconds}
    assert (await h.client.post("/v1/signed_urls", json=body)).status_code == 422


async def test_only_who_has_a_key_makes_links(h: House):
    request = h.client.build_request("POST", "/v1/signed_urls", json={"path": f"/v1/cameras/cam_{ID}/snapshot.jpg"})
    del request.headers["Authorization"]
    assert (await h.client.send(request)).status_code == 401


async def test_a_right_key_wins_over_a_link_and_a_wrong_one_loses(h: House):
    url = await link(h, f"{await shown(h)}/snapshot.jpg")
    assert (await follow(h, url + "x", Authorization=f"Bearer {KEY}")).status_code == 200
    assert (await follow(h, url, Authorization="Bearer wrong")).status_code == 401


async def test_the_public_address_stands_in_front(tmp_path):
    async with house(tmp_path, server={"public_url": "https://home.example:8443", "auth": "off"}) as h:
        path = f"/v1/cameras/cam_{ID}/snapshot.jpg"
        assert (await link(h, path)).startswith(f"https://home.example:8443{path}?expires=")


async def test_without_keys_a_link_that_is_over_is_told(tmp_path):
    async with house(tmp_path) as h:
        h.client.headers.update(AUTH)  # for `follow` to take away
        url = await link(h, f"{await shown(h)}/snapshot.jpg", 1)
        await h.clock.advance(2)
        await refused(h, url, "link_expired")


async def test_hosts_and_origins_count_and_pages_elsewhere_may_show_it(h: House):
    url = await link(h, f"{await shown(h)}/snapshot.jpg")
    embedded = await follow(h, url, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"})
    assert embedded.status_code == 200
    assert embedded.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert (await follow(h, url, Host="evil.example")).status_code == 421
    assert (await follow(h, url, Origin="https://evil.example")).status_code == 403


async def test_links_survive_a_restart(tmp_path):
    async with house(tmp_path, server={"api_keys": [KEY]}) as h:
        h.client.headers.update(AUTH)
        url = await link(h, f"/v1/cameras/cam_{ID}/snapshot.jpg")
    async with house(tmp_path, server={"api_keys": [KEY]}) as h:
        h.client.headers.update(AUTH)
        assert (await follow(h, url)).status_code == 404


# -------------------------------------------------------------------------------------------------------------- stream


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(picture_stream, "EVERY_S", 0.01)


async def opened(h: House, path: str, **headers: str) -> Wire:
    wire = Wire(h.app, path, headers=headers)
    start = await wire.open()
    assert start["status"] == 200
    assert (b"content-type", b"multipart/x-mixed-replace; boundary=joyvl-picture") in start["headers"]
    assert (await wire.next())["body"].startswith(b"--joyvl-picture\r\nContent-Type: image/jpeg\r\n")
    return wire


async def test_a_stream_shows_each_new_picture_once(h: House, quick):
    path = await shown(h)
    wire = await opened(h, f"{path}/stream.mjpeg", **AUTH)
    assert h.api.streams == 1
    await asyncio.sleep(0.1)
    new = picture(2.0, shade=10)
    next(iter(h.media.sources.values())).show(new)
    assert new.image.jpeg in (await wire.next())["body"]
    wire.leave()
    await wire.done()
    assert h.api.streams == 0


async def test_it_goes_on_when_the_camera_is_back_and_ends_with_it(h: House, quick):
    path = await shown(h)
    wire = await opened(h, f"{path}/stream.mjpeg", **AUTH)
    source = next(iter(h.media.sources.values()))
    source.fail()
    await asyncio.sleep(0.05)
    source.show(picture(3.0, shade=50))
    assert b"image/jpeg" in (await wire.next())["body"]
    assert (await h.client.post(f"{path}/disable")).status_code == 200
    assert (await wire.next())["body"] == b"--joyvl-picture--\r\n"
    await wire.done()


async def test_it_ends_with_its_link(h: House, quick):
    url = urlsplit(await link(h, f"{await shown(h)}/stream.mjpeg"))
    wire = await opened(h, f"{url.path}?{url.query}")
    await h.clock.advance(61)
    while (await wire.next())["more_body"]:
        pass
    await wire.done()


async def test_it_ends_when_the_server_stops_and_when_nobody_reads(h: House, quick, monkeypatch):
    path = await shown(h)
    wire = await opened(h, f"{path}/stream.mjpeg", **AUTH)
    monkeypatch.setattr(picture_stream, "SEND_TIMEOUT_S", 0.05)
    slow = await opened(h, f"{path}/stream.mjpeg", **AUTH)
    slow.stop_reading()
    next(iter(h.media.sources.values())).show(picture(2.0, shade=10))
    await slow.done()
    async with asyncio.timeout(PATIENCE_S):
        await wire.next()
    h.api.stopping.set()
    await wire.done()
    assert h.api.streams == 0


async def test_streams_are_bounded_and_need_a_picture(h: House):
    path = await shown(h)
    h.api.streams = 256
    assert (await h.client.get(f"{path}/stream.mjpeg")).json()["code"] == "too_many_streams"
    h.api.streams = 0
    other = await h.camera("other")
    assert (await h.client.get(f"/v1/cameras/{other['id']}/stream.mjpeg")).status_code == 503
