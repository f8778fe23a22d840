"""Every place where somebody gives an address over the API, against every disguise of an address that must not be
reached. Nothing real is contacted: names are resolved here, and a connection to anything but loopback fails."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.mqtt import delivery, hook_context
from fakes.server.house import house
from fakes.webhook_receiver import webhook_receiver
from joyvl_server.core.errors import ConfigError, JoyvlError, NotAllowed, SourceError
from joyvl_server.core.sealed import SHOWN
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.notify.apprise import AppriseSender
from joyvl_server.notify.base import DeliveryFailed
from joyvl_server.notify.mqtt.broker import Broker
from joyvl_server.notify.mqtt.options import MqttOptions
from joyvl_server.notify.reach import HookReach
from joyvl_server.notify.webhook import WebhookSender

ROOT = Path(__file__).parents[2]
METADATA = "169.254.169.254"
NAMES = {
    "metadata.test": [METADATA],
    "mapped.test": [f"::ffff:{METADATA}"],
    "nat64.test": [f"64:ff9b::{METADATA}"],
    "link-local.test": ["fe80::1"],
    "nowhere-else.test": ["0.0.0.0"],
    # what getaddrinfo makes of old spellings
    "2852039166": [METADATA],
    "0xa9fea9fe": [METADATA],
    "0251.0376.0251.0376": [METADATA],
    "169.254.43518": [METADATA],
    "169.16689662": [METADATA],
    "0": ["0.0.0.0"],
}
REFUSED = (
    METADATA, "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "169.254.7.7", "0.0.0.0", "0.1.2.3",
    "224.0.0.1", "255.255.255.255", "[::]", "[fe80::1]", "[ff02::1]", "[fd00:ec2::254]", f"[::ffff:{METADATA}]",
    "[::ffff:a9fe:a9fe]", f"[::{METADATA}]", f"[64:ff9b::{METADATA}]", f"[64:ff9b:1::{METADATA}]",
    "[2002:a9fe:a9fe::1]", "[2001:0:a9fe:a9fe::1]", *NAMES, "METADATA.test", "metadata.test.",
)  # fmt: skip
PRIVATE = (
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[::1]", "[fd12::5]",
    "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::192.168.1.1]", "[2002:7f00:1::1]", "localhost", "inside.test",
)  # fmt: skip
"""for hooks alone: cameras live there"""


def resolve(host: str) -> list[str]:
    if host in ("localhost", "inside.test"):
        return ["127.0.0.1"]
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "not known")
    return NAMES[host]


_watched: list[list[str]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and event == "socket.connect" and isinstance(arguments[1], tuple):
        _watched[-1].append(str(arguments[1][0]))


sys.addaudithook(_note)


@pytest.fixture(autouse=True)
def connected() -> Iterator[list[str]]:
    """Addresses that were connected to."""
    _watched.append(found := [])
    yield found
    _watched.pop()
    assert [address for address in found if address not in ("127.0.0.1", "::1")] == []


# ---------------------------------------------------------------------------------------------------------- the places

Place = Callable[[str, Path, HookReach], Awaitable[object]]


async def camera(host: str, folder: Path, net: HookReach) -> object:
    return NetPolicy().check(f"rtsp://u:p@{host}/x", resolve=resolve)


async def camera_that_redirects(host: str, folder: Path, net: HookReach) -> object:
    registered = NetPolicy().check("rtsp://192.168.1.20/x")
    return registered.redirected(f"rtsp://{host}/x", registered, resolve=resolve)


async def webhook(host: str, folder: Path, net: HookReach) -> object:
    options, _ = WebhookSender.checked({"url": f"http://{host}:9/x"})
    sender = WebhookSender(replace(hook_context(folder, options), net=net))
    try:
        return await sender.send(delivery(1))
    finally:
        await sender.aclose()


async def mqtt(host: str, folder: Path, net: HookReach) -> object:
    async with Broker(MqttOptions(host=host, port=9), net, "joyvl").connected():
        return None


async def apprise(host: str, folder: Path, net: HookReach) -> object:
    options, _ = AppriseSender.checked({"urls": [f"json://{host}:9/x"]})
    return await AppriseSender(replace(hook_context(folder, options), net=net)).send(delivery(1))


SOURCES: tuple[Place, ...] = (camera, camera_that_redirects)
HOOKS: tuple[Place, ...] = (webhook, mqtt, apprise)


@pytest.mark.parametrize("host", REFUSED)
@pytest.mark.parametrize("place", SOURCES + HOOKS, ids=lambda place: place.__name__)
async def test_what_must_not_be_reached_is_refused(place, host, tmp_path, connected):
    with pytest.raises(JoyvlError) as caught:
        await place(host, tmp_path, HookReach((), resolve=resolve))
    assert isinstance(caught.value, NotAllowed | SourceError | DeliveryFailed | ConfigError)
    assert caught.value.code != "unreachable", "it was tried"
    assert connected == []


@pytest.mark.parametrize("host", PRIVATE)
@pytest.mark.parametrize("place", HOOKS, ids=lambda place: place.__name__)
async def test_hooks_reach_no_private_address_that_is_not_named(place, host, tmp_path, connected):
    with pytest.raises(JoyvlError) as caught:
        await place(host, tmp_path, HookReach((), resolve=resolve))
    assert isinstance(caught.value, ConfigError) or "alerts.allow" in str(caught.value)
    assert connected == []


@pytest.mark.parametrize("host", [METADATA, f"[::ffff:{METADATA}]", "metadata.test", "2852039166"])
@pytest.mark.parametrize("place", HOOKS, ids=lambda place: place.__name__)
async def test_a_wide_allow_opens_no_metadata(place, host, tmp_path, connected):
    with pytest.raises(JoyvlError):
        await place(host, tmp_path, HookReach(("0.0.0.0/0", "::/0", "*.test"), resolve=resolve))
    assert connected == []


# ----------------------------------------------------------------------------------------------- rebinding, redirects


@pytest.mark.parametrize("place", HOOKS, ids=lambda place: place.__name__)
async def test_a_name_that_points_elsewhere_a_moment_later_reaches_nothing(place, tmp_path, connected):
    """The first look-up is good, all that follow are not: what was checked is what is connected to, each time."""
    answers = iter([["127.0.0.1"]])

    def rebound(host: str) -> list[str]:
        return next(answers, [METADATA])

    net = HookReach(("127.0.0.1",), resolve=rebound)
    for _ in range(2):
        with pytest.raises(JoyvlError):  # nobody listens at port 9
            await place("rebound.test", tmp_path, net)
    assert set(connected) <= {"127.0.0.1"}


def test_a_camera_is_pinned_and_looked_up_again_at_each_connect():
    answers = iter([["192.168.1.20"], [METADATA]])
    policy = NetPolicy()
    found = policy.check("rtsp://cam.test/x", resolve=lambda host: next(answers))
    assert found.url == "rtsp://192.168.1.20/x"
    with pytest.raises(NotAllowed):
        policy.check("rtsp://cam.test/x", resolve=lambda host: next(answers))


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1/", "file:///etc/passwd", "//169.254.169.254/x", "rtsp://[/", ""]
)
def test_a_camera_redirects_to_rtsp_alone(location):
    registered = NetPolicy().check("rtsp://u:p@192.168.1.20/x")
    with pytest.raises(SourceError) as caught:
        registered.redirected(location, registered, resolve=resolve)
    assert caught.value.code in ("redirected", "not_allowed")


async def test_a_webhook_follows_no_redirect(tmp_path):
    async with webhook_receiver() as receiver, webhook_receiver() as other:
        receiver.answers = [(307, {"location": other.url})]
        options, _ = WebhookSender.checked({"url": receiver.url})
        sender = WebhookSender(replace(hook_context(tmp_path, options), net=HookReach(("127.0.0.1",))))
        with pytest.raises(DeliveryFailed, match="redirects are not followed"):
            await sender.send(delivery(1))
        await sender.aclose()
        assert (receiver.requests, other.requests) == (1, 0)


def test_no_client_of_ours_follows_redirects_but_that_of_downloads():
    """Engines, agents, embedders, voices and ears: their addresses are settings, and their answers send us nowhere."""
    made = re.compile(r"follow_redirects=True|(?:httpx2|requests)\.(?:Async)?(?:Client|Session)\(|urlopen\(")
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "joyvl_server").rglob("*.py")
        if "cli" not in path.parts and made.search(path.read_text("utf-8"))
    }
    assert found <= {"joyvl_server/kit/net/http.py", "joyvl_server/kit/downloads.py"}, found


# ----------------------------------------------------------------------------------------------------------- the API

TAKES_ADDRESSES = {
    ("CameraIn", "url"), ("CameraPatch", "url"), ("ProbeIn", "url"), ("HookIn", "options"), ("HookPatch", "options"),
}  # fmt: skip


async def test_the_api_takes_addresses_nowhere_else(tmp_path):
    """Addresses of engines, agents, embedders, voices and ears are settings: who may write those has the machine."""
    async with house(tmp_path) as h:
        document = h.app.openapi()
    schemas = document["components"]["schemas"]
    pending = [
        content.get("schema", {})
        for methods in document["paths"].values()
        for operation in methods.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    ]
    seen, found = set(), set()
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            name = str(one.get("$ref", "")).rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                fields = schemas[name].get("properties", {})
                found |= {(name, f) for f in fields if re.search(r"(?i)url|host|address|endpoint|broker|^options$", f)}
                pending.append(schemas[name])
            pending += [value for value in one.values() if isinstance(value, dict | list)]
    assert found <= TAKES_ADDRESSES, found - TAKES_ADDRESSES


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "0.0.0.0", "[64:ff9b::a9fe:a9fe]"])
async def test_cameras_over_the_api(tmp_path, host):
    async with house(tmp_path) as h:
        camera = await h.camera()
        for answer in (
            await h.client.post("/v1/cameras", json={"name": "x", "url": f"rtsp://{host}/x"}),
            await h.client.post("/v1/cameras/probe", json={"url": f"rtsp://{host}/x"}),
            await h.client.patch(f"/v1/cameras/{camera['id']}", json={"url": f"rtsp://{host}/x"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), answer.text
        for text in ("enc:v1:00000000:AAAA", SHOWN):
            sealed = await h.client.post("/v1/cameras", json={"name": "x", "url": text})
            assert (sealed.status_code, sealed.json()["code"]) == (422, "secret_unreadable")
            assert "joyvl secrets give-up" in sealed.json()["detail"]


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "file:///proc/self/environ", "file://h/x", "file:///a/../etc/passwd"]
)
async def test_files_over_the_api(tmp_path, url):
    async with house(tmp_path) as h:
        answer = await h.client.post("/v1/cameras/probe", json={"url": url})
        assert answer.status_code in (403, 422), answer.text


async def test_no_picture_is_fetched_for_a_client(tmp_path, connected):
    part = {"type": "image_url", "image_url": {"url": f"http://{METADATA}/latest"}}
    async with house(tmp_path) as h:
        body = {"model": "quiet", "messages": [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]}
        answer = await h.client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 400
        assert "data URL" in answer.text
    assert connected == []
